"""Trees that anybody may have made: bounded in all they can multiply, final only in what the commit ID binds."""

from __future__ import annotations

import hashlib

import pytest

from opssc_operator.sources.failures import FetchError, Unavailable, Unusable
from opssc_operator.sources.gittree import MAX_DEPTH, MAX_ENTRIES, MAX_FOLDER_BYTES, MAX_PATH_BYTES, read_commit
from opssc_operator.sources.packfile import GitObject

FILE, FOLDER = b"100644", b"40000"
Objects = dict[bytes, GitObject]


def put(objects: Objects, kind: bytes, content: bytes) -> bytes:
    whole = b"%s %d\0" % (kind, len(content)) + content
    name = hashlib.sha1(whole, usedforsecurity=False).hexdigest().encode()
    objects[name] = GitObject(kind, content)
    return name


def folder(objects: Objects, *entries: tuple[bytes, bytes, bytes]) -> bytes:
    listed = (b"%s %s\0" % (mode, name) + bytes.fromhex(target.decode()) for mode, name, target in entries)
    return put(objects, b"tree", b"".join(listed))


def commit(objects: Objects, tree: bytes) -> str:
    return put(objects, b"commit", b"tree " + tree + b"\n").decode()


def doubling(objects: Objects, levels: int) -> str:
    tree = folder(objects)
    for _ in range(levels):
        tree = folder(objects, (FOLDER, b"a", tree), (FOLDER, b"b", tree))
    return commit(objects, tree)


def nested(objects: Objects, name: bytes, levels: int) -> str:
    tree = folder(objects, (FILE, b"f", put(objects, b"blob", b"")))
    for _ in range(levels):
        tree = folder(objects, (FOLDER, name, tree))
    return commit(objects, tree)


def test_one_folder_that_stands_in_two_places_is_read_in_both() -> None:
    # Given
    objects: Objects = {}
    below = folder(objects, (FILE, b"f", put(objects, b"blob", b"content")))

    # When
    files = read_commit(objects, commit(objects, folder(objects, (FOLDER, b"a", below), (FOLDER, b"b", below))))

    # Then
    assert {path: file.content for path, file in files.items()} == {"a/f": b"content", "b/f": b"content"}


def test_folders_without_files_cannot_multiply() -> None:
    objects: Objects = {}

    with pytest.raises(Unusable, match=f"more than {MAX_ENTRIES} files and folders"):
        read_commit(objects, doubling(objects, 20))


@pytest.mark.parametrize(
    ("name", "levels", "reason"),
    [
        pytest.param(b"a", MAX_DEPTH + 1, "nested deeper", id="depth"),
        pytest.param(b"a" * MAX_PATH_BYTES, 1, "path longer", id="path"),
        pytest.param(b"a" * MAX_FOLDER_BYTES, 1, "listing of one folder", id="listing"),
    ],
)
def test_a_tree_is_bounded_in_every_direction(name: bytes, levels: int, reason: str) -> None:
    objects: Objects = {}

    with pytest.raises(Unusable, match=reason):
        read_commit(objects, nested(objects, name, levels))


@pytest.mark.parametrize(
    ("kind", "failure"),
    [
        pytest.param(b"commit", Unavailable, id="no-commit"),
        pytest.param(b"tree", Unavailable, id="no-folder"),
        pytest.param(b"blob", Unavailable, id="no-file"),
        pytest.param(b"", Unusable, id="a-folder-in-place-of-a-file"),
    ],
)
def test_what_was_not_sent_may_come_later_and_what_is_bound_never_changes(
    kind: bytes, failure: type[FetchError]
) -> None:
    # Given
    objects: Objects = {}
    target = put(objects, b"blob", b"") if kind else folder(objects)
    wanted = commit(objects, folder(objects, (FILE, b"f", target)))
    sent = {name: found for name, found in objects.items() if found.type != kind}

    # Then
    with pytest.raises(failure):
        read_commit(sent, wanted)

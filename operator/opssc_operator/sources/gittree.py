"""The files of one commit, from the objects of a pack. Pure; nothing is checked out and no filter or hook exists."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from typing import Final

from dulwich.errors import ObjectFormatException
from dulwich.objects import parse_tree

from fabric_admin.sourcetree import SourceFile
from opssc_operator.sources.failures import Unavailable, Unusable
from opssc_operator.sources.packfile import GitObject

MAX_ENTRIES: Final = 100_000
"""Files and folders visited: one folder may stand in a tree any number of times, and need not hold a file."""
MAX_FILES: Final = 50_000
MAX_DEPTH: Final = 64
MAX_PATH_BYTES: Final = 1024
MAX_FOLDER_BYTES: Final = 8 * 1024 * 1024
"""The listing of one folder, which is read as a whole before its entries are counted."""
MAX_TREE_BYTES: Final = 128 * 1024 * 1024
_SUBMODULE: Final = 0o160000


def read_commit(objects: Mapping[bytes, GitObject], commit: str) -> dict[str, SourceFile]:
    """Every file of the commit by path; links and sub-modules are there with their mode.

    Raises Unusable for what the commit ID binds, and Unavailable for objects that were not sent.
    """
    line = _content(objects, commit.encode(), b"commit").split(b"\n", 1)[0]
    if not line.startswith(b"tree "):
        raise Unusable(f"commit {commit} names no tree")
    files: dict[str, SourceFile] = {}
    left = MAX_TREE_BYTES
    for path, file in _Walk(objects).files(line[5:], "", 0):
        files[path] = file
        left -= len(file.content)
        # One blob may stand in a tree any number of times.
        if len(files) > MAX_FILES or left < 0:
            raise Unusable(f"commit {commit} holds more than {MAX_FILES} files or {MAX_TREE_BYTES} bytes")
    return files


class _Walk:
    """One way through a tree, with one budget of entries for all of it."""

    def __init__(self, objects: Mapping[bytes, GitObject]) -> None:
        self._objects = objects
        self._left = MAX_ENTRIES

    def files(self, tree: bytes, folder: str, depth: int) -> Iterator[tuple[str, SourceFile]]:
        if depth > MAX_DEPTH:
            raise Unusable(f"folders are nested deeper than {MAX_DEPTH}")
        seen = set()
        for name, mode, sha in self._entries(tree):
            path = f"{folder}{_checked(name)}"
            if len(path.encode()) > MAX_PATH_BYTES:
                raise Unusable(f"the commit holds a path longer than {MAX_PATH_BYTES} bytes")
            if path in seen:
                raise Unusable(f"the tree holds {path} twice")
            seen.add(path)
            if stat.S_ISDIR(mode):
                yield from self.files(sha, f"{path}/", depth + 1)
            elif mode == _SUBMODULE:
                yield path, SourceFile(b"", mode)
            else:
                yield path, SourceFile(_content(self._objects, sha, b"blob"), mode)

    def _entries(self, tree: bytes) -> list[tuple[bytes, int, bytes]]:
        content = _content(self._objects, tree, b"tree")
        if len(content) > MAX_FOLDER_BYTES:
            raise Unusable(f"the listing of one folder is longer than {MAX_FOLDER_BYTES} bytes")
        try:
            entries = [(name, mode, sha) for name, mode, sha in parse_tree(content, 20)]
        except (ObjectFormatException, ValueError, IndexError) as exc:
            raise Unusable(f"a folder of the commit cannot be read: {exc}") from exc
        self._left -= len(entries)
        if self._left < 0:
            raise Unusable(f"the commit holds more than {MAX_ENTRIES} files and folders")
        return entries


def _content(objects: Mapping[bytes, GitObject], name: bytes, kind: bytes) -> bytes:
    found, shown = objects.get(name), name[:40].decode("ascii", "replace")
    if found is None:
        raise Unavailable(f"the repository does not send {kind.decode()} {shown}")
    if found.type != kind:
        raise Unusable(f"{shown} is a {found.type.decode('ascii', 'replace')}, not a {kind.decode()}")
    return found.content


def _checked(name: bytes) -> str:
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise Unusable(f"file name {name!r:.100} is not UTF-8") from exc
    if text in {"", ".", ".."} or "/" in text or "\0" in text or text.lower() == ".git":
        raise Unusable(f"the commit holds a file named {text[:100]!r}, which leads outside")
    return text

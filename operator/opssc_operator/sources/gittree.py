"""The files of one commit, from the objects of a pack. Pure; nothing is checked out and no filter or hook exists."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from typing import Final

from dulwich.errors import ObjectFormatException
from dulwich.objects import parse_tree

from fabric_admin.sourcetree import SourceFile
from opssc_operator.sources.failures import Unusable
from opssc_operator.sources.packfile import GitObject

MAX_FILES: Final = 50_000
MAX_DEPTH: Final = 64
MAX_TREE_BYTES: Final = 256 * 1024 * 1024
_SUBMODULE: Final = 0o160000


def read_commit(objects: Mapping[bytes, GitObject], commit: str) -> dict[str, SourceFile]:
    """Every file of the commit by path; links and sub-modules are there with their mode. Raises Unusable."""
    found = objects.get(commit.encode())
    if found is None or found.type != b"commit":
        raise Unusable(f"the repository does not send commit {commit}")
    line = found.content.split(b"\n", 1)[0]
    if not line.startswith(b"tree "):
        raise Unusable(f"commit {commit} names no tree")
    files: dict[str, SourceFile] = {}
    left = MAX_TREE_BYTES
    for path, file in _walk(objects, line[5:], "", 0):
        files[path] = file
        left -= len(file.content)
        # One blob may stand in a tree any number of times.
        if len(files) > MAX_FILES or left < 0:
            raise Unusable(f"commit {commit} holds more than {MAX_FILES} files or {MAX_TREE_BYTES} bytes")
    return files


def _walk(objects: Mapping[bytes, GitObject], tree: bytes, folder: str, depth: int) -> Iterator[tuple[str, SourceFile]]:
    if depth > MAX_DEPTH:
        raise Unusable(f"folders are nested deeper than {MAX_DEPTH}")
    seen = set()
    for name, mode, sha in _entries(_content(objects, tree, b"tree")):
        path = f"{folder}{_checked(name)}"
        if path in seen:
            raise Unusable(f"the tree holds {path} twice")
        seen.add(path)
        if stat.S_ISDIR(mode):
            yield from _walk(objects, sha, f"{path}/", depth + 1)
        elif mode == _SUBMODULE:
            yield path, SourceFile(b"", mode)
        else:
            yield path, SourceFile(_content(objects, sha, b"blob"), mode)


def _entries(content: bytes) -> list[tuple[bytes, int, bytes]]:
    try:
        return [(name, mode, sha) for name, mode, sha in parse_tree(content, 20)]
    except (ObjectFormatException, ValueError, IndexError) as exc:
        raise Unusable(f"a folder of the commit cannot be read: {exc}") from exc


def _content(objects: Mapping[bytes, GitObject], name: bytes, kind: bytes) -> bytes:
    found = objects.get(name)
    if found is None or found.type != kind:
        raise Unusable(f"the repository does not send {kind.decode()} {name[:40].decode('ascii', 'replace')}")
    return found.content


def _checked(name: bytes) -> str:
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise Unusable(f"file name {name!r:.100} is not UTF-8") from exc
    if text in {"", ".", ".."} or "/" in text or "\0" in text or text.lower() == ".git":
        raise Unusable(f"the commit holds a file named {text[:100]!r}, which leads outside")
    return text

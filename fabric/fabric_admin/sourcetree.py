"""Laying out a source tree in a package as ``peer lifecycle chaincode package`` does, from bytes and without I/O.

``fabric: core/chaincode/platforms/{golang,node,java}/platform.go, util/writer.go``. The tree may come from anybody:
paths that climb, links and sub-modules are refused, and nothing in it is ever run.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from fabric_admin.errors import PackageError
from fabric_admin.gomodule import check_vendored, read_module
from fabric_admin.indexfile import check_index

Language = Literal["golang", "java", "node"]
REGULAR_MODES: Final = frozenset({0o100644, 0o100755, 0o100664})
LINK_MODE: Final = 0o120000
_METADATA: Final = "META-INF"
_NODE_SKIPS: Final = frozenset({".git", "node_modules"})
_JAVA_SKIPS: Final = frozenset({".git", "target", "build", "out"})


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a tree; ``mode`` is git's (0o100644, 0o100755; anything else is refused when it is packaged)."""

    content: bytes
    mode: int = 0o100644


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of ``code.tar.gz`` by path, and the path that goes into metadata.json."""

    files: Mapping[str, bytes]
    path: str


def lay_out(tree: Mapping[str, SourceFile], language: Language, path: str = "") -> Layout:
    """Lay out the chaincode at ``path`` of the tree ("" is its root); raises PackageError."""
    folder = _checked_path(path) if path else ""
    for name in tree:
        _checked_path(name)
    if language == "golang":
        return _lay_out_go(tree, folder)
    skips = _NODE_SKIPS if language == "node" else _JAVA_SKIPS

    def is_kept(name: str) -> bool:
        *folders, last = name.split("/")
        return skips.isdisjoint(folders) and not (language == "java" and posixpath.splitext("x" + last)[1] == ".class")

    files = _place(_below(tree, folder), is_kept, metadata=_METADATA)
    if not files:
        raise PackageError(f"no source files found in '{folder or '.'}'")
    return Layout(files, folder)


def _lay_out_go(tree: Mapping[str, SourceFile], folder: str) -> Layout:
    """Take the whole module that holds ``folder``, as the packager does, not only the package."""
    root = _module_root(tree, folder)
    inside = folder[len(root) :].strip("/")
    where = posixpath.join(root, "go.mod")
    module = read_module(tree[where].content, where)
    files = _below(tree, root)
    if not any(_is_go(name, inside) for name in files):
        raise PackageError(f"no Go files in '{folder or '.'}'")
    vendored = files.get("vendor/modules.txt")
    check_vendored(module, None if vendored is None else vendored.content, where)
    metadata = posixpath.join(inside, _METADATA)

    def is_kept(name: str) -> bool:
        folders = name.split("/")[:-1]
        return name.startswith(metadata) or not any(part.startswith(".") for part in folders)

    placed = _place(files, is_kept, metadata=metadata)
    return Layout(placed, posixpath.join(module.path, inside) if inside else module.path)


def _module_root(tree: Mapping[str, SourceFile], folder: str) -> str:
    while posixpath.join(folder, "go.mod") not in tree:
        if not folder:
            raise PackageError("there is no go.mod at the chaincode's path or above it; Go chaincode is a module")
        folder = posixpath.dirname(folder)
    return folder


def _is_go(name: str, folder: str) -> bool:
    directory, last = posixpath.split(name)
    return directory == folder and last.endswith(".go") and not last.endswith("_test.go") and last[0] not in "._"


def _below(tree: Mapping[str, SourceFile], folder: str) -> Mapping[str, SourceFile]:
    if not folder:
        return tree
    return {name[len(folder) + 1 :]: file for name, file in tree.items() if name.startswith(f"{folder}/")}


def _place(files: Mapping[str, SourceFile], is_kept: Callable[[str], bool], *, metadata: str) -> dict[str, bytes]:
    placed: dict[str, bytes] = {}
    for name, file in files.items():
        if not is_kept(name):
            continue
        if file.mode not in REGULAR_MODES:
            what = "a symbolic link" if file.mode == LINK_MODE else "no regular file"
            raise PackageError(f"{name} is {what}; a package holds regular files alone")
        if not name.startswith(metadata):
            placed[f"src/{name}"] = file.content
        elif not posixpath.basename(name).startswith("."):
            target = posixpath.normpath(posixpath.join(_METADATA, posixpath.relpath(name, metadata)))
            check_index(target, file.content)
            placed[target] = file.content
    return placed


def _checked_path(path: str) -> str:
    parts = path.split("/")
    if any(part in {"", ".", ".."} for part in parts) or "\0" in path or "\\" in path:
        raise PackageError(f"the tree holds the absolute, escaping or empty path '{path[:200]}'")
    if any(part.lower() == ".git" for part in parts):
        raise PackageError(f"the tree holds a path inside a repository's own folder, '{path[:200]}'")
    return path

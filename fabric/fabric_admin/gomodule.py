"""What go.mod and vendor/modules.txt say, as far as packaging needs it: nothing of Go is ever run.

``go.dev/ref/mod``. A module whose dependencies are not vendored cannot be built where peers build chaincode.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from fabric_admin.errors import PackageError

_TOKEN: Final = re.compile(r'//.*|"((?:[^"\\]|\\.)*)"|`([^`]*)`|[()]|[^\s()"`]+')
_PATH: Final = re.compile(r"[A-Za-z0-9._~/-]+")


@dataclass(frozen=True, slots=True)
class GoModule:
    """A module: its path, and the modules it asks for with their versions."""

    path: str
    requires: Mapping[str, str]


def read_module(content: bytes, where: str) -> GoModule:
    """Read a go.mod; raises PackageError."""
    path, requires = "", {}
    for verb, *words in _directives(content.decode("utf-8", "replace")):
        if verb == "module" and words:
            path = words[0]
        elif verb == "require":
            if len(words) < 2:  # noqa: PLR2004 - a path and a version
                raise PackageError(f"{where}: require names a module and its version")
            requires[words[0]] = words[1]
    if not _PATH.fullmatch(path) or ".." in path.split("/"):
        raise PackageError(f"{where} names no module")
    return GoModule(path, requires)


def check_vendored(module: GoModule, vendored: bytes | None, where: str) -> None:
    """Refuse a module that needs more than its tree holds; ``vendored`` is vendor/modules.txt. Raises PackageError."""
    have = set()
    if vendored is not None:
        for line in vendored.decode("utf-8", "replace").splitlines():
            mark, _, rest = line.partition(" ")
            if mark == "#":
                have.add(tuple(rest.split()[:2]))
    missing = sorted(f"{path} {version}" for path, version in module.requires.items() if (path, version) not in have)
    if missing:
        raise PackageError(
            f"{where} asks for modules that vendor/ does not hold ({', '.join(missing[:3])}"
            f"{', ...' if len(missing) > 3 else ''}); run go mod vendor and commit vendor/"  # noqa: PLR2004 - a few will do
        )


def _directives(text: str) -> Iterator[list[str]]:
    """Each directive as its verb and words, whether it stands alone or in a block."""
    block = ""
    for line in text.splitlines():
        words = [match[1] or match[2] or match[0] for match in _TOKEN.finditer(line) if not match[0].startswith("//")]
        if not words:
            continue
        if block and words == [")"]:
            block = ""
        elif block:
            yield [block, *words]
        elif words[-1] == "(" and len(words) == 2:  # noqa: PLR2004 - a verb and the parenthesis
            block = words[0]
        else:
            yield words

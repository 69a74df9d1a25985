"""The Python of this machine as the files of an image: interpreter, standard library, distributions, system libraries.

Everything moves to folders of the image's own, so the image says nothing of the machine, and needs no base image.
"""

from __future__ import annotations

import os
import platform
import re
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opssc_tools.cluster.shared import find_program
from opssc_tools.errors import ClusterError
from opssc_tools.node.command import carry_out
from opssc_tools.node.oci import File

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HOME: Final = "usr/local"
PACKAGES: Final = "app"
ENVIRONMENT: Final = (
    f"PYTHONHOME=/{HOME}",
    f"PYTHONPATH=/{PACKAGES}",
    f"LD_LIBRARY_PATH=/{HOME}/lib",
    "PYTHONDONTWRITEBYTECODE=1",
    "PYTHONUNBUFFERED=1",
)
INTERPRETER: Final = f"/{HOME}/bin/python3"
_OF_THE_MACHINE: Final = re.compile(
    r"\.pth$|\.dist-info/(RECORD|INSTALLER|direct_url\.json|uv_cache\.json)$|__pycache__"
)
_NEEDLESS: Final = re.compile(
    r"(__pycache__|site-packages|dist-packages|tests?|idlelib|tkinter|turtledemo|ensurepip|lib2to3|pydoc_data)$"
    # What only compiling against Python needs, and a module that draws in half a desktop.
    r"|config-|_tkinter\."
)
_LIBRARY: Final = re.compile(r"^\s*(?:\S+ => )?(/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)
_MISSING: Final = re.compile(r"^\s*(\S+) => not found$", re.MULTILINE)


async def collect(distributions: Iterable[str], sources: Iterable[Path]) -> list[File]:
    """Return the files of an image that runs Python with these distributions, what they require, and source packages.

    `distributions` are installed names whose own files are left out where they are installed in editable form;
    `sources` are folders of Python packages.

    Raises:
        ClusterError: when a system library is missing on this machine.
    """
    files = [*_standard_library(), *_installed(distributions), *_copied(sources)]
    interpreter = File(INTERPRETER.lstrip("/"), Path(sys.executable).resolve())
    libraries = await _libraries([interpreter, *files])
    return [interpreter, *files, *libraries]


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder that a server may need, never looking into what is left out."""
    for above, below, names in os.walk(folder):
        below[:] = sorted(name for name in below if not _NEEDLESS.match(name))
        for name in sorted(names):
            if not _NEEDLESS.match(name):
                yield Path(above, name)


def _standard_library() -> Iterator[File]:
    """Yield the standard library with its compiled modules."""
    target = f"{HOME}/lib/python{sys.version_info.major}.{sys.version_info.minor}"
    for folder in {Path(sysconfig.get_path(kind)) for kind in ("stdlib", "platstdlib")}:
        for path in _walk(folder):
            yield File(f"{target}/{path.relative_to(folder)}", path)


def _installed(names: Iterable[str]) -> Iterator[File]:
    """Yield the files of distributions and of everything they require here."""
    for distribution in _closure(names):
        for entry in distribution.files or ():
            path = Path(str(distribution.locate_file(entry)))
            if entry.parts[0] != ".." and path.is_file() and not _OF_THE_MACHINE.search(str(entry)):
                yield File(f"{PACKAGES}/{entry}", path)


def _closure(names: Iterable[str]) -> list[metadata.Distribution]:
    """Return distributions with all they require, extras left out."""
    found: dict[str, metadata.Distribution] = {}
    waiting = list(names)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            # Required under a marker that does not hold here.
            continue
        required = (text for text in found[name].requires or () if "extra ==" not in text)
        waiting.extend(re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0] for text in required)
    return list(found.values())


def _copied(sources: Iterable[Path]) -> Iterator[File]:
    """Yield the files of source packages."""
    for folder in sources:
        for path in _walk(folder):
            yield File(f"{PACKAGES}/{folder.name}/{path.relative_to(folder)}", path)


async def _libraries(files: Iterable[File]) -> list[File]:
    """Return the system libraries that programs and compiled modules are linked with, and the loader where it must be.

    Raises:
        ClusterError: naming a library that is missing.
    """
    linked = {file.source.resolve() for file in files if _is_linked(file.source)}
    answer = await carry_out(find_program("ldd", "install libc-bin"), *sorted(linked))
    missing = sorted(set(_MISSING.findall(answer)))
    if missing:
        raise ClusterError(f"the image needs libraries that this machine lacks: {', '.join(missing)}")
    found = {Path(name) for name in _LIBRARY.findall(answer)}
    libraries = [File(f"{HOME}/lib/{path.name}", path.resolve()) for path in found]
    loaders = [File(str(path).lstrip("/"), path.resolve()) for path in found if path.name.startswith("ld-linux")]
    if not loaders:
        raise ClusterError(f"no program loader was found for {platform.machine()}")
    return [*libraries, *loaders]


def _is_linked(path: Path) -> bool:
    """Whether a file is a program or library of this system (elf(5))."""
    if path.suffix in {".py", ".pyi"}:
        return False
    with path.open("rb") as content:
        return content.read(4) == b"\x7fELF"

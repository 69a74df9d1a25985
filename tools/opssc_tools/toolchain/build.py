"""Builds the pinned programs into their cache folder, once, showing how far it is."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from opssc_tools.errors import BuildError, MissingProgramError
from opssc_tools.toolchain.pins import MODULES, GoModule, build_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIST_TIMEOUT_SECONDS = 600
REPORT_EVERY_SECONDS = 15.0


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold the lock file, so that two set-ups at once build once."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _stamp_flags(module: GoModule) -> str:
    """Return linker flags that make the programs report the pinned version, as the official ones do."""
    major, minor = module.version.removeprefix("v").split(".")[:2]
    values = {
        "gitVersion": module.version,
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
    }
    stamps = [f"-X {package}.{name}={value}" for package in module.stamps for name, value in values.items()]
    return " ".join(["-s", "-w", *stamps])


def _environment() -> dict[str, str]:
    """Return the environment of the Go command: no C compiler is needed."""
    return {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}


def _count_packages(module: GoModule) -> int:
    """Download what is missing and return how many packages the programs are made of."""
    command = ["go", "list", "-deps", *module.packages.values()]
    done = subprocess.run(
        command,
        cwd=module.folder,
        env=_environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=LIST_TIMEOUT_SECONDS,
    )
    if done.returncode != 0:
        raise BuildError(f"the packages of {module.name} {module.version} could not be fetched; see Go's words above")
    return len(done.stdout.splitlines())


def _follow(output: IO[str], module: GoModule, total: int) -> list[str]:
    """Show how many packages are compiled until the output ends; return the lines that name none."""
    started = shown = time.monotonic()
    compiled, words = 0, []
    for line in output:
        if " " in line.strip():
            words.append(line)
            continue
        compiled += 1
        now = time.monotonic()
        if sys.stdout.isatty():
            print(f"\r{_progress(module, compiled, total, now - started)}", end="", flush=True)
        elif now - shown >= REPORT_EVERY_SECONDS:
            shown = now
            print(_progress(module, compiled, total, now - started), flush=True)
    if sys.stdout.isatty():
        print()
    return words


def _progress(module: GoModule, compiled: int, total: int, seconds: float) -> str:
    """Return one line of progress."""
    return f"  {module.name}: {compiled} of {total} packages compiled, {seconds:.0f} s"


def _compile(module: GoModule, folder: Path) -> None:
    """Compile the programs of a module into an empty folder."""
    total = _count_packages(module)
    command = ["go", "build", "-v", "-trimpath", "-ldflags", _stamp_flags(module), "-o", f"{folder}/"]
    with subprocess.Popen(
        [*command, *module.packages.values()],
        cwd=module.folder,
        env=_environment(),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None  # noqa: S101 - asked for by stderr=PIPE
        words = _follow(process.stderr, module, total)
    if process.returncode != 0:
        raise BuildError(f"{module.name} {module.version} could not be built:\n{''.join(words[-20:])}")
    for program, package in module.packages.items():
        built = folder / _default_name(package)
        built.rename(folder / program)


def _default_name(package: str) -> str:
    """Return the file name Go gives a program: the last part of its path that is no major version."""
    parts = package.split("/")
    return parts[-2] if parts[-1].startswith("v") and parts[-1][1:].isdigit() else parts[-1]


def ensure(module: GoModule) -> Path:
    """Return the folder with the module's programs, building them when the pins are new.

    Raises:
        BuildError: when the build fails.
        MissingProgramError: when there is no fitting Go.
    """
    folder = build_folder(module)
    with _alone(folder.with_name(f"{folder.name}.lock")):
        if folder.is_dir():
            return folder
        print(f"building {', '.join(module.packages)} {module.version} (once; kept in {folder})", flush=True)
        started = time.monotonic()
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        _compile(module, unfinished)
        unfinished.rename(folder)
        print(f"built {module.name} in {time.monotonic() - started:.0f} s", flush=True)
    return folder


def main() -> int:
    """Build what is missing; the exit code says whether all is there."""
    try:
        for module in MODULES:
            ensure(module)
    except (BuildError, MissingProgramError) as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

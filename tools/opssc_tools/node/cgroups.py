"""The control group that holds a node's pods, in every hierarchy of this machine."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path

from opssc_tools.errors import ClusterError

ROOT = Path("/sys/fs/cgroup")
PREFIX = "opssc-node-"
END_SECONDS = 10.0
POLL_SECONDS = 0.05


def hierarchies() -> list[Path]:
    """Return the mounted hierarchies: one of version 2, or those of version 1 (with a version 2 beside them)."""
    if (ROOT / "cgroup.procs").exists():
        return [ROOT]
    return sorted({folder.resolve() for folder in ROOT.iterdir() if (folder / "cgroup.procs").exists()})


def probe() -> None:
    """Make a control group in every hierarchy and remove it again.

    Raises:
        OSError: where that is not allowed.
    """
    for hierarchy in hierarchies():
        folder = hierarchy / f"{PREFIX}probe-{os.getpid()}"
        folder.mkdir()
        folder.rmdir()


def make() -> str:
    """Make a control group for a node; return its name.

    Raises:
        ClusterError: when the machine does not allow it.
    """
    name = f"{PREFIX}{os.getpid()}"
    try:
        for hierarchy in hierarchies():
            (hierarchy / name).mkdir(exist_ok=True)
    except OSError as exc:
        raise ClusterError(f"no control group can be made for the node: {exc}") from exc
    return name


async def remove(name: str) -> None:
    """Remove a node's control groups; the last of its processes may leave them a moment after it ended.

    Raises:
        ClusterError: when processes stay in them.
    """
    try:
        async with asyncio.timeout(END_SECONDS):
            while True:
                if _removed(name):
                    return
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError as exc:
        raise ClusterError(f"the control group {name} is still in use") from exc


def remove_leftovers() -> None:
    """Remove the empty control groups of nodes whose program was killed; those in use stay."""
    names = {folder.name for hierarchy in hierarchies() for folder in hierarchy.glob(f"{PREFIX}[0-9]*")}
    for name in names:
        _removed(name)


def _removed(name: str) -> bool:
    """Remove what can be removed of a node's control groups; return whether all are gone."""
    tops = [top for hierarchy in hierarchies() if (top := hierarchy / name).is_dir()]
    for top in tops:
        for folder in sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True):
            with suppress(OSError):
                folder.rmdir()
        with suppress(OSError):
            top.rmdir()
    return not any(top.is_dir() for top in tops)

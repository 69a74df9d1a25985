"""What a process and everything it started take of the machine, read from proc(5)."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opssc_tools.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROC: Final = Path("/proc")
_PPID: Final = 1
_UTIME: Final = 11
_STIME: Final = 12


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor seconds used since the start, and resident bytes held now."""

    processor_seconds: float
    resident_bytes: int


def usage_of(pid: int) -> Usage:
    """Add up a process and its living descendants; raises ClusterError when the process is gone.

    What descendants that ended used is in their parents' account and not counted.
    """
    if not (_PROC / str(pid)).exists():
        raise ClusterError(f"process {pid} has ended")
    found = [_usage(each) for each in _tree(pid)]
    return Usage(sum(each.processor_seconds for each in found), sum(each.resident_bytes for each in found))


def _tree(root: int) -> Iterator[int]:
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                children.setdefault(int(_fields(int(entry.name))[_PPID]), []).append(int(entry.name))
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting += children.get(pid, ())


def _usage(pid: int) -> Usage:
    try:
        fields = _fields(pid)
        resident = int((_PROC / str(pid) / "statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return Usage(0.0, 0)  # it ended while we looked
    ticks = int(fields[_UTIME]) + int(fields[_STIME])
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), resident * os.sysconf("SC_PAGE_SIZE"))


def _fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the command's name, which may hold spaces itself."""
    return (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()

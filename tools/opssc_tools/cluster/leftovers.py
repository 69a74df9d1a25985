"""What an earlier run in the same directory left behind: its processes, should any have outlived it."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

RECORD = "processes.json"
START_TIME_FIELD = 19  # of /proc/PID/stat, counted after the command name; proc(5)


def _start_time(pid: int) -> str | None:
    """Return when a process started, in clock ticks since boot; None when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return stat.rpartition(")")[2].split()[START_TIME_FIELD]


def record(directory: Path, pids: Iterable[int]) -> None:
    """Write down which processes run for this directory."""
    running = {str(pid): _start_time(pid) for pid in pids}
    (directory / RECORD).write_text(json.dumps(running), encoding="utf-8")


def clear(directory: Path) -> None:
    """Kill recorded processes that still run and forget them; a number used again by another process is left alone."""
    path = directory / RECORD
    if not path.is_file():
        return
    for pid, started in json.loads(path.read_text(encoding="utf-8")).items():
        if started is not None and _start_time(int(pid)) == started:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
    path.unlink()

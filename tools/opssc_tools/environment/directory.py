"""The directory of a consortium: one running consortium at a time, which the kernel lets go of however it ends."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from opssc_tools.errors import EnvironmentSpecError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK: Final = "running"


@contextmanager
def hold(directory: Path) -> Iterator[None]:
    """Own the directory inside the block.

    Raises:
        EnvironmentSpecError: when another consortium runs there; its files and processes are left alone.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / LOCK).open("a+", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            raise EnvironmentSpecError(
                f"a consortium runs in {directory} already (process {owner}); end it, or choose another directory"
            ) from exc
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield

"""Server processes of a test cluster: started in their own session, logged to a file, always ended."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from opssc_tools.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Sequence

BOUND = Path(__file__).with_name("bound.py")
GRACE_SECONDS = 3.0
LOG_TAIL_BYTES = 2000


class ServerProcess:
    """One running program; it ends with `stop`, or with this Python process, whichever comes first."""

    def __init__(self, command: Sequence[str | Path], logs: Path, *, name: str = "") -> None:
        """Start `command` (an absolute program path and its arguments); both outputs are appended to a log in `logs`.

        The process is known, and its log named, by `name`, or by its program where that is empty.

        The kernel ties the child to the starting thread, so start from the main one.
        """
        self.name = name or Path(command[0]).name
        self.log = logs / f"{self.name}.log"
        logs.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._popen = subprocess.Popen(
                [sys.executable, "-I", "-S", BOUND, str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=logs,
                # Ctrl-C in a terminal must reach the parent alone, which stops its children in order.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process ID."""
        return self._popen.pid

    def check(self) -> None:
        """Raise when the process has ended by itself.

        Raises:
            ClusterError: with the last words of its log.
        """
        code = self._popen.poll()
        if code is not None:
            words = self.log.read_bytes()[-LOG_TAIL_BYTES:].decode("utf-8", errors="replace")
            raise ClusterError(f"{self.name} ended by itself with code {code}; the end of {self.log}:\n{words}")

    async def stop(self) -> None:
        """End the process: ask, wait up to three seconds, then kill; return once it is gone."""
        if self._popen.poll() is not None:
            return
        self._popen.terminate()
        try:
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._popen.wait, GRACE_SECONDS)
        finally:
            self.kill()

    def kill(self) -> None:
        """End the process at once unless it ended already, and return when it is gone."""
        if self._popen.poll() is None:
            self._popen.kill()
            self._popen.wait()

"""One of our Python programs as a process of its own, that can be stopped, killed and started again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opssc_tools.cluster.process import ServerProcess
from opssc_tools.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Sequence

_KIBIBYTE: Final = 1024


class PythonProgram:
    """`python -m MODULE ARGUMENT...`; its log, `NAME.log`, goes on over restarts."""

    def __init__(self, name: str, module: str, arguments: Sequence[str | Path], logs: Path) -> None:
        self.name = name
        self._command = (sys.executable, "-m", module, *arguments)
        self._logs = logs
        self._process: ServerProcess | None = None

    @property
    def log(self) -> Path:
        """The file both outputs go to."""
        return self._logs / f"{self.name}.log"

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        if self._process is None:
            return False
        try:
            self._process.check()
        except ClusterError:
            return False
        return True

    @property
    def pid(self) -> int:
        """The process ID; raises ClusterError when it does not run."""
        self.check()
        if self._process is None:
            raise ClusterError(f"{self.name} was not started")
        return self._process.pid

    @property
    def resident_bytes(self) -> int:
        """Memory the process holds now (proc(5), VmRSS); raises ClusterError when it does not run."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * _KIBIBYTE

    @property
    def processor_seconds(self) -> float:
        """Processor time the process has used (proc(5), utime and stime); raises ClusterError when it does not run."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def start(self) -> None:
        """Start it unless it runs; call from the main thread."""
        if not self.running:
            self._process = ServerProcess(self._command, self._logs, name=self.name)

    def check(self) -> None:
        """Raise ClusterError with the end of the log when it ended by itself."""
        if self._process is not None:
            self._process.check()

    async def stop(self) -> None:
        """Ask it to end, and return once it has; it is forgotten then."""
        process, self._process = self._process, None
        if process is not None:
            await process.stop()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()

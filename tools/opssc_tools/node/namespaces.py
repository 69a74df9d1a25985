"""The network, mount and process namespaces that a node lives in, held by their first process.

When that process ends the kernel kills everything inside, and mounts, links and routes are gone with it. It ends with
`unshare`, which ends with this Python process, however that ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from opssc_tools.cluster.process import ServerProcess
from opssc_tools.cluster.shared import find_program
from opssc_tools.errors import ClusterError
from opssc_tools.node.command import carry_out

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

START_SECONDS = 10.0
END_SECONDS = 30.0
POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Namespaces that exist; `first` is the process ID, as this machine sees it, of their first process."""

    first: int
    logs: Path
    holder: ServerProcess
    launched: list[ServerProcess] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def start(cls, pause: Path, logs: Path) -> AsyncIterator[Namespaces]:
        """Make the namespaces; after the block everything that ran in them is gone. Call from the main thread.

        Raises:
            ClusterError: when the kernel refuses; MissingProgramError when there is no `unshare`.
        """
        unshare = find_program("unshare", "install util-linux")
        options = ("--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
        holder = ServerProcess([unshare, *options, pause], logs, name="namespaces")
        try:
            namespaces = cls(await _until_first(holder, pause), logs, holder)
            try:
                yield namespaces
            finally:
                await namespaces.end()
        finally:
            await holder.stop()

    def command(self, *program: str | Path, processes: bool = True) -> list[str | Path]:
        """Return the command that runs a program inside; without `processes` it only shares mounts and network."""
        enter = find_program("nsenter", "install util-linux")
        kinds = ("--net", "--mount", *(("--pid",) if processes else ()))
        return [enter, f"--target={self.first}", *kinds, "--", *program]

    async def carry_out(self, *program: str | Path) -> str:
        """Run a short command inside to its end; return its output. Raises ClusterError when it fails."""
        return await carry_out(*self.command(*program, processes=False))

    def launch(self, *program: str | Path) -> ServerProcess:
        """Start a server inside; it ends with the namespaces."""
        process = ServerProcess(self.command(*program), self.logs, name=Path(program[0]).name)
        self.launched.append(process)
        return process

    async def end(self) -> None:
        """Kill the first process; the kernel lets it go when everything inside is gone, and `unshare` follows.

        Raises:
            ClusterError: when something inside cannot be killed in time.
        """
        if self.first in _children(self.holder.pid):
            os.kill(self.first, signal.SIGKILL)
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._until_empty()
        except TimeoutError as exc:
            raise ClusterError(f"processes of the node still run after {END_SECONDS:.0f} s") from exc
        for process in (*self.launched, self.holder):
            await process.stop()

    async def _until_empty(self) -> None:
        while True:
            if self.first not in _children(self.holder.pid):
                return
            await asyncio.sleep(POLL_SECONDS)


async def _until_first(holder: ServerProcess, pause: Path) -> int:
    """Return the process ID of the first process once it runs `pause`, hence after all mounts were made."""
    try:
        async with asyncio.timeout(START_SECONDS):
            while True:
                holder.check()
                for child in _children(holder.pid):
                    if _runs(child, pause):
                        return child
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError as exc:
        raise ClusterError(f"there are no namespaces after {START_SECONDS:.0f} s; see {holder.log}") from exc


def _children(pid: int) -> list[int]:
    """Return the children of a process (proc(5)); none when it ended."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _runs(pid: int, program: Path) -> bool:
    """Whether a process runs this program."""
    try:
        return Path(f"/proc/{pid}/exe").samefile(program)
    except (FileNotFoundError, ProcessLookupError):
        return False

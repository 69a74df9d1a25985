"""One node as a child process: started, awaited, stopped; its output goes to a log file."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fabric_devnet.errors import NodeFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CHILD = Path(__file__).with_name("child.py")
_POLL_SECONDS = 0.02
_STOP_SECONDS = 10.0
_LOG_TAIL_BYTES = 2000


@dataclass(frozen=True, slots=True)
class NodeCommand:
    """How to run a node: `addresses` (host:port) all listen once it is ready."""

    name: str
    program: Path
    arguments: Sequence[str]
    environment: Mapping[str, str]
    log_file: Path
    addresses: Sequence[str]


class NodeProcess:
    """A running node."""

    __slots__ = ("_command", "_process")

    def __init__(self, command: NodeCommand, process: asyncio.subprocess.Process) -> None:
        self._command = command
        self._process = process

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.returncode is None

    @classmethod
    async def start(cls, command: NodeCommand, *, ready_seconds: float) -> NodeProcess:
        """Start a node and wait until it listens everywhere; raises NodeFailed with the end of its log."""
        command.log_file.parent.mkdir(parents=True, exist_ok=True)
        with command.log_file.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", str(_CHILD), str(os.getpid()), str(command.program), *command.arguments,
                env=dict(command.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C goes to us alone, so that the nodes are stopped in order.
                start_new_session=True,
            )  # fmt: skip
        node = cls(command, process)
        try:
            async with asyncio.timeout(ready_seconds):
                for address in command.addresses:
                    await node._listening(address)
        except TimeoutError as exc:
            await node.stop()
            raise NodeFailed(f"{command.name} did not listen within {ready_seconds:g} s; {node._log_end()}") from exc
        except BaseException:
            await node.stop()
            raise
        return node

    async def stop(self) -> None:
        """End the process, by force after ten seconds, and wait for it."""
        if not self.running:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _listening(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        while True:
            if not self.running:
                raise NodeFailed(f"{self._command.name} ended with {self._process.returncode}; {self._log_end()}")
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except ConnectionRefusedError:
                await asyncio.sleep(_POLL_SECONDS)
                continue
            writer.close()
            return

    def _log_end(self) -> str:
        tail = self._command.log_file.read_bytes()[-_LOG_TAIL_BYTES:].decode("utf-8", "replace").strip()
        return f"the log {self._command.log_file} ends with:\n{tail}"

"""Waits for a program inside the namespaces to listen on its socket."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from opssc_tools.errors import ClusterError

if TYPE_CHECKING:
    from opssc_tools.cluster.process import ServerProcess
    from opssc_tools.node.namespaces import Namespaces

START_SECONDS = 30.0
POLL_SECONDS = 0.05


async def until_listening(namespaces: Namespaces, path: Path, process: ServerProcess) -> None:
    """Return once the Unix socket at `path`, as the namespaces see it, accepts connections.

    Raises:
        ClusterError: when the process ends first, or the time is over.
    """
    seen_here = Path(f"/proc/{namespaces.first}/root") / path.relative_to("/")
    try:
        async with asyncio.timeout(START_SECONDS):
            while not _accepts(seen_here):
                process.check()
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError as exc:
        raise ClusterError(f"nobody listens at {path} after {START_SECONDS:.0f} s; see {process.log}") from exc


def _accepts(path: Path) -> bool:
    """Whether a connection to a Unix socket is accepted."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True

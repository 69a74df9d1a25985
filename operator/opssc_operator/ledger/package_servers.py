"""What installed packages say of their chaincode servers, where the proposal does not: read once from an own peer.

Owns the packages being read and what was found.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from fabric_admin import package
from fabric_admin.errors import FabricError, PackageError
from opssc_operator.domain.runtime import STARTED_BY_PEERS, UNREADABLE, NamedServer, is_started_by_peers, read_server
from opssc_operator.ledger.peers import OwnPeers

AGAIN_SECONDS: Final = 60.0
"""How soon to read a package again that no peer gave."""


class PackageServers:
    """The servers that packages name, by package ID."""

    def __init__(self, peers: OwnPeers, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._peers = peers
        self._clock = clock
        self._named: dict[str, NamedServer] = {}
        self._due: dict[str, float] = {}
        self._reading: set[asyncio.Task[None]] = set()
        # Packages can be large.
        self._one = asyncio.Lock()

    def find(self, package_id: str, holders: Sequence[str], changed: Callable[[], None]) -> NamedServer | None:
        """What a package says that the named own peers have; None while it is read, and ``changed`` is called then."""
        known, now = self._named.get(package_id), self._clock()
        if known is None and holders and now >= self._due.get(package_id, now):
            self._due[package_id] = float("inf")
            task = asyncio.create_task(self._read(package_id, holders[0], changed), name=f"reading {package_id}")
            self._reading.add(task)
            task.add_done_callback(self._reading.discard)
        return known

    async def close(self) -> None:
        """Give up what is being read."""
        reading = tuple(self._reading)
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)

    async def _read(self, package_id: str, holder: str, changed: Callable[[], None]) -> None:
        try:
            async with self._one:
                data = await self._peers.get(holder).lifecycle.get_installed_package(package_id)
                self._named[package_id] = await asyncio.to_thread(named_by, data)
        except FabricError:
            self._due[package_id] = self._clock() + AGAIN_SECONDS
            return
        changed()


def named_by(data: bytes) -> NamedServer:
    """What the bytes of a package say of its server; a peer has installed them, so they are a package."""
    try:
        parsed = package.parse(data)
        return STARTED_BY_PEERS if is_started_by_peers(parsed.type) else read_server(package.unpack_code(parsed))
    except PackageError:
        return UNREADABLE

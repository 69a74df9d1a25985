"""What installed packages say of their chaincode servers, where the proposal does not: read once from an own peer.

Owns the packages being read and what was found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from fabric_admin import package
from fabric_admin.errors import FabricError, PackageError
from opssc_operator.domain.server_address import (
    STARTED_BY_PEERS,
    UNREADABLE,
    NamedServer,
    is_started_by_peers,
    read_server,
)
from opssc_operator.ledger.peers import OwnPeers

AGAIN_SECONDS: Final = 60.0
"""How soon to read a package again that no peer gave."""


class PackageServers:
    """The servers that packages name, by package ID."""

    def __init__(self, peers: OwnPeers, *, again_seconds: float = AGAIN_SECONDS) -> None:
        self._peers = peers
        self._again_seconds = again_seconds
        self._named: dict[str, NamedServer] = {}
        self._reading: dict[str, asyncio.Task[None]] = {}
        # Packages can be large.
        self._one = asyncio.Lock()

    def find(self, package_id: str, holders: Sequence[str], changed: Callable[[], None]) -> NamedServer | None:
        """What a package says that the named own peers have; None while it is read.

        ``changed`` is called when it is known, or when it is time to try again.
        """
        known = self._named.get(package_id)
        if known is None and holders and package_id not in self._reading:
            self._reading[package_id] = asyncio.create_task(
                self._read(package_id, holders, changed), name=f"reading {package_id}"
            )
        return known

    async def close(self) -> None:
        """Give up what is being read."""
        reading = tuple(self._reading.values())
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)

    async def _read(self, package_id: str, holders: Sequence[str], changed: Callable[[], None]) -> None:
        try:
            found = await self._fetch(package_id, holders)
            if found is None:
                await asyncio.sleep(self._again_seconds)
            else:
                self._named[package_id] = found
        finally:
            # Whoever looks from now on may begin to read it anew.
            del self._reading[package_id]
        changed()

    async def _fetch(self, package_id: str, holders: Sequence[str]) -> NamedServer | None:
        for holder in holders:
            try:
                async with self._one:
                    data = await self._peers.get(holder).patient_lifecycle.get_installed_package(package_id)
                    return await asyncio.to_thread(named_by, data)
            except FabricError:
                continue
        return None


def named_by(data: bytes) -> NamedServer:
    """What the bytes of a package say of its server; a peer has installed them, so they are a package."""
    try:
        parsed = package.parse(data)
        return STARTED_BY_PEERS if is_started_by_peers(parsed.type) else read_server(package.unpack_code(parsed))
    except PackageError:
        return UNREADABLE

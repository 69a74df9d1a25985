"""Own nodes and a channel that was just agreed to: what they show of it, and having them join it.

Orderers join by their channel participation API over mutual TLS, peers by their configuration system chaincode.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from fabric_protos.common import common_pb2

from fabric_admin.blocks import header_hash
from fabric_admin.errors import ChaincodeError, FabricError
from fabric_admin.system import System
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.kinds.creation_work import OrdererSeen, PeerSeen
from opssc_operator.errors import PartialError
from opssc_operator.ledger.own_orderers import OwnOrderers
from opssc_operator.ledger.peers import OwnPeer, OwnPeers
from opssc_operator.ledger.translate import explain

LOOK_SECONDS: Final = 10.0
JOIN_SECONDS: Final = 30.0
_LEDGER_EXISTS: Final = "already exists"
"""In what a peer says of a channel it has joined (Fabric: core/ledger/ledgermgmt)."""


class NewChannels:
    """Asks own nodes about one channel, and has own peers join it."""

    def __init__(self, peers: OwnPeers, orderers: OwnOrderers) -> None:
        self._peers = peers
        self._orderers = orderers

    async def see_orderers(self, channel: str, addresses: Sequence[str]) -> tuple[OrdererSeen, ...]:
        """What each own consenter shows; one that does not answer is an answer, not an error."""
        return tuple(await asyncio.gather(*(self._see_orderer(channel, address) for address in addresses)))

    async def see_peers(self, channel: str) -> tuple[PeerSeen, ...]:
        """What each own peer shows; one that does not answer is an answer, not an error."""
        return tuple(await asyncio.gather(*(_see_peer(channel, peer) for peer in self._peers.all)))

    async def join_peer(self, name: str, block: common_pb2.Block) -> None:
        """Have an own peer join as the admin; one that has joined already is fine. Raises PartialError."""
        peer = self._peers.get(name)
        try:
            await System(peer.connection, peer.admin).join(block, timeout_seconds=JOIN_SECONDS)
        except FabricError as exc:
            if not isinstance(exc, ChaincodeError) or _LEDGER_EXISTS not in exc.message:
                message = f"peer {name} did not join: {explain(exc)}"
                raise PartialError(message, reason=Reason.PEER_UNREACHABLE) from exc
        await peer.look()

    async def _see_orderer(self, channel: str, address: str) -> OrdererSeen:
        if not self._orderers.know(address):
            return OrdererSeen(address, listed=False)
        try:
            info = await self._orderers.info(channel, address)
        except FabricError as exc:
            return OrdererSeen(address, problem=explain(exc))
        return OrdererSeen(address, joined=info is not None)


async def _see_peer(channel: str, peer: OwnPeer) -> PeerSeen:
    try:
        if channel not in await peer.fetch_channels():
            return PeerSeen(peer.name)
    except FabricError as exc:
        return PeerSeen(peer.name, problem=explain(exc))
    try:
        block = await peer.system.block_by_number(channel, 0, timeout_seconds=LOOK_SECONDS)
    except FabricError:
        # A peer that joined by a snapshot has no block 0; another one may show it.
        return PeerSeen(peer.name, joined=True)
    return PeerSeen(peer.name, joined=True, block_hash=header_hash(block.header).hex())

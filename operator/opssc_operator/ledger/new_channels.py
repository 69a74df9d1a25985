"""Own nodes and a channel that was just agreed to: what they show of it, and having them join it.

Orderers join by their channel participation API over mutual TLS, peers by their configuration system chaincode.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from fabric_protos.common import common_pb2

from fabric_admin.blocks import header_hash
from fabric_admin.errors import ChaincodeError, DeliverError, FabricError
from fabric_admin.identity import SigningIdentity
from fabric_admin.orderer import Orderer
from fabric_admin.system import System
from fabric_admin.transport import Connection
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.kinds.creation_work import OrdererSeen, PeerSeen
from opssc_operator.errors import PartialError
from opssc_operator.ledger.own_orderers import OwnOrderers
from opssc_operator.ledger.peers import OwnPeer, OwnPeers
from opssc_operator.ledger.translate import explain

LOOK_SECONDS: Final = 10.0
JOIN_SECONDS: Final = 30.0
REFUSAL: Final = (
    "is in a channel of that name and refuses to show its first block; check the operator's identity and the channel's "
    "Readers, or remove it there when it is another channel (osnadmin channel remove)"
)
_LEDGER_EXISTS: Final = "already exists"
"""In what a peer says of a channel it has joined (Fabric: core/ledger/ledgermgmt)."""
_FORBIDDEN: Final = "FORBIDDEN"
_NOT_FOUND: Final = "NOT_FOUND"


class NewChannels:
    """Asks own nodes about one channel with the own identity, and has own peers join it."""

    def __init__(self, peers: OwnPeers, orderers: OwnOrderers, identity: SigningIdentity) -> None:
        self._peers = peers
        self._orderers = orderers
        self._identity = identity

    async def see_orderers(self, channel: str, addresses: Sequence[str]) -> tuple[OrdererSeen, ...]:
        """What each own consenter shows; one that does not answer is an answer, not an error."""
        return tuple(await asyncio.gather(*(self._see_orderer(channel, address) for address in addresses)))

    async def see_all(self, channel: str) -> tuple[tuple[OrdererSeen, ...], tuple[PeerSeen, ...]]:
        """What every listed orderer and every peer shows; one that does not answer is an answer, not an error."""
        return await asyncio.gather(self.see_orderers(channel, self._orderers.addresses), self.see_peers(channel))

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
        return OrdererSeen(address) if info is None else await self._see_first_block(channel, address)

    async def _see_first_block(self, channel: str, address: str) -> OrdererSeen:
        """What an orderer that is in a channel of this name has as its first block."""
        seen = OrdererSeen(address, joined=True)
        try:
            async with Connection(self._orderers.endpoint(address)) as connection:
                orderer = Orderer(connection, self._identity)
                # The others may not have joined yet, so that there is no leader.
                block = await orderer.fetch(channel, 0, best_effort=True, timeout_seconds=LOOK_SECONDS)
        except DeliverError as exc:
            if exc.status == _FORBIDDEN:
                return replace(seen, problem=REFUSAL)
            return seen if exc.status == _NOT_FOUND else replace(seen, problem=explain(exc))
        except FabricError as exc:
            return replace(seen, problem=explain(exc))
        return replace(seen, block_hash=header_hash(block.header).hex())


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

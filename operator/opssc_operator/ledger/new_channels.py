"""Own nodes and a channel that was just agreed to: what they show of it, and having them join it.

Orderers join by their channel participation API over mutual TLS, peers by their configuration system chaincode.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from fabric_protos.common import common_pb2

from fabric_admin.blocks import header_hash
from fabric_admin.errors import ChaincodeError, FabricError, ParticipationError
from fabric_admin.participation import Participation
from fabric_admin.system import System
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.kinds.creation_work import OrdererSeen, PeerSeen
from opssc_operator.errors import PartialError
from opssc_operator.ledger.peers import OwnPeer, OwnPeers
from opssc_operator.ledger.translate import explain

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 10.0
JOIN_SECONDS: Final = 30.0
_NOT_FOUND: Final = 404
_JOINED_ALREADY: Final = 405
_LEDGER_EXISTS: Final = "already exists"
"""In what a peer says of a channel it has joined (Fabric: core/ledger/ledgermgmt)."""


@dataclass(frozen=True, slots=True)
class OrdererAccess:
    """An own orderer, by the address that channels name, and its participation endpoint; all but addresses is PEM."""

    address: str
    admin_address: str
    tls_roots: bytes
    certificate: bytes
    key: bytes = field(repr=False)

    def open(self) -> Participation:
        """A client to be closed after use; raises IdentityError when the TLS material cannot be read."""
        return Participation(f"https://{self.admin_address}", self.tls_roots, self.certificate, self.key)


class NewChannels:
    """Asks own nodes about one channel, and has them join it; connects to orderers only while it asks."""

    def __init__(self, peers: OwnPeers, orderers: Sequence[OrdererAccess]) -> None:
        self._peers = peers
        self._orderers = {orderer.address: orderer for orderer in orderers}

    async def see_orderers(self, channel: str, addresses: Sequence[str]) -> tuple[OrdererSeen, ...]:
        """What each own consenter shows; one that does not answer is an answer, not an error."""
        return tuple(await asyncio.gather(*(self._see_orderer(channel, address) for address in addresses)))

    async def see_peers(self, channel: str) -> tuple[PeerSeen, ...]:
        """What each own peer shows; one that does not answer is an answer, not an error."""
        return tuple(await asyncio.gather(*(_see_peer(channel, peer) for peer in self._peers.all)))

    async def join_orderer(self, address: str, block: common_pb2.Block) -> None:
        """Have an own orderer join; one that has joined already is fine. Raises PartialError."""
        try:
            async with self._orderers[address].open() as participation:
                await participation.join(block, timeout_seconds=JOIN_SECONDS)
        except FabricError as exc:
            if isinstance(exc, ParticipationError) and exc.status == _JOINED_ALREADY:
                return
            raise PartialError(f"orderer {address} did not join: {explain(exc)}") from exc
        logger.info("joined", extra={"orderer": address})

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
        access = self._orderers.get(address)
        if access is None:
            return OrdererSeen(address, listed=False)
        try:
            async with access.open() as participation:
                await participation.info(channel, timeout_seconds=LOOK_SECONDS)
        except FabricError as exc:
            if isinstance(exc, ParticipationError) and exc.status == _NOT_FOUND:
                return OrdererSeen(address)
            return OrdererSeen(address, problem=explain(exc))
        return OrdererSeen(address, joined=True)


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

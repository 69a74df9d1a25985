"""Which peers and orderers of the network run and may be asked; stands in for gossip and for connections between nodes.

Nodes of one network live in one process, so asking another one is a call; faults set for its gRPC method still apply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from fabric_devnet.embedded.broadcast import NoAnswer
from fabric_devnet.embedded.errors import NodeUnreachable, ProposalRefused
from fabric_devnet.embedded.injection import call_between_nodes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fabric_protos.common import common_pb2
    from fabric_protos.orderer import ab_pb2
    from fabric_protos.peer import proposal_response_pb2

    from fabric_devnet.embedded.injection import EmbeddedFaults
    from fabric_devnet.embedded.ledger import Ledger
    from fabric_devnet.embedded.proposals import UnpackedProposal
    from fabric_devnet.plan import OrdererNode

PROCESS_PROPOSAL: Final = "/protos.Endorser/ProcessProposal"
BROADCAST: Final = "/orderer.AtomicBroadcast/Broadcast"


class EndorsingPeer(Protocol):
    """A peer as its neighbours see it."""

    @property
    def name(self) -> str:
        """Host name."""
        ...

    @property
    def msp_id(self) -> str:
        """Its organization."""
        ...

    @property
    def address(self) -> str:
        """`host:port` of its gRPC listener."""
        ...

    @property
    def creator(self) -> bytes:
        """Its serialized identity."""
        ...

    @property
    def running(self) -> bool:
        """Whether it serves now."""
        ...

    @property
    def ledgers(self) -> Mapping[str, Ledger]:
        """Its channels."""
        ...

    def can_run(self, channel_id: str, chaincode: str) -> bool:
        """Whether it has this chaincode, built-in ones included."""
        ...

    async def endorse(self, proposal: UnpackedProposal) -> proposal_response_pb2.ProposalResponse:
        """Endorse; raises ProposalRefused."""
        ...


class OrderingNode(Protocol):
    """An orderer as the gateways see it."""

    @property
    def node(self) -> OrdererNode:
        """Its name, organization and addresses."""
        ...

    @property
    def running(self) -> bool:
        """Whether it serves now."""
        ...

    def broadcast(self, envelope: common_pb2.Envelope) -> ab_pb2.BroadcastResponse:
        """Order a message or say why not."""
        ...


class Membership:
    """All nodes of one network, running or not."""

    def __init__(self, faults: EmbeddedFaults) -> None:
        self.faults = faults
        self._peers: dict[str, EndorsingPeer] = {}
        self._orderers: dict[str, OrderingNode] = {}

    def add_peer(self, peer: EndorsingPeer) -> None:
        """Make a peer known."""
        self._peers[peer.name] = peer

    def add_orderer(self, orderer: OrderingNode) -> None:
        """Make an orderer known."""
        self._orderers[orderer.node.name] = orderer

    def peers(self, channel_id: str, seen_by: EndorsingPeer) -> tuple[EndorsingPeer, ...]:
        """List the running peers a peer knows of on a channel, by name; with channel "" every running peer.

        Peers of an organization that is not, or no longer, a member by that peer's config are nobody to it.
        """
        running = [peer for _, peer in sorted(self._peers.items()) if peer.running]
        if not channel_id:
            return tuple(running)
        ledger = seen_by.ledgers.get(channel_id)
        members = ledger.config.members if ledger else ()
        return tuple(peer for peer in running if channel_id in peer.ledgers and peer.msp_id in members)

    def orderers(self, addresses: set[str]) -> tuple[OrderingNode, ...]:
        """List the orderers, running or not, that listen on these addresses."""
        return tuple(orderer for _, orderer in sorted(self._orderers.items()) if orderer.node.address in addresses)

    async def propose(
        self, target: EndorsingPeer, proposal: UnpackedProposal
    ) -> proposal_response_pb2.ProposalResponse:
        """Ask another peer to endorse; raises NodeUnreachable with the text a gRPC client would see."""

        async def call() -> proposal_response_pb2.ProposalResponse:
            if not target.running:
                raise NodeUnreachable(_unavailable(target.address))
            try:
                return await target.endorse(proposal)
            except ProposalRefused as exc:
                raise NodeUnreachable(f"rpc error: code = Unknown desc = {exc}") from exc

        return await call_between_nodes(self.faults, PROCESS_PROPOSAL, target.name, call)

    async def broadcast(self, target: OrderingNode, envelope: common_pb2.Envelope) -> ab_pb2.BroadcastResponse:
        """Send a message to an orderer; raises NodeUnreachable with the text a gRPC client would see."""

        async def call() -> ab_pb2.BroadcastResponse:
            if not target.running:
                raise NodeUnreachable(_unavailable(target.node.address))
            try:
                return target.broadcast(envelope)
            except NoAnswer as exc:
                raise NodeUnreachable("EOF") from exc

        return await call_between_nodes(self.faults, BROADCAST, target.node.name, call)


def _unavailable(address: str) -> str:
    return (
        'rpc error: code = Unavailable desc = connection error: desc = "transport: error while dialing: '
        f'dial tcp {address}: connect: connection refused"'
    )

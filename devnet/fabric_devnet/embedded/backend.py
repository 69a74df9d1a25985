"""The embedded backend: every peer and orderer of a network inside this process and its event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fabric_devnet.embedded.injection import EmbeddedFaults, FaultInterceptor
from fabric_devnet.embedded.membership import Membership
from fabric_devnet.embedded.orderer import Orderer
from fabric_devnet.embedded.ordering import OrderingService
from fabric_devnet.embedded.peer import Peer
from fabric_devnet.embedded.transient import TransientStore
from fabric_devnet.release import FABRIC_3_1_5

if TYPE_CHECKING:
    from fabric_devnet.plan import NetworkPlan, OrdererNode, PeerNode
    from fabric_devnet.release import Release


class EmbeddedBackend:
    """Plays the nodes of one network; a stopped node keeps its ledgers until `close`."""

    def __init__(self, plan: NetworkPlan) -> None:
        self.plan = plan
        self._faults = EmbeddedFaults()
        self._membership = Membership(self._faults)
        self._ordering = OrderingService()
        self._transient = TransientStore()
        self._peers: dict[str, Peer] = {}
        self._orderers: dict[str, Orderer] = {}

    @classmethod
    def read_release(cls) -> Release:
        """The release these nodes behave like."""
        return FABRIC_3_1_5

    @property
    def faults(self) -> EmbeddedFaults:
        """Faults to inject into calls to the nodes and between them."""
        return self._faults

    def running(self, name: str) -> bool:
        """Whether the node called `name` runs now."""
        node = self._peers.get(name) or self._orderers.get(name)
        return node is not None and node.running

    async def start_peer(self, node: PeerNode) -> None:
        """Run a peer; raises NodeFailed."""
        peer = self._peers.get(node.name)
        if peer is None:
            peer = self._peers[node.name] = Peer(node, self._membership, self._ordering, self._transient)
            self._membership.add_peer(peer)
        if not peer.running:
            await peer.start()

    async def stop_peer(self, node: PeerNode) -> None:
        """Stop a peer."""
        peer = self._peers.get(node.name)
        if peer is not None:
            await peer.stop()

    async def lose_package(self, node: PeerNode, package_id: str) -> None:
        """Forget a package of a stopped peer."""
        self._peers[node.name].lose_package(package_id)

    async def start_orderer(self, node: OrdererNode) -> None:
        """Run an orderer, with its channel participation endpoint; raises NodeFailed."""
        orderer = self._orderers.get(node.name)
        if orderer is None:
            interceptors = [FaultInterceptor(self._faults, node.name)]
            orderer = self._orderers[node.name] = Orderer(node, self._ordering, interceptors)
            self._membership.add_orderer(orderer)
        if not orderer.running:
            await orderer.start()

    async def stop_orderer(self, node: OrdererNode) -> None:
        """Stop an orderer."""
        orderer = self._orderers.get(node.name)
        if orderer is not None:
            await orderer.stop()

    async def close(self) -> None:
        """Stop every node."""
        for peer in self._peers.values():
            await peer.stop()
        for orderer in self._orderers.values():
            await orderer.stop()

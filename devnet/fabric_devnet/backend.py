"""The port between a network and whoever plays its nodes; both backends speak Fabric's protocols above it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from fabric_devnet.faults import FaultTable
    from fabric_devnet.plan import NetworkPlan, OrdererNode, PeerNode
    from fabric_devnet.release import Release


class Backend(Protocol):
    """Starts and stops single nodes; joining channels happens over the nodes' own protocols.

    Constructed with the NetworkPlan, whose key material is on disk by then. `start_*` returns once the node accepts
    connections and raises NodeFailed with the reason otherwise; a restarted node keeps its ledgers. `stop_*` returns
    once the node's ports are closed and does nothing when it is not running.
    """

    def __init__(self, plan: NetworkPlan) -> None:
        """Prepare to play the plan's nodes; raises BackendUnavailable."""
        ...

    @classmethod
    def read_release(cls) -> Release:
        """Say which release of Fabric the nodes are; raises BackendUnavailable."""
        ...

    @property
    def faults(self) -> FaultTable:
        """Faults to inject; raises NotSupported where nodes cannot be made to misbehave."""
        ...

    def running(self, name: str) -> bool:
        """Whether the node called `name` runs now."""
        ...

    async def start_peer(self, node: PeerNode) -> None:
        """Run a peer."""
        ...

    async def stop_peer(self, node: PeerNode) -> None:
        """Stop a peer."""
        ...

    async def lose_package(self, node: PeerNode, package_id: str) -> None:
        """Remove an installed package from a stopped peer's disk, as a lost volume would."""
        ...

    async def start_orderer(self, node: OrdererNode) -> None:
        """Run an orderer, with its channel participation endpoint."""
        ...

    async def stop_orderer(self, node: OrdererNode) -> None:
        """Stop an orderer."""
        ...

    async def close(self) -> None:
        """Stop every node and release everything."""
        ...

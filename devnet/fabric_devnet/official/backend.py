"""The `fabric` backend: official binaries of FABRIC_HOME, one process per node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fabric_devnet.errors import NotSupported
from fabric_devnet.official.builder import write_builder
from fabric_devnet.official.configuration import write_orderer_configuration, write_peer_configuration
from fabric_devnet.official.home import FabricHome
from fabric_devnet.official.process import NodeCommand, NodeProcess
from fabric_devnet.together import together

if TYPE_CHECKING:
    from fabric_devnet.faults import FaultTable
    from fabric_devnet.plan import NetworkPlan, OrdererNode, PeerNode
    from fabric_devnet.release import Release


class OfficialBackend:
    """Runs each node of a plan as a process; raises BackendUnavailable when FABRIC_HOME is not usable."""

    __slots__ = ("_builder", "_home", "_plan", "_processes")

    def __init__(self, plan: NetworkPlan) -> None:
        self._plan = plan
        self._home = FabricHome.find()
        self._builder = self._home.ccaas_builder or write_builder(plan.spec.directory / "nodes" / "ccaas-builder")
        self._processes: dict[str, NodeProcess] = {}

    @classmethod
    def read_release(cls) -> Release:
        """The release of the binaries in FABRIC_HOME; raises BackendUnavailable."""
        return FabricHome.find().read_release()

    @property
    def faults(self) -> FaultTable:
        """Official nodes cannot be made to misbehave; raises NotSupported."""
        raise NotSupported("faults can be injected into the embedded network only")

    def running(self, name: str) -> bool:
        """Whether the node's process lives."""
        process = self._processes.get(name)
        return process is not None and process.running

    async def start_peer(self, node: PeerNode) -> None:
        """Run `peer node start`."""
        siblings = [peer.address for peer in self._plan.peers if peer.msp_id == node.msp_id and peer is not node]
        environment = write_peer_configuration(node, siblings, self._home.core_yaml, self._builder)
        command = NodeCommand(
            name=node.name,
            program=self._home.peer,
            arguments=("node", "start"),
            environment=environment,
            log_file=node.log_file,
            addresses=(node.address, node.chaincode_address),
        )
        await self._start(command)

    async def lose_package(self, node: PeerNode, package_id: str) -> None:
        """Remove a package from the files of a stopped peer (Fabric: core/chaincode/persistence/persistence.go)."""
        label, _, digest = package_id.rpartition(":")
        store = node.data_directory / "production" / "lifecycle" / "chaincodes"
        (store / f"{label}.{digest}.tar.gz").unlink()

    async def start_orderer(self, node: OrdererNode) -> None:
        """Run `orderer`."""
        command = NodeCommand(
            name=node.name,
            program=self._home.orderer,
            arguments=(),
            environment=write_orderer_configuration(node, self._home.orderer_yaml),
            log_file=node.log_file,
            addresses=(node.address, node.admin_address),
        )
        await self._start(command)

    async def stop_peer(self, node: PeerNode) -> None:
        """End the peer's process."""
        await self._stop(node.name)

    async def stop_orderer(self, node: OrdererNode) -> None:
        """End the orderer's process."""
        await self._stop(node.name)

    async def close(self) -> None:
        """End every process."""
        await together(self._stop(name) for name in tuple(self._processes))

    async def _start(self, command: NodeCommand) -> None:
        if not self.running(command.name):
            ready_seconds = self._plan.spec.ready_seconds
            self._processes[command.name] = await NodeProcess.start(command, ready_seconds=ready_seconds)

    async def _stop(self, name: str) -> None:
        process = self._processes.pop(name, None)
        if process is not None:
            await process.stop()

"""The whole consortium on one machine: a Fabric network, a cluster and an operator for each organization."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from fabric_devnet.network import Network
from fabric_devnet.official.home import FabricHome
from fabric_devnet.spec import BackendName, NetworkSpec
from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_tools import toolchain
from opssc_tools.cluster.start import ClusterKind, start_cluster
from opssc_tools.environment import manifests, readback
from opssc_tools.environment.directory import hold
from opssc_tools.environment.joining import join_channel
from opssc_tools.environment.member import Member
from opssc_tools.environment.objects import Objects
from opssc_tools.environment.process import PythonProgram
from opssc_tools.environment.spec import GOVERNANCE_CHANNEL, PROJECT_ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence

    from fabric_devnet.network import Organization
    from opssc_tools.cluster import Cluster
    from opssc_tools.environment.manifests import ServicePackage
    from opssc_tools.environment.spec import EnvironmentSpec

CONTRACT_MODULE: Final = "opssc_chaincode"
ASSET_MODULE: Final = "opssc_tools.asset"
OPERATOR_MODULE: Final = "opssc_operator"
OPERATOR_ACCOUNT: Final = "opssc-operator"
ROLES: Final = ("operator.yaml", "chaincode-servers.yaml")
"""Files of config/rbac whose rules an operator is granted."""
GOVERNANCE_SECONDS: Final = 120.0
_ResultT = TypeVar("_ResultT")


@dataclass(frozen=True, slots=True)
class Consortium:
    """A consortium whose parts run; made by `Consortium.start`."""

    spec: EnvironmentSpec
    network: Network
    members: tuple[Member, ...]

    @classmethod
    @asynccontextmanager
    async def start(
        cls, spec: EnvironmentSpec, *, announce: Callable[[str], None] = lambda _: None
    ) -> AsyncIterator[Consortium]:
        """Start everything, governed by a committed contract when entered, stopped when left.

        `announce` is told what is done, when it is done. Call it from the main thread: processes are bound to it.

        Raises:
            ToolsError, DevnetError: when a part does not start.
            ConditionTimeoutError: when an organization does not become ready.
        """
        check(spec)
        async with AsyncExitStack() as stack:
            stack.enter_context(hold(spec.directory))
            network, clusters = await _start_ground(spec, stack, announce)
            organizations = tuple(network.organizations.values())
            members = await _together(
                _join(spec, organization, clusters[number % len(clusters)], stack)
                for number, organization in enumerate(organizations)
            )
            consortium = cls(spec, network, tuple(members))
            stack.push_async_callback(consortium._stop)
            await consortium._govern(announce)
            yield consortium

    def member(self, number: int) -> Member:
        """Organization `number`, counted from 1."""
        return self.members[number - 1]

    async def admit(self, member: Member, *channels: str, spec: Mapping[str, Any] | None = None) -> None:
        """Let a newcomer into the governance channel and these, and wait until its operator is ready.

        Its operator begins to run here: as with the others, it deploys the contract for its own organization. `spec`
        replaces parts of its FabricOrganization's.
        """
        for channel in (GOVERNANCE_CHANNEL, *channels):
            await join_channel(self.network, channel, member.organization)
        await self.introduce(member, spec)
        await self._until_ready(member)

    async def introduce(self, member: Member, spec: Mapping[str, Any] | None = None) -> None:
        """Begin to run a newcomer's operator, and its server of the contract, without letting it in anywhere.

        `spec` replaces parts of its FabricOrganization's; `manifests.build_joining` has its operator do the rest.
        """
        member.serve(CONTRACT_MODULE, manifests.contract_package())
        await self._introduce(member, spec)
        member.operator.start()

    @property
    def founders(self) -> tuple[Member, ...]:
        """Those that are on the governance channel from the start; the others can be admitted."""
        governance = next((found for found in self.spec.channels if found.name == GOVERNANCE_CHANNEL), None)
        names = self.network.spec.msp_ids if governance is None else self.network.spec.members(governance)
        return tuple(member for member in self.members if member.msp_id in names)

    async def everywhere(self, kind: Kind, name: str, condition: ConditionType, *, seconds: float) -> None:
        """Wait until a condition of an object of this name is True in every organization."""
        await asyncio.gather(*(member.until_true(kind, name, condition, seconds=seconds) for member in self.members))

    def serve_asset(self, package: ServicePackage) -> None:
        """Run the asset chaincode for a package in every organization."""
        for member in self.members:
            member.serve(ASSET_MODULE, package)

    async def _govern(self, announce: Callable[[str], None]) -> None:
        """Let the operators deploy the contract, and wait until every organization is ready."""
        founders = self.founders
        package = manifests.contract_package()
        for member in founders:
            member.serve(CONTRACT_MODULE, package)
        announce(f"{len(founders)} servers of the OpsSC contract run")
        await asyncio.gather(*(self._introduce(member) for member in founders))
        for member in founders:
            member.operator.start()
        announce(f"{len(founders)} operators run, each with a Role in its own namespace")
        await asyncio.gather(*(self._until_ready(member) for member in founders))
        announce(f"the operators deployed the OpsSC contract on {GOVERNANCE_CHANNEL} together")

    async def _introduce(self, member: Member, spec: Mapping[str, Any] | None = None) -> None:
        organization = manifests.build_organization(
            member.organization, governance_channel=GOVERNANCE_CHANNEL, resync_period=self.spec.resync_period
        )
        organization["spec"].update(spec or {})
        folder = self.spec.directory / "manifests" / member.name
        manifests.write(folder, "fabricorganization.yaml", organization)
        await member.apply(*manifests.build_secrets(member.organization), organization)

    async def _until_ready(self, member: Member) -> None:
        """Wait for an organization; what its operator said last is worth more than silence when it is gone."""
        waiting = asyncio.create_task(
            member.until_true(Kind.FABRIC_ORGANIZATION, member.name, ConditionType.READY, seconds=GOVERNANCE_SECONDS)
        )
        try:
            while not waiting.done():
                await asyncio.wait({waiting}, timeout=1.0)
                member.operator.check()
                for server in member.servers.values():
                    server.check()
            await waiting
        finally:
            waiting.cancel()

    async def _stop(self) -> None:
        await asyncio.gather(*(member.stop() for member in self.members))


def check(spec: EnvironmentSpec) -> None:
    """Say what this machine lacks before anything is started.

    Raises:
        MissingProgramError, BackendUnavailable: with what to install, build or set.
    """
    if spec.backend is BackendName.FABRIC:
        FabricHome.find()
    if spec.cluster in {ClusterKind.LOCAL, ClusterKind.NODE}:
        toolchain.locate()
    if spec.cluster is ClusterKind.NODE:
        toolchain.locate_node()


async def _start_ground(
    spec: EnvironmentSpec, stack: AsyncExitStack, announce: Callable[[str], None]
) -> tuple[Network, Sequence[Cluster]]:
    """Start the network and the clusters, all at once."""
    network_spec = NetworkSpec(
        directory=spec.directory / "network",
        organizations=spec.organizations,
        peers=spec.peers,
        orderers=spec.orderers,
        orderer_owners=spec.orderer_owners,
        spare_orderers=spec.spare_orderers,
        channel_capability=spec.channel_capability,
        channels=spec.channels,
        backend=spec.backend,
        batch_timeout=spec.batch_timeout,
        builder_fields=spec.builder_fields,
    )
    names = [msp_id.removesuffix("MSP").lower() for msp_id in network_spec.msp_ids]

    async def start_network() -> Network:
        network = await stack.enter_async_context(Network.start(network_spec))
        channels = ", ".join(channel.name for channel in spec.channels)
        announce(f"a Fabric network of {spec.organizations} organizations runs ({spec.backend}); channels {channels}")
        return network

    async def start_clusters() -> Sequence[Cluster]:
        clusters = await _together([start_one(name) for name in (["shared"] if spec.shares_api_server else names)])
        servers = "one Kubernetes API server serves" if len(clusters) == 1 else f"{len(clusters)} API servers serve"
        announce(f"{servers} the kinds of opssc.dev ({spec.cluster})")
        return clusters

    async def start_one(name: str) -> Cluster:
        directory = spec.directory / "clusters" / name
        cluster = await stack.enter_async_context(
            start_cluster(spec.cluster, name, directory, kubeconfig=spec.kubeconfig)
        )
        await cluster.apply_crds(PROJECT_ROOT / "crds")
        return cluster

    started_network, started_clusters = asyncio.create_task(start_network()), asyncio.create_task(start_clusters())
    # Both are waited for even when one fails, so that the stack knows of everything that was started.
    await _together([started_network, started_clusters])
    return started_network.result(), started_clusters.result()


async def _together(awaitables: Iterable[Awaitable[_ResultT]]) -> list[_ResultT]:
    """Wait for all, then raise the first failure if there is one."""
    results = await asyncio.gather(*awaitables, return_exceptions=True)
    done: list[_ResultT] = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        done.append(result)
    return done


async def _join(spec: EnvironmentSpec, organization: Organization, cluster: Cluster, stack: AsyncExitStack) -> Member:
    """Prepare one organization: its namespace, its operator's credential, connections to its peers."""
    namespace = spec.namespace(organization.name)
    kubeconfig = await cluster.create_operator_credentials(
        namespace, OPERATOR_ACCOUNT, *(PROJECT_ROOT / "config" / "rbac" / name for name in ROLES)
    )
    logs = spec.directory / "logs"
    options = ("--metrics-host", "127.0.0.1", "--metrics-port", "0", "--log-level", spec.log_level)
    operator = PythonProgram(
        f"operator-{organization.name}",
        OPERATOR_MODULE,
        ("--namespace", namespace, "--kubeconfig", kubeconfig, *options),
        logs,
    )
    if not spec.shares_api_server:
        # Whoever uses the kubeconfig finds the organization's objects without naming the namespace.
        await cluster.kubectl("config", "set-context", "--current", f"--namespace={namespace}")
    objects = await stack.enter_async_context(Objects.watch(cluster.admin_kubeconfig, namespace))
    readers = await stack.enter_async_context(readback.connect_all(organization))
    return Member(organization, cluster, namespace, operator, objects, readers, logs)

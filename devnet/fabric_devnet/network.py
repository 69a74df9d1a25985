"""A running Fabric network: its organizations, peers, orderers and channels, whichever backend plays the nodes."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fabric_admin.identity import SigningIdentity
from fabric_admin.participation import Participation
from fabric_admin.transport import Endpoint
from fabric_devnet.channels import create_channel
from fabric_devnet.describe import describe_network
from fabric_devnet.errors import SpecError
from fabric_devnet.material import replace_tls, write_material
from fabric_devnet.plan import NetworkPlan, OrdererNode, OrdererOrganizationPlan, OrganizationPlan, PeerNode, build_plan
from fabric_devnet.spec import BackendName
from fabric_devnet.together import together

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from fabric_devnet.backend import Backend
    from fabric_devnet.crypto import KeyPair
    from fabric_devnet.faults import FaultTable
    from fabric_devnet.release import Release
    from fabric_devnet.spec import NetworkSpec

_BACKENDS = {
    BackendName.EMBEDDED: ("fabric_devnet.embedded.backend", "EmbeddedBackend"),
    BackendName.FABRIC: ("fabric_devnet.official.backend", "OfficialBackend"),
}
DESCRIPTION_FILE = "network.json"
_OWN_DIRECTORIES = ("organizations", "channels", "nodes", "logs")


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer of the network."""

    node: PeerNode
    endpoint: Endpoint
    _backend: Backend

    @property
    def name(self) -> str:
        """Host name, such as `peer0.org1.example.com`."""
        return self.node.name

    @property
    def msp_id(self) -> str:
        """The MSP ID of the peer's organization."""
        return self.node.msp_id

    @property
    def address(self) -> str:
        """`host:port` of the gRPC listener."""
        return self.node.address

    @property
    def running(self) -> bool:
        """Whether the peer runs now."""
        return self._backend.running(self.node.name)

    async def start(self) -> None:
        """Run the peer again on the ledgers it had; raises NodeFailed."""
        await self._backend.start_peer(self.node)

    async def stop(self) -> None:
        """Stop the peer; its ledgers stay."""
        await self._backend.stop_peer(self.node)

    async def lose_package(self, package_id: str) -> None:
        """Remove an installed package from the peer's disk; raises SpecError while the peer runs."""
        if self.running:
            raise SpecError(f"{self.name} runs: stop it before a package is taken from its disk")
        await self._backend.lose_package(self.node, package_id)


@dataclass(frozen=True, slots=True)
class Orderer:
    """An orderer of the network; `admin_*` reach its channel participation endpoint."""

    node: OrdererNode
    endpoint: Endpoint
    admin_url: str
    admin_tls_ca: Path
    admin_certificate: Path
    admin_key: Path
    _backend: Backend

    @property
    def name(self) -> str:
        """Host name, such as `orderer0.example.com`."""
        return self.node.name

    @property
    def address(self) -> str:
        """`host:port` of the gRPC listener."""
        return self.node.address

    def participation(self) -> Participation:
        """A client of its channel participation endpoint with its administrator's certificate, to be entered."""
        return Participation(
            self.admin_url,
            self.admin_tls_ca.read_bytes(),
            self.admin_certificate.read_bytes(),
            self.admin_key.read_bytes(),
        )

    @property
    def running(self) -> bool:
        """Whether the orderer runs now."""
        return self._backend.running(self.node.name)

    async def start(self) -> None:
        """Run the orderer again on the ledgers it had; raises NodeFailed."""
        await self._backend.start_orderer(self.node)

    async def stop(self) -> None:
        """Stop the orderer; its ledgers stay."""
        await self._backend.stop_orderer(self.node)

    async def use_tls(self, pair: KeyPair) -> None:
        """Run the orderer again with another TLS certificate, as whoever runs it does after a rotation."""
        await self.stop()
        replace_tls(self.node.directory, pair)
        await self.start()


@dataclass(frozen=True, slots=True)
class Organization:
    """A peer organization with its administrator (OU admin) and a plain client (OU client)."""

    msp_id: str
    name: str
    domain: str
    directory: Path
    chaincode_host: str
    admin: SigningIdentity
    client: SigningIdentity
    peers: tuple[Peer, ...]
    tls_ca: bytes
    orderers: tuple[Orderer, ...] = ()


class Network:
    """A network whose nodes run; made by `Network.start`."""

    __slots__ = ("_backend", "orderer_admin", "orderers", "organizations", "plan", "release")

    def __init__(self, plan: NetworkPlan, backend: Backend, release: Release) -> None:
        self.plan = plan
        self.release = release
        self._backend = backend
        self.orderers = tuple(
            _open_orderer(owner, node, backend) for owner in plan.orderer_organizations for node in owner.orderers
        )
        self.organizations = {
            organization.msp_id: _open_organization(organization, self.orderers, backend)
            for organization in plan.organizations
        }
        orderers = plan.orderer_organization
        self.orderer_admin = load_user(orderers.directory, orderers.domain, orderers.msp_id, "Admin")

    @property
    def spec(self) -> NetworkSpec:
        """What was asked for."""
        return self.plan.spec

    @property
    def faults(self) -> FaultTable:
        """Faults to inject; raises NotSupported on official binaries."""
        return self._backend.faults

    @classmethod
    @contextlib.asynccontextmanager
    async def start(cls, spec: NetworkSpec) -> AsyncIterator[Network]:
        """Run a new network in `spec.directory`, usable on every channel when entered, stopped when left.

        What an earlier network left in the directory is replaced. Raises SpecError when the directory holds
        anything else under the names a network uses, BackendUnavailable, and NodeFailed.
        """
        backend_class = load_backend(BackendName(spec.backend))
        release = await asyncio.to_thread(backend_class.read_release)
        capability = spec.channel_capability or release.channel_capability
        plan = build_plan(replace(spec, channel_capability=capability))
        _clear(spec.directory)
        await asyncio.to_thread(write_material, plan)
        backend = backend_class(plan)
        try:
            network = cls(plan, backend, release)
            await network._start_nodes()
            await together(create_channel(network, channel) for channel in spec.channels)
            yield network
        finally:
            await backend.close()

    def describe(self) -> dict[str, object]:
        """Describe endpoints, MSPs, files and channels as JSON-able data."""
        return describe_network(self)

    async def _start_nodes(self) -> None:
        await together([*(each.start() for each in self.orderers), *(each.start() for each in self.peers)])
        description = json.dumps(self.describe(), indent=2) + "\n"
        (self.spec.directory / DESCRIPTION_FILE).write_text(description, encoding="utf-8")

    @property
    def peers(self) -> tuple[Peer, ...]:
        """Every peer of every organization."""
        return tuple(peer for organization in self.organizations.values() for peer in organization.peers)


def load_backend(name: BackendName) -> type[Backend]:
    """Import the backend called `name`; only the chosen one is imported."""
    module, attribute = _BACKENDS[name]
    backend: type[Backend] = getattr(importlib.import_module(module), attribute)
    return backend


def load_user(organization: Path, domain: str, msp_id: str, name: str) -> SigningIdentity:
    """Load `users/<name>@<domain>` of an organization's directory."""
    return SigningIdentity.from_directory(msp_id, organization / "users" / f"{name}@{domain}" / "msp")


def _open_organization(plan: OrganizationPlan, orderers: tuple[Orderer, ...], backend: Backend) -> Organization:
    tls_ca = (plan.directory / "tlsca" / f"tlsca.{plan.domain}-cert.pem").read_bytes()
    peers = tuple(Peer(node, Endpoint(node.address, tls_ca), backend) for node in plan.peers)
    return Organization(
        msp_id=plan.msp_id,
        name=plan.name,
        domain=plan.domain,
        directory=plan.directory,
        chaincode_host=plan.chaincode_host,
        admin=load_user(plan.directory, plan.domain, plan.msp_id, "Admin"),
        client=load_user(plan.directory, plan.domain, plan.msp_id, "User1"),
        peers=peers,
        tls_ca=tls_ca,
        orderers=tuple(orderer for orderer in orderers if orderer.node.msp_id == plan.msp_id),
    )


def _open_orderer(organization: OrdererOrganizationPlan, node: OrdererNode, backend: Backend) -> Orderer:
    tls = organization.directory / "users" / f"Admin@{organization.domain}" / "tls"
    return Orderer(
        node=node,
        endpoint=Endpoint(node.address, (tls / "ca.crt").read_bytes()),
        admin_url=f"https://{node.admin_address}",
        admin_tls_ca=tls / "ca.crt",
        admin_certificate=tls / "client.crt",
        admin_key=tls / "client.key",
        _backend=backend,
    )


def _clear(directory: Path) -> None:
    """Remove an earlier network of this tool; refuse to touch what it did not write."""
    present = [directory / name for name in _OWN_DIRECTORIES if (directory / name).exists()]
    marker = directory / DESCRIPTION_FILE
    if present and not marker.exists():
        raise SpecError(f"{directory} holds {present[0].name}/ but no {DESCRIPTION_FILE}: choose another directory")
    for path in present:
        shutil.rmtree(path)
    marker.unlink(missing_ok=True)
    directory.mkdir(parents=True, exist_ok=True)
    marker.write_text("{}\n", encoding="utf-8")

"""The organizations of a network as a test sees them: each with its own peer, administrator and client."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fabric_admin.endorser import Endorser
from fabric_admin.gateway import Gateway
from fabric_admin.lifecycle import Definition, Lifecycle
from fabric_admin.package import build_ccaas
from fabric_admin.system import System
from fabric_admin.transport import Connection
from fabric_devnet.ports import free_ports
from opssc_chaincode.shim.server import Server
from opssc_tools.asset.chaincode import AssetChaincode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from fabric_devnet.network import Network, Organization

_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Member:
    """One organization; `client` invokes, everything else acts as its administrator."""

    organization: Organization
    connection: Connection
    lifecycle: Lifecycle
    gateway: Gateway
    client: Gateway
    endorser: Endorser
    system: System

    @property
    def msp_id(self) -> str:
        return self.organization.msp_id


@dataclass(frozen=True, slots=True)
class Consortium:
    """All members of `channel`, in order."""

    network: Network
    channel: str
    members: tuple[Member, ...]

    @classmethod
    async def connect(cls, network: Network, channel: str, stack: contextlib.AsyncExitStack) -> Consortium:
        members = []
        for organization in network.organizations.values():
            connection = await stack.enter_async_context(Connection(organization.peers[0].endpoint))
            members.append(_member(organization, connection))
        return cls(network, channel, tuple(members))

    @property
    def first(self) -> Member:
        return self.members[0]

    async def install(self, package: bytes) -> str:
        """Install on every member's peer; returns the one package ID."""
        ids = {await member.lifecycle.install(package) for member in self.members}
        assert len(ids) == 1
        return ids.pop()

    async def approve(self, definition: Definition, package_id: str | None) -> None:
        """Approve as every member."""
        for member in self.members:
            await member.lifecycle.approve(self.channel, definition, package_id)

    async def approvals_seen(self, definition: Definition, approved: set[str]) -> None:
        """Wait until every member's peer has seen exactly the approvals of `approved`."""
        for member in self.members:

            async def seen(member: Member = member) -> bool:
                readiness = await member.lifecycle.check_commit_readiness(self.channel, definition)
                return {msp_id for msp_id, yes in readiness.approvals.items() if yes} == approved

            await eventually(seen)

    async def committed_everywhere(self, name: str, sequence: int = 1) -> None:
        """Wait until every member's peer has committed a definition."""
        for member in self.members:

            async def committed(member: Member = member) -> bool:
                found = await member.lifecycle.query_committed(self.channel, name)
                return found is not None and found.definition.sequence == sequence

            await eventually(committed)

    async def deploy(self, name: str, package_id: str | None = None) -> Definition:
        """Approve as everybody and commit version 1.0, sequence 1."""
        definition = Definition(name, "1.0", 1)
        await self.approve(definition, package_id)
        await self.approvals_seen(definition, {member.msp_id for member in self.members})
        await self.first.lifecycle.commit(self.channel, definition)
        await self.committed_everywhere(name)
        return definition

    @contextlib.asynccontextmanager
    async def running_asset(self, name: str) -> AsyncIterator[str]:
        """Install and deploy the asset chaincode as `name`, with one server per member; yields the package ID."""
        (port,) = free_ports(1, tuple(member.organization.chaincode_host for member in self.members))
        package = build_ccaas(name, f"{{{{.chaincode_host}}}}:{port}")
        package_id = await self.install(package)
        await self.deploy(name, package_id)
        async with contextlib.AsyncExitStack() as servers:
            for member in self.members:
                address = f"{member.organization.chaincode_host}:{port}"
                await servers.enter_async_context(Server(AssetChaincode(), address=address, package_id=package_id))
            yield package_id


async def eventually(condition: Callable[[], Awaitable[bool]], *, timeout_seconds: float = 20.0) -> None:
    """Poll until `condition` holds; fails after the time."""
    deadline = time.monotonic() + timeout_seconds
    while not await condition():
        assert time.monotonic() < deadline, f"condition did not hold within {timeout_seconds:g} s"
        await asyncio.sleep(_POLL_SECONDS)


def _member(organization: Organization, connection: Connection) -> Member:
    return Member(
        organization=organization,
        connection=connection,
        lifecycle=Lifecycle(connection, organization.admin),
        gateway=Gateway(connection, organization.admin),
        client=Gateway(connection, organization.client),
        endorser=Endorser(connection, organization.admin),
        system=System(connection, organization.admin),
    )

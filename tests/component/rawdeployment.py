"""A chaincode whose behaviour a test scripts, deployed on every member of a consortium."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from component.rawchaincode import RawChaincode, Transaction, ok, serve
from conformance.consortium import eventually

from fabric_admin.definition import Definition
from fabric_admin.errors import GatewayError
from fabric_admin.package import build_ccaas
from fabric_devnet.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from conformance.consortium import Consortium
    from fabric_protos.peer import proposal_response_pb2

    from fabric_admin.gateway import Submitted

    Script = Callable[[str, Transaction], Awaitable[proposal_response_pb2.Response]]


_NOT_YET = ("FAILED_PRECONDITION", "UNAVAILABLE")


class RawDeployment:
    """`script(msp_id, transaction)` answers; `calls` lists the organizations whose server was called, in order."""

    def __init__(self, consortium: Consortium, name: str) -> None:
        self.consortium = consortium
        self.name = name
        self.package_id = ""
        self.script: Script = _succeed
        self.calls: list[str] = []
        self.servers: dict[str, AsyncExitStack] = {}
        (self._port,) = free_ports(1, tuple(member.organization.chaincode_host for member in consortium.members))

    @classmethod
    @asynccontextmanager
    async def start(
        cls, consortium: Consortium, name: str, *, collections: bytes = b"", init_required: bool = False
    ) -> AsyncIterator[RawDeployment]:
        deployment = cls(consortium, name)
        await deployment.deploy(Definition(name, "1.0", 1, collections=collections, init_required=init_required))
        try:
            for member in consortium.members:
                await deployment.start_server(member.msp_id)
            await eventually(deployment.usable)
            deployment.calls.clear()
            yield deployment
        finally:
            for member in consortium.members:
                await deployment.stop_server(member.msp_id)

    async def deploy(self, definition: Definition) -> None:
        self.package_id = await self.consortium.install(self.package())
        await self.consortium.approve(definition, self.package_id)
        await self.consortium.approvals_seen(definition, {member.msp_id for member in self.consortium.members})
        await self.consortium.first.lifecycle.commit(self.consortium.channel, definition)
        await self.consortium.committed_everywhere(self.name, definition.sequence)

    def package(self) -> bytes:
        """The package that names every member's server."""
        return build_ccaas(self.name, f"{{{{.chaincode_host}}}}:{self._port}")

    async def usable(self) -> bool:
        """Tell whether every member's gateway knows who runs the chaincode by now; peers tell each other in time."""
        for member in self.consortium.members:
            names = [each.msp_id for each in self.consortium.members]
            try:
                await member.client.endorse(self.consortium.channel, self.name, [], endorsing_organizations=names)
            except GatewayError as exc:
                if exc.code in _NOT_YET:
                    return False
        return True

    async def start_server(self, msp_id: str, package_id: str = "") -> RawChaincode:
        async def handle(transaction: Transaction) -> proposal_response_pb2.Response:
            self.calls.append(msp_id)
            return await self.script(msp_id, transaction)

        host = self.consortium.network.organizations[msp_id].chaincode_host
        server = RawChaincode(package_id or self.package_id, handle)
        self.servers[msp_id] = AsyncExitStack()
        await self.servers[msp_id].enter_async_context(serve(server, f"{host}:{self._port}"))
        return server

    async def stop_server(self, msp_id: str) -> None:
        stack = self.servers.pop(msp_id, None)
        if stack is not None:
            await stack.aclose()

    async def evaluate(self, *args: str, organization: int = 0, is_init: bool = False) -> bytes:
        member = self.consortium.members[organization]
        given = [arg.encode() for arg in args]
        return await member.client.evaluate(
            self.consortium.channel, self.name, given, target_organizations=(member.msp_id,), is_init=is_init
        )

    async def submit(
        self,
        *args: str,
        organization: int = 0,
        endorsing: tuple[str, ...] = (),
        transient: dict[str, bytes] | None = None,
        is_init: bool = False,
    ) -> Submitted:
        member = self.consortium.members[organization]
        return await member.client.submit(
            self.consortium.channel,
            self.name,
            [arg.encode() for arg in args],
            endorsing_organizations=endorsing,
            transient=transient,
            is_init=is_init,
        )


async def _succeed(_msp_id: str, _transaction: Transaction) -> proposal_response_pb2.Response:
    return ok()

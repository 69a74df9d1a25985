"""What peers themselves say, read with an organization's own identity and without the operator."""

from __future__ import annotations

from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fabric_protos.peer.lifecycle import db_pb2

from fabric_admin.blocks import TransactionView, transactions
from fabric_admin.deliver import Deliver
from fabric_admin.gateway import Gateway, Submitted
from fabric_admin.lifecycle import Lifecycle
from fabric_admin.system import System
from fabric_admin.transport import Connection
from opssc_chaincode.shim.keys import split_composite_key
from opssc_chaincode.state import ProposalKey, proposal_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fabric_admin.definition import Definition, InstalledChaincode
    from fabric_devnet.network import Organization, Peer

LIFECYCLE: Final = "_lifecycle"


@dataclass(frozen=True, slots=True)
class PeerReader:
    """One peer, asked by its own organization."""

    name: str
    lifecycle: Lifecycle
    gateway: Gateway
    system: System
    deliver: Deliver

    @classmethod
    @asynccontextmanager
    async def connect(cls, organization: Organization, peer: Peer) -> AsyncIterator[PeerReader]:
        """Connect inside the block, as the organization's administrator."""
        async with Connection(peer.endpoint) as connection:
            identity = organization.admin
            yield cls(
                peer.name,
                Lifecycle(connection, identity),
                Gateway(connection, identity),
                System(connection, identity),
                Deliver(connection, identity),
            )

    async def definition(self, channel: str, chaincode: str) -> Definition | None:
        """The committed definition, or None."""
        committed = await self.lifecycle.query_committed(channel, chaincode)
        return None if committed is None else committed.definition

    async def installed(self) -> dict[str, InstalledChaincode]:
        """What is installed, by package ID."""
        return {found.package_id: found for found in await self.lifecycle.query_installed()}

    async def transactions(self, channel: str) -> list[TransactionView]:
        """Every transaction of a channel, in order, the invalid ones too."""
        info = await self.system.chain_info(channel)
        found: list[TransactionView] = []
        async with aclosing(self.deliver.blocks(channel, start=0, stop=info.height - 1)) as blocks:
            async for block in blocks:
                found.extend(transactions(block))
        return found

    async def submit(self, channel: str, chaincode: str, *arguments: str) -> Submitted:
        """Submit an application transaction and wait for its commit."""
        return await self.gateway.submit(channel, chaincode, [argument.encode() for argument in arguments])

    async def evaluate(self, channel: str, chaincode: str, *arguments: str) -> bytes:
        """Read through a chaincode on this peer."""
        return await self.gateway.evaluate(channel, chaincode, [argument.encode() for argument in arguments])


@asynccontextmanager
async def connect_all(organization: Organization) -> AsyncIterator[tuple[PeerReader, ...]]:
    """A reader for every peer of an organization."""
    async with AsyncExitStack() as stack:
        yield tuple(
            [await stack.enter_async_context(PeerReader.connect(organization, peer)) for peer in organization.peers]
        )


def commits_of(
    found: list[TransactionView], chaincode: str, sequence: int, *, valid_only: bool = True
) -> list[TransactionView]:
    """Transactions that committed this sequence of a chaincode definition, or tried to."""
    # The key of the sequence in _lifecycle's public state (Fabric: core/chaincode/lifecycle/serializer.go).
    key = f"namespaces/fields/{chaincode}/Sequence"
    return [
        view
        for view in found
        if (view.valid or not valid_only)
        and any(
            write.namespace == LIFECYCLE and write.key == key and _sequence(write.value) == sequence
            for write in view.writes
        )
    ]


def facts_of(found: list[TransactionView], creator: str, proposal_id: str, contract: str = "opssc") -> list[str]:
    """What valid transactions wrote about one proposal: `proposal`, `vote Org2MSP`, `report Org1MSP Installed`, ..."""
    facts: list[str] = []
    for view in found:
        for write in view.writes if view.valid else ():
            if write.namespace == contract and proposal_of(write.key) == ProposalKey(creator, proposal_id):
                kind, (_, _, *rest) = split_composite_key(write.key)
                facts.append(" ".join((kind, *rest)))
    return facts


def _sequence(value: bytes | None) -> int | None:
    """The number in a StateData{Int64} of the lifecycle's state (fabric-protos: peer/lifecycle/db.proto)."""
    if value is None:
        return None
    return int(db_pb2.StateData.FromString(value).Int64)

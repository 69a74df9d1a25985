"""Creating a channel on running nodes, over their own protocols: genesis block, orderers, peers, and waiting."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from fabric_protos.peer.lifecycle import lifecycle_pb2

from fabric_admin.errors import DeliverError, GatewayError
from fabric_admin.gateway import Gateway
from fabric_admin.lifecycle import LIFECYCLE
from fabric_admin.orderer import Orderer as OrdererService
from fabric_admin.system import System
from fabric_admin.transport import Connection
from fabric_devnet.errors import NodeFailed
from fabric_devnet.profile import build_genesis_block
from fabric_devnet.together import together

if TYPE_CHECKING:
    from fabric_protos.common import common_pb2

    from fabric_devnet.network import Network, Orderer, Organization, Peer
    from fabric_devnet.spec import ChannelSpec

_POLL_SECONDS: Final = 0.1
# What a network that is still finding itself answers; anything else is a failure.
_NOT_SERVING: Final = frozenset({"SERVICE_UNAVAILABLE", "NOT_FOUND"})
_NOT_YET: Final = frozenset({"UNAVAILABLE", "FAILED_PRECONDITION", "ABORTED"})


async def create_channel(network: Network, channel: ChannelSpec) -> None:
    """Create `channel`, join all orderers but spare ones and the members' peers, and wait until they endorse together.

    Raises NodeFailed when that takes longer than the specification's `ready_seconds`.
    """
    block = await asyncio.to_thread(build_genesis_block, network.plan, channel)
    path = network.spec.directory / "channels" / f"{channel.name}.block"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(block.SerializeToString())
    members = [network.organizations[msp_id] for msp_id in network.spec.members(channel)]
    try:
        async with asyncio.timeout(network.spec.ready_seconds):
            joining = [(member, peer) for member in members for peer in member.peers if peer.name not in channel.absent]
            await _join_all(network, joining, block)
            await together([_endorse_together(joining, channel.name), _order(network, channel.name)])
    except TimeoutError as exc:
        seconds = f"{network.spec.ready_seconds:g}"
        raise NodeFailed(f"channel {channel.name}: not usable by all members within {seconds} s") from exc


async def _join_all(network: Network, joining: list[tuple[Organization, Peer]], block: common_pb2.Block) -> None:
    orderers = [_join_orderer(orderer, block) for orderer in network.orderers if not orderer.node.spare]
    peers = [_join_peer(member, peer, block) for member, peer in joining]
    await together([*orderers, *peers])


async def _join_orderer(orderer: Orderer, block: common_pb2.Block) -> None:
    async with orderer.participation() as participation:
        await participation.join(block)


async def _join_peer(member: Organization, peer: Peer, block: common_pb2.Block) -> None:
    async with Connection(peer.endpoint) as connection:
        await System(connection, member.admin).join(block)


async def _order(network: Network, channel: str) -> None:
    """Wait until every orderer serves the channel, which with Raft means that it knows a leader."""
    await together(_wait_for_leader(network, each, channel) for each in network.orderers if not each.node.spare)


async def _wait_for_leader(network: Network, orderer: Orderer, channel: str) -> None:
    async with Connection(orderer.endpoint) as connection:
        service = OrdererService(connection, network.orderer_admin)
        while True:
            try:
                await service.fetch(channel, "newest")
            except DeliverError as exc:
                if exc.status not in _NOT_SERVING:
                    raise
                await asyncio.sleep(_POLL_SECONDS)
            else:
                return


async def _endorse_together(joining: list[tuple[Organization, Peer]], channel: str) -> None:
    """Wait until every peer's Gateway reaches a peer of every member: they know each other through gossip only."""
    names = tuple(dict.fromkeys(member.msp_id for member, _ in joining))
    await together(_wait_for_endorsement(member, peer, channel, names) for member, peer in joining)


async def _wait_for_endorsement(member: Organization, peer: Peer, channel: str, names: tuple[str, ...]) -> None:
    query = (b"QueryChaincodeDefinitions", lifecycle_pb2.QueryChaincodeDefinitionsArgs().SerializeToString())
    async with Connection(peer.endpoint) as connection:
        gateway = Gateway(connection, member.client)
        while True:
            try:
                await gateway.endorse(channel, LIFECYCLE, query, endorsing_organizations=names)
                await gateway.endorse(channel, LIFECYCLE, query)
            except GatewayError as exc:
                if exc.code not in _NOT_YET:
                    raise
                await asyncio.sleep(_POLL_SECONDS)
            else:
                return

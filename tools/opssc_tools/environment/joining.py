"""An organization joins a channel later: its members let it in, and its peers join from the genesis block."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from fabric_admin import blocks
from fabric_admin.channelconfig import Address, ChannelConfig, assemble, compute_update, edits, sign
from fabric_admin.clock import new_moment
from fabric_admin.errors import ChaincodeError
from fabric_admin.msp_directory import read_config
from fabric_admin.orderer import Orderer
from fabric_admin.system import System
from fabric_admin.transport import Connection
from opssc_tools.errors import EnvironmentSpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fabric_protos.common import configtx_pb2

    from fabric_devnet.network import Network, Organization

JOIN_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.1


async def join_channel(network: Network, channel: str, newcomer: Organization) -> None:
    """Add an organization to a channel, signed by the administrators of all its members, and join its peers.

    Returns when every peer of the newcomer has the config that lets it in.

    Raises:
        EnvironmentSpecError: when it is a member already.
        FabricError: when an orderer or a peer refuses.
        TimeoutError: when it takes longer than `JOIN_SECONDS`.
    """
    msp = read_config(newcomer.directory / "msp", newcomer.msp_id)
    host, _, port = newcomer.peers[0].address.rpartition(":")
    anchors = (Address(host, int(port)),)

    def let_in(config: configtx_pb2.Config) -> configtx_pb2.Config:
        return edits.add_organization(config, msp, name=newcomer.name, anchor_peers=anchors)

    async with asyncio.timeout(JOIN_SECONDS), Connection(network.orderers[0].endpoint) as connection:
        members = (await current_config(network, channel, connection)).members
        if newcomer.msp_id in members:
            raise EnvironmentSpecError(f"{newcomer.msp_id} is a member of channel {channel} already")
        after = await change_channel(network, channel, let_in, members)
        genesis = await Orderer(connection, newcomer.admin).fetch(channel, 0)
    async with asyncio.timeout(JOIN_SECONDS):
        for peer in newcomer.peers:
            async with Connection(peer.endpoint) as own:
                system = System(own, newcomer.admin)
                await system.join(genesis)
                await _until_shown(system, channel, after.sequence)


async def change_channel(
    network: Network,
    channel: str,
    edit: Callable[[configtx_pb2.Config], configtx_pb2.Config],
    signers: Sequence[str],
) -> ChannelConfig:
    """Carry out one config update signed by these organizations' administrators; returns the config that results.

    Raises:
        FabricError: when the orderer refuses it.
    """
    async with Connection(network.orderers[0].endpoint) as connection:
        before = await current_config(network, channel, connection)
        update = compute_update(channel, before.config, edit(before.config)).SerializeToString()
        admins = [network.organizations[msp_id].admin for msp_id in signers]
        signatures = [sign(admin, update, nonce=new_moment().nonce) for admin in admins]
        envelope = assemble(channel, update, signatures, submitter=admins[0], moment=new_moment())
        await Orderer(connection, admins[0]).broadcast(envelope)
        while True:
            after = await current_config(network, channel, connection)
            if after.sequence > before.sequence:
                return after
            await asyncio.sleep(_POLL_SECONDS)


async def current_config(network: Network, channel: str, connection: Connection) -> ChannelConfig:
    """The config as the orderer behind `connection` has it."""
    orderer = Orderer(connection, network.orderer_admin)
    newest = await orderer.fetch(channel, "newest")
    number = blocks.last_config_index(newest)
    block = newest if number == newest.header.number else await orderer.fetch(channel, number)
    return ChannelConfig.from_block(block)


async def _until_shown(system: System, channel: str, sequence: int) -> None:
    """Wait until a peer has a config; a newcomer may not read before it has the one that lets it in."""
    while True:
        try:
            if (await system.channel_config(channel)).sequence >= sequence:
                return
        except ChaincodeError:
            # Refused until then.
            pass
        await asyncio.sleep(_POLL_SECONDS)

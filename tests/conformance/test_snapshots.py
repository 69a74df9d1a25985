"""Snapshots of a channel: row 68 of the checklist, and a peer that joins from one."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from conformance.changing import ChangingChannel, set_batch_timeout
from conformance.consortium import eventually

from fabric_admin.channelconfig import ChannelConfig
from fabric_admin.deliver import Deliver
from fabric_admin.errors import ChaincodeError, DeliverError, PolicyNotSatisfied, RequestRefused
from fabric_admin.snapshots import JoinStatus, Snapshots
from fabric_admin.system import System
from fabric_admin.transport import Connection
from opssc_operator.domain.channel import BlockNotKept
from opssc_operator.errors import TransientError
from opssc_operator.ledger.channels import ChannelReader
from opssc_operator.ledger.history import ConfigHistory
from opssc_operator.ledger.peers import OwnPeers, PeerAddress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fabric_admin.identity import SigningIdentity
    from fabric_devnet.network import Network

pytestmark = pytest.mark.asyncio(loop_scope="session")
_numbers = itertools.count(1)
ORG1, ORG2, ORG3, ORDERER = "Org1MSP", "Org2MSP", "Org3MSP", "OrdererMSP"


@pytest_asyncio.fixture(loop_scope="session")
async def channel(network: Network) -> AsyncIterator[ChangingChannel]:
    """A channel of all three organizations that Org3's peer has not joined, with two config updates."""
    name = f"frozen{next(_numbers)}"
    async with ChangingChannel.create(network, name, (ORG1, ORG2)) as channel:
        await channel.change(set_batch_timeout("300ms"), ORDERER)
        after = await channel.change(set_batch_timeout("200ms"), ORDERER)
        await channel.seen_by(ORG1, after.sequence)
        yield channel


async def refusal(
    network: Network, identity: SigningIdentity, channel: str, number: int, *, cancel: bool = False
) -> str:
    async with Connection(network.organizations[ORG1].peers[0].endpoint) as connection:
        snapshots = Snapshots(connection, identity)
        with pytest.raises(RequestRefused) as refused:
            await (snapshots.cancel if cancel else snapshots.generate)(channel, number)
    assert refused.value.code == "UNKNOWN"
    return refused.value.message


async def test_snapshots_are_asked_for_once_and_can_be_withdrawn(channel: ChangingChannel) -> None:  # 68
    network, name, admin = channel.network, channel.name, channel.admin(ORG1)
    peer = network.organizations[ORG1].peers[0]
    async with Connection(peer.endpoint) as connection:
        snapshots = Snapshots(connection, admin)

        # When one is taken of the last block, and one is asked for of a later block
        await snapshots.generate(name)
        await snapshots.generate(name, 7)

        async def only_later() -> bool:
            return await snapshots.pending(name) == (7,)

        await eventually(only_later)

        # Then the files lie where the peer keeps them
        directory = peer.node.data_directory / "snapshots" / "completed" / name / "2"

        async def written() -> bool:
            return (directory / "_snapshot_additional_metadata.json").exists()

        await eventually(written)
        assert {"public_state.data", "public_state.metadata", "txids.data", "txids.metadata"} <= {
            file.name for file in directory.iterdir()
        }

        # and the same again, an old block and an unknown channel are refused
        assert await refusal(network, admin, name, 7) == "duplicate snapshot request for block number 7"
        assert await refusal(network, admin, name, 2) == "snapshot already generated for block number 2"
        assert await refusal(network, admin, name, 1) == (
            "requested snapshot for block number 1 cannot be less than the last committed block number 2"
        )
        assert await refusal(network, admin, "nosuch", 0) == "cannot find ledger for channel nosuch"
        assert await refusal(network, admin, "", 0) == "missing channel ID"

        # and a request can be withdrawn once
        await snapshots.cancel(name, 7)
        assert await snapshots.pending(name) == ()
        assert await refusal(network, admin, name, 7, cancel=True) == "no snapshot request exists for block number 7"


async def test_only_the_peers_own_administrator_handles_snapshots(channel: ChangingChannel) -> None:  # 68
    organization = channel.network.organizations[ORG1]
    during = "during channelless check policy with policy [Admins]: "

    assert await refusal(channel.network, organization.client, channel.name, 0) == (
        f"failed verifying that the signed data identity satisfies local MSP principal {during}"
        "[The identity is not an admin under this MSP [Org1MSP]: "
        "The identity does not contain OU [ADMIN], MSP: [Org1MSP]]"
    )
    assert await refusal(channel.network, channel.admin(ORG2), channel.name, 0) == (
        f"failed deserializing signed data identity {during}[expected MSP ID Org1MSP, received Org2MSP]"
    )


async def test_a_peer_joins_from_a_snapshot_and_goes_on_from_there(channel: ChangingChannel) -> None:
    network, name = channel.network, channel.name
    third = network.organizations[ORG3]
    async with both_peers(channel) as (source, system, newcomer):
        # Given a peer that joined from a snapshot of the last block
        height = await join_by_snapshot(channel, source, newcomer)

        # Then it knows the channel from there on
        info, original = await system.chain_info(name), await source.chain_info(name)
        assert (info.height, info.current_hash) == (original.height, original.current_hash)
        assert (await system.channel_config(name)).sequence == 3
        for number in (0, height - 1):
            with pytest.raises(ChaincodeError) as missing:
                await system.block_by_number(name, number)
            assert missing.value.message.endswith(
                f"cannot serve block [{number}]. The ledger is bootstrapped from a snapshot. "
                f"First available block = [{height}]"
            )
        with pytest.raises(ChaincodeError, match=rf"cannot serve block \[{height - 1}\]"):
            await system.config_block(name)
        with pytest.raises(DeliverError, match="NOT_FOUND"):
            async for _ in Deliver(newcomer, third.client).blocks(name, start=0, stop=0):
                pass

        # and follows the channel
        after = await channel.change(set_batch_timeout("300ms"), ORDERER)
        await channel.seen_by(ORG3, after.sequence)
        assert (await system.config_block(name)).header.number == height


@pytest.mark.parametrize(
    ("directory", "text"),
    [
        pytest.param("", "Cannot join the channel, no snapshot directory provided", id="none"),
        pytest.param(
            "/nowhere",
            "cannot create ledger from snapshot /nowhere: error opening dir [/nowhere]: "
            "open /nowhere: no such file or directory",
            id="missing",
        ),
    ],
)
async def test_what_is_no_snapshot_cannot_be_joined_from(network: Network, directory: str, text: str) -> None:
    organization = network.organizations[ORG1]
    async with Connection(organization.peers[0].endpoint) as connection:
        with pytest.raises(ChaincodeError) as refused:
            await Snapshots(connection, organization.admin).join(directory)

    assert (refused.value.status, refused.value.message) == (500, text)


async def test_an_operator_gets_what_its_peer_lacks_from_an_orderer_and_proves_it(channel: ChangingChannel) -> None:
    network, name = channel.network, channel.name
    first, third = network.organizations[ORG1], network.organizations[ORG3]
    async with both_peers(channel) as (source, _, newcomer):
        # Given
        height = await join_by_snapshot(channel, source, newcomer)
        complete = OwnPeers([PeerAddress("peer", first.peers[0].endpoint)], first.admin, first.client)
        bare = OwnPeers([PeerAddress("peer", third.peers[0].endpoint)], third.admin, third.client)
        orderers = [network.orderers[0].endpoint]
        whole = ChannelReader(complete, ConfigHistory((), first.client))
        reader = ChannelReader(bare, ConfigHistory(orderers, third.client))
        alone = ChannelReader(bare, ConfigHistory((), third.client))

        # Then: it reads the same as from a peer that has every block
        assert await reader.current(name) == await whole.current(name)
        assert (await reader.config(name)).config == (await whole.config(name)).config
        for number in range(height):
            assert await reader.at(name, number) == await whole.at(name, number)
        assert await reader.at(name, height + 1) is None

        # and without an orderer it says what it lacks
        assert await alone.at(name, 0) == BlockNotKept(0)
        with pytest.raises(TransientError, match="bootstrapped from a snapshot"):
            await alone.current(name)

        # and what nobody vouches for whom the own peer knows is not believed, whoever sends it
        strange = await whole.config(name)
        orderer_group = strange.config.channel_group.groups["Orderer"]
        (orderer_organization,) = orderer_group.groups
        of_others = strange.config.channel_group.groups["Application"].groups["org1"].values["MSP"].value
        orderer_group.groups[orderer_organization].values["MSP"].value = of_others
        forged = ChannelConfig.from_config(strange.config, name)
        for number in (0, 1):
            with pytest.raises(PolicyNotSatisfied):
                await ConfigHistory(orderers, third.client).block(number, forged)
        await asyncio.gather(complete.close(), bare.close())


@contextlib.asynccontextmanager
async def both_peers(channel: ChangingChannel) -> AsyncIterator[tuple[System, System, Connection]]:
    """Org1's peer, Org3's peer as its administrators ask them, and the connection to Org3's; Org3 is let in."""
    await let_in(channel)
    first, third = channel.network.organizations[ORG1], channel.network.organizations[ORG3]
    async with Connection(first.peers[0].endpoint) as connection, Connection(third.peers[0].endpoint) as newcomer:
        yield System(connection, first.admin), System(newcomer, third.admin), newcomer


async def join_by_snapshot(channel: ChangingChannel, source: System, newcomer: Connection) -> int:
    """Let Org3's peer join from a snapshot of Org1's last block; returns the height it begins with."""
    name, network = channel.name, channel.network
    height = (await source.chain_info(name)).height
    peer, third = network.organizations[ORG1].peers[0], network.organizations[ORG3]
    async with Connection(peer.endpoint) as connection:
        await Snapshots(connection, channel.admin(ORG1)).generate(name)
    directory = peer.node.data_directory / "snapshots" / "completed" / name / str(height - 1)

    async def written() -> bool:
        return (directory / "_snapshot_additional_metadata.json").exists()

    await eventually(written)
    snapshots = Snapshots(newcomer, third.admin)
    await snapshots.join(str(directory))

    async def over() -> bool:
        return await snapshots.join_status() == JoinStatus(in_progress=False, directory="")

    await eventually(over)
    return height


async def let_in(channel: ChangingChannel) -> None:
    """Add Org3 to the channel and wait until Org1's peer has it."""
    async with Connection(channel.network.orderers[0].endpoint) as connection:
        existing = await ChangingChannel(channel.network, "mychannel", connection).config()
    group = existing.config.channel_group.groups["Application"].groups["org3"]
    after = await channel.change(lambda root: root.groups["Application"].groups["org3"].CopyFrom(group), ORG1, ORG2)
    await channel.seen_by(ORG1, after.sequence)

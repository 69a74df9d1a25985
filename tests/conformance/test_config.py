"""Changing a channel: rows 49 to 57 of the checklist, maintenance mode and the orderer's own way in."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from conformance.changing import ChangingChannel, Refused, set_batch_timeout
from conformance.consortium import eventually
from fabric_protos.common import common_pb2, configtx_pb2, configuration_pb2
from fabric_protos.msp import msp_config_pb2
from fabric_protos.orderer import configuration_pb2 as orderer_pb2
from fabric_protos.peer import configuration_pb2 as peer_configuration_pb2

from fabric_admin.channelconfig import assemble
from fabric_admin.clock import new_moment
from fabric_admin.deliver import Deliver
from fabric_admin.endorser import Endorser
from fabric_admin.errors import (
    ConfigError,
    DeliverError,
    GatewayError,
    NotOffered,
    OrdererRefused,
    ParticipationError,
    RequestRefused,
)
from fabric_admin.gateway import Gateway
from fabric_admin.orderer import Orderer
from fabric_admin.participation import Participation
from fabric_admin.proposal import build_envelope
from fabric_admin.system import System
from fabric_admin.transport import Connection
from fabric_devnet.release import FABRIC_3_1_2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from fabric_devnet.network import Network

pytestmark = pytest.mark.asyncio(loop_scope="session")
_numbers = itertools.count(1)
ORG1, ORG2, ORG3, ORDERER = "Org1MSP", "Org2MSP", "Org3MSP", "OrdererMSP"


@pytest_asyncio.fixture(loop_scope="session")
async def channel(network: Network) -> AsyncIterator[ChangingChannel]:
    """A new channel of Org1 and Org2."""
    async with ChangingChannel.create(network, f"changing{next(_numbers)}", (ORG1, ORG2)) as channel:
        yield channel


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def quiet(network: Network) -> AsyncIterator[ChangingChannel]:
    """A channel of Org1 and Org2 that is only ever refused changes."""
    async with ChangingChannel.create(network, "quiet", (ORG1, ORG2)) as channel:
        yield channel


@pytest_asyncio.fixture(loop_scope="session")
async def participation(network: Network) -> AsyncIterator[Participation]:
    orderer = network.orderers[0]
    async with orderer.participation() as participation:
        yield participation


def set_anchors(group: str, port: int) -> Callable[[configtx_pb2.ConfigGroup], None]:
    anchors = peer_configuration_pb2.AnchorPeers(
        anchor_peers=[peer_configuration_pb2.AnchorPeer(host="127.0.0.1", port=port)]
    )

    def edit(root: configtx_pb2.ConfigGroup) -> None:
        root.groups["Application"].groups[group].values["AnchorPeers"].value = anchors.SerializeToString()

    return edit


async def third_organization(network: Network) -> configtx_pb2.ConfigGroup:
    """The group of an organization that may join: org3 as another channel has it."""
    async with Connection(network.orderers[0].endpoint) as connection:
        existing = ChangingChannel(network, "mychannel", connection)
        return (await existing.config()).config.channel_group.groups["Application"].groups["org3"]


def remove_third(root: configtx_pb2.ConfigGroup) -> None:
    del root.groups["Application"].groups["org3"]


async def test_an_organization_sets_its_own_anchor_peers(channel: ChangingChannel) -> None:  # 49
    before = await channel.config()

    after = await channel.change(set_anchors("org1", 4711), ORG1)

    assert after.sequence == before.sequence + 1
    organization = after.config.channel_group.groups["Application"].groups["org1"]
    assert (organization.values["AnchorPeers"].version, organization.version) == (1, 0)
    assert [(each.host, each.port) for each in after.organizations["org1"].anchor_peers] == [("127.0.0.1", 4711)]
    for msp_id in (ORG1, ORG2):
        await channel.seen_by(msp_id, after.sequence)


async def test_an_update_that_was_applied_cannot_be_applied_again(channel: ChangingChannel) -> None:  # 51
    update = await channel.update(set_anchors("org1", 4711))
    await channel.change(set_anchors("org1", 4711), ORG1)

    assert await channel.refusal(update, ORG1) == Refused(
        "BAD_REQUEST",
        "error authorizing update: error validating DeltaSet: attempt to set key "
        "[Value]  /Channel/Application/org1/AnchorPeers to version 1, but key is at version 1",
    )


async def test_another_organizations_element_is_not_changed(quiet: ChangingChannel) -> None:  # 50
    update = await quiet.update(set_anchors("org1", 4711))

    assert await quiet.refusal(update, ORG2) == Refused(
        "BAD_REQUEST",
        "error authorizing update: error validating DeltaSet: policy for "
        "[Value]  /Channel/Application/org1/AnchorPeers not satisfied: signature set did not satisfy policy",
    )


@pytest.mark.parametrize("signers", [(ORG1,), (ORG1, ORG1)], ids=["one-of-two", "one-twice"])
async def test_one_of_two_administrators_adds_no_organization(
    quiet: ChangingChannel, signers: tuple[str, ...]
) -> None:  # 52
    group = await third_organization(quiet.network)
    update = await quiet.update(lambda root: root.groups["Application"].groups["org3"].CopyFrom(group))

    assert await quiet.refusal(update, *signers) == Refused(
        "BAD_REQUEST",
        "error authorizing update: error validating DeltaSet: policy for [Group]  /Channel/Application not satisfied: "
        "implicit policy evaluation failed - 1 sub-policies were satisfied, but this policy requires 2 of the "
        "'Admins' sub-policies to be satisfied",
    )


async def test_an_organization_is_added_and_removed_and_its_rights_with_it(channel: ChangingChannel) -> None:  # 53, 54
    network, name = channel.network, channel.name
    third, group = network.organizations[ORG3], await third_organization(network)
    update = await channel.update(lambda root: root.groups["Application"].groups["org3"].CopyFrom(group))

    # When both administrators sign, and a plain client submits
    await channel.submit(update, (ORG1, ORG2), network.organizations[ORG2].client)

    async def added() -> bool:
        return ORG3 in (await channel.config()).members

    await eventually(added)
    application = (await channel.config()).config.channel_group.groups["Application"]
    assert (application.version, application.groups["org3"].version) == (1, 0)

    # Then the newcomer's peer joins from the genesis block and reads
    async with (
        Connection(third.peers[0].endpoint) as connection,
        Connection(network.organizations[ORG1].peers[0].endpoint) as first,
    ):
        system = System(connection, third.admin)
        await system.join(await channel.orderer.fetch(name, 0))
        await channel.seen_by(ORG3, 1)
        await channel.seen_by(ORG1, 1)
        await Orderer(channel.connection, third.client).fetch(name, "newest")
        info = await Gateway(first, third.client).evaluate(
            name, "qscc", [b"GetChainInfo", name.encode()], target_organizations=[ORG1]
        )
        assert info

        # When it is removed again
        after = await channel.change(remove_third, ORG1, ORG2)
        await channel.seen_by(ORG1, after.sequence)

        # Then nobody listens to it any more
        with pytest.raises(DeliverError) as forbidden:
            await Orderer(channel.connection, third.client).fetch(name, "newest")
        assert forbidden.value.status == "FORBIDDEN"
        with pytest.raises(DeliverError) as forbidden:
            async for _ in Deliver(first, third.client).blocks(name, start=0, stop=0):
                pass
        assert forbidden.value.status == "FORBIDDEN"
        unknown = (
            f"error validating proposal: access denied: channel [{name}] creator org unknown, creator is malformed"
        )
        with pytest.raises(RequestRefused) as refused:
            await Endorser(first, third.client).call("qscc", [b"GetChainInfo", name.encode()], channel=name)
        assert (refused.value.code, refused.value.message) == ("UNKNOWN", unknown)
        with pytest.raises(GatewayError) as failed:
            await Gateway(first, third.client).evaluate(
                name, "qscc", [b"GetChainInfo", name.encode()], target_organizations=[ORG1]
            )
        assert failed.value.code == "FAILED_PRECONDITION"
        envelope = build_envelope(third.client, common_pb2.ENDORSER_TRANSACTION, name, b"x", new_moment())
        with pytest.raises(OrdererRefused) as denied:
            await Orderer(channel.connection, third.client).broadcast(envelope)
        assert denied.value.status == "FORBIDDEN"
        # and its own peer answers from its last state
        assert (await system.chain_info(name)).height >= 1

        # and two of two administrators still decide
        final = await channel.change(set_anchors("org2", 4712), ORG2)
        await channel.seen_by(ORG2, final.sequence)


async def test_an_update_that_changes_nothing_is_refused(quiet: ChangingChannel) -> None:  # 55
    with pytest.raises(ConfigError, match="no differences detected between original and updated config"):
        await quiet.update(lambda _root: None)

    update = configtx_pb2.ConfigUpdate(channel_id=quiet.name)
    update.read_set.SetInParent()
    update.write_set.SetInParent()
    assert await quiet.refusal(update.SerializeToString(), ORG1) == Refused(
        "BAD_REQUEST",
        "error authorizing update: error validating DeltaSet: delta set was empty -- update would have no effect",
    )


async def test_signatures_are_read_before_it_is_noticed_that_nothing_changes(quiet: ChangingChannel) -> None:
    update = configtx_pb2.ConfigUpdate(channel_id=quiet.name)
    broken = configtx_pb2.ConfigSignature(signature_header=b"\xff", signature=b"x")
    admin = quiet.admin(ORG1)
    envelope = assemble(quiet.name, update, [broken], submitter=admin, moment=new_moment())

    with pytest.raises(OrdererRefused) as refused:
        await Orderer(quiet.connection, admin).broadcast(envelope)

    text = refused.value.info.replace("\u00a0", " ")
    assert text == (
        f"error applying config update to existing channel '{quiet.name}': "
        "error authorizing update: proto: cannot parse invalid wire-format data"
    )


def set_batch_size(count: int) -> Callable[[configtx_pb2.ConfigGroup], None]:
    def edit(root: configtx_pb2.ConfigGroup) -> None:
        value = root.groups["Orderer"].values["BatchSize"]
        size = orderer_pb2.BatchSize.FromString(value.value)
        size.max_message_count = count
        value.value = size.SerializeToString()

    return edit


def break_msp(root: configtx_pb2.ConfigGroup) -> None:
    value = root.groups["Application"].groups["org1"].values["MSP"]
    config = msp_config_pb2.MSPConfig.FromString(value.value)
    fabric = msp_config_pb2.FabricMSPConfig.FromString(config.config)
    fabric.ClearField("root_certs")
    config.config = fabric.SerializeToString()
    value.value = config.SerializeToString()


def require_orderer_capability(root: configtx_pb2.ConfigGroup) -> None:
    value = root.groups["Orderer"].values["Capabilities"]
    capabilities = configuration_pb2.Capabilities.FromString(value.value)
    capabilities.capabilities["V9_9"].SetInParent()
    value.value = capabilities.SerializeToString()


async def test_application_administrators_do_not_change_the_orderer(quiet: ChangingChannel) -> None:  # 56
    update = await quiet.update(set_batch_size(77))

    assert await quiet.refusal(update, ORG1, ORG2) == Refused(
        "BAD_REQUEST",
        "error authorizing update: error validating DeltaSet: policy for [Value]  /Channel/Orderer/BatchSize "
        "not satisfied: implicit policy evaluation failed - 0 sub-policies were satisfied, but this policy requires "
        "1 of the 'Admins' sub-policies to be satisfied",
    )


@pytest.mark.parametrize(
    ("edit", "signer", "text"),
    [
        pytest.param(
            set_batch_size(0),
            ORDERER,
            "initializing channelconfig failed: could not create channel Orderer sub-group config: "
            "Attempted to set the batch size max message count to an invalid value: 0",
            id="batch-size-0",
        ),
        pytest.param(
            set_batch_timeout("abc"),
            ORDERER,
            "initializing channelconfig failed: could not create channel Orderer sub-group config: "
            'Attempted to set the batch timeout to a invalid value: time: invalid duration "abc"',
            id="bad-timeout",
        ),
        pytest.param(
            break_msp,
            ORG1,
            "initializing channelconfig failed: could not create channel Application sub-group config: "
            "setting up the MSP manager failed: expected at least one CA certificate",
            id="bad-msp",
        ),
        pytest.param(
            require_orderer_capability,
            ORDERER,
            "config update is not compatible: config requires unsupported orderer capabilities: "
            "Orderer capability V9_9 is required but not supported: "
            "Orderer capability V9_9 is required but not supported",
            id="unknown-orderer-capability",
        ),
    ],
)
async def test_a_config_no_node_could_load_is_refused(
    quiet: ChangingChannel, edit: Callable[[configtx_pb2.ConfigGroup], None], signer: str, text: str
) -> None:  # 57
    assert await quiet.refusal(await quiet.update(edit), signer) == Refused("BAD_REQUEST", text)


def set_state(state: orderer_pb2.ConsensusType.State.ValueType) -> Callable[[configtx_pb2.ConfigGroup], None]:
    def edit(root: configtx_pb2.ConfigGroup) -> None:
        value = root.groups["Orderer"].values["ConsensusType"]
        consensus = orderer_pb2.ConsensusType.FromString(value.value)
        consensus.state = state
        value.value = consensus.SerializeToString()

    return edit


async def test_in_maintenance_mode_only_the_orderers_organization_reads_and_writes(channel: ChangingChannel) -> None:
    client = channel.network.organizations[ORG1].client
    await channel.change(set_state(orderer_pb2.ConsensusType.STATE_MAINTENANCE), ORDERER)

    envelope = build_envelope(client, common_pb2.ENDORSER_TRANSACTION, channel.name, b"x", new_moment())
    with pytest.raises(OrdererRefused) as refused:
        await Orderer(channel.connection, client).broadcast(envelope)
    assert (refused.value.status, refused.value.info) == (
        "SERVICE_UNAVAILABLE",
        "normal transactions are rejected: maintenance mode",
    )
    with pytest.raises(DeliverError) as forbidden:
        await Orderer(channel.connection, client).fetch(channel.name, "newest")
    assert forbidden.value.status == "FORBIDDEN"
    assert await channel.refusal(await channel.update(set_anchors("org1", 4713)), ORG1) == Refused(
        "FORBIDDEN",
        "config update for existing channel did not pass initial checks: implicit policy evaluation failed - "
        "0 sub-policies were satisfied, but this policy requires 1 of the 'Writers' sub-policies to be satisfied: "
        "permission denied",
    )

    # Peers hear of it only when it is over
    async with Connection(channel.network.organizations[ORG1].peers[0].endpoint) as connection:
        system = System(connection, channel.admin(ORG1))
        assert (await system.channel_config(channel.name)).sequence == 0
        after = await channel.change(set_state(orderer_pb2.ConsensusType.STATE_NORMAL), ORDERER)
        await channel.seen_by(ORG1, after.sequence)
        assert (await system.chain_info(channel.name)).height == 3


async def test_the_admin_endpoint_takes_a_config_update_and_serves_blocks(
    channel: ChangingChannel, participation: Participation
) -> None:
    admin = channel.admin(ORG1)
    update = await channel.update(set_anchors("org1", 4714))
    if channel.network.release < FABRIC_3_1_2:
        with pytest.raises(NotOffered, match="broadcast them"):
            await participation.update(channel.name, channel.envelope(update, [admin], admin))
        with pytest.raises(NotOffered, match="fetch them with Orderer"):
            await participation.block(channel.name, "config")
        return

    info = await participation.update(channel.name, channel.envelope(update, [admin], admin))
    assert (info.name, info.status) == (channel.name, "active")

    async def grown() -> bool:
        return (await participation.info(channel.name)).height == 2

    await eventually(grown)
    block = await participation.block(channel.name, "config")
    assert block.header.number == 1
    assert (await participation.block(channel.name, "newest")).SerializeToString() == block.SerializeToString()
    assert (await participation.block(channel.name, "oldest")).header.number == 0
    with pytest.raises(ParticipationError) as missing:
        await participation.block(channel.name, 4711)
    assert (missing.value.status, missing.value.message) == (404, "no such block number [4711] in index")

    # The same again is refused with the text that Broadcast has
    with pytest.raises(ParticipationError) as refused:
        await participation.update(channel.name, channel.envelope(update, [admin], admin))
    assert refused.value.status == 400
    text = refused.value.message.removeprefix(f"cannot update: failed update config of channel {channel.name}: ")
    assert text.removeprefix(f"error applying config update to existing channel '{channel.name}': ") == (
        "error authorizing update: error validating DeltaSet: attempt to set key "
        "[Value]  /Channel/Application/org1/AnchorPeers to version 1, but key is at version 1"
    )
    with pytest.raises(ParticipationError) as unknown:
        await participation.update("nosuch", channel.envelope(update, [admin], admin))
    assert unknown.value.status == 404

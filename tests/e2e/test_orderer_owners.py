"""AC-23, 24: who runs orderers decides about them and starts channels; `status.policies` says who is missing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from e2e.channel_story import ChannelStory, read_config, read_part
from e2e.owners import APART
from e2e.scenario import Scenario
from e2e.test_channel_update import facts_of
from fabric_protos.common.common_pb2 import Block

from fabric_admin.blocks import header_hash
from opssc_chaincode.model import ChannelContent
from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_tools.environment import Consortium
from opssc_tools.environment.founding import build_creation, split
from opssc_tools.environment.manifests import build_change
from opssc_tools.environment.objects import condition

if TYPE_CHECKING:
    from opssc_tools.environment.objects import Body

CHANNEL = "owned"
NEW = "fresh"


async def test_the_ordering_service_is_changed_by_those_who_run_it(owners: Consortium) -> None:
    # Given: organization 3, which runs no orderer, wants smaller blocks
    first, second, third = owners.members
    before = await read_config(owners, CHANNEL)
    change = build_change("setBatch", maxMessageCount=7)
    story = ChannelStory(owners, (third, first, second), CHANNEL, "smaller-blocks", {"changes": [change]})

    # When: one of the two that run orderers agrees
    await story.propose()
    await story.vote(first)

    # Then: the other one is missing, and nothing is signed
    def lacks_the_second(body: Body | None) -> bool:
        votes = (body or {}).get("status", {}).get("votes", [])
        return {vote["mspID"] for vote in votes} == {"Org1MSP", "Org3MSP"}

    shown = await third.until(Kind.CHANNEL_PROPOSAL, story.proposal_id, lacks_the_second, "agreed by 1 and 3")
    assert condition(shown, ConditionType.ACCEPTED)["message"] == "waiting for Org2MSP (2/3)"
    assert not shown["status"]["signatures"]
    (policy,) = shown["status"]["policies"]
    assert policy["modPolicy"] == "/Channel/Orderer/Admins"
    assert policy["missing"] == ["Org1MSP", "Org2MSP"]

    # And: with it, the update is signed, submitted by one of those who signed, and applied
    await story.vote(second)
    await story.until_true(ConditionType.READY)
    after = await read_config(owners, CHANNEL)
    assert after.sequence == before.sequence + 1
    assert after.batch is not None
    assert after.batch.max_message_count == 7
    body = story.seen_by(third) or {}
    assert body["status"]["submission"]["by"] in {"Org1MSP", "Org2MSP", "Org3MSP"}
    assert {each["mspID"] for each in body["status"]["signatures"]} >= {"Org1MSP", "Org2MSP"}


async def test_who_orders_a_channel_without_a_peer_in_it_decides_about_its_orderers(owners: Consortium) -> None:
    # Given: organization 1 orders the channel of organizations 2 and 3
    first, second, third = owners.members
    channel = APART.name
    change = build_change("setBatch", maxMessageCount=9)
    story = ChannelStory(owners, (third, first, second), channel, "apart-batch", {"changes": [change]})

    # When
    await story.propose()
    await story.vote(second)
    await story.vote(first)
    await story.until_true(ConditionType.READY)

    # Then: it signed, and saw it applied by its own orderers
    config = await read_config(owners, channel)
    assert config.batch is not None
    assert config.batch.max_message_count == 9
    assert channel not in await first.reader.system.channels()
    body = story.seen_by(first) or {}
    assert {each["mspID"] for each in body["status"]["signatures"] if each["valid"]} >= {"Org1MSP", "Org2MSP"}
    assert condition(body, ConditionType.APPLIED)["status"] == "True"
    assert first.objects.get(Kind.FABRIC_CHANNEL, channel) is None

    # And: it proposes itself
    change = build_change("setBatch", maxMessageCount=11)
    own = ChannelStory(owners, (first, second, third), channel, "apart-again", {"changes": [change]})
    await own.carry_out(second)
    config = await read_config(owners, channel)
    assert config.batch is not None
    assert config.batch.max_message_count == 11


async def test_anchor_peers_are_decided_by_their_own_organization(owners: Consortium) -> None:
    # Given
    first, second, third = owners.members
    anchors = [split(second.organization.peers[0].address), {"host": "peer9.org2.example.com", "port": 7051}]
    change = build_change("setAnchorPeers", mspID="Org2MSP", anchorPeers=anchors)
    story = ChannelStory(owners, (second, first, third), CHANNEL, "own-anchors", {"changes": [change]})

    # When: nobody else votes
    await story.propose()
    await story.until_true(ConditionType.READY)

    # Then
    config = await read_config(owners, CHANNEL)
    assert [each.port for each in config.organization("Org2MSP").anchor_peers] == [each["port"] for each in anchors]
    body = story.seen_by(second) or {}
    assert [each["mspID"] for each in body["status"]["signatures"]] == ["Org2MSP"]


async def test_a_channel_is_created_by_those_who_are_to_be_in_it(owners: Consortium) -> None:
    # Given
    first, second, third = owners.members
    both = [first.organization, second.organization]
    story = ChannelStory(owners, (first, second), NEW, "create-fresh", build_creation(both, both))

    # When: nothing is done before the last of them agreed
    await story.propose()
    for member in (first, second):
        assert NEW not in await member.reader.system.channels()
    await story.vote(second)
    await story.until_true(ConditionType.READY)

    # Then: both orderers and both peers are in it, and started from the block that was agreed to
    blocks = set()
    for member in (first, second):
        for orderer in member.organization.orderers:
            info = await read_part(orderer, NEW)
            assert (info.relation, info.status) == ("consenter", "active")
        blocks.add(header_hash((await member.reader.system.block_by_number(NEW, 0)).header))
        await member.until_true(Kind.FABRIC_CHANNEL, NEW, ConditionType.READY)
    content = (await facts_of(first, story.ref)).proposal.content
    assert isinstance(content, ChannelContent)
    assert blocks == {header_hash(Block.FromString(content.block_bytes).header)}

    # And: each tells the others, the third organization has no part in it
    def told(body: Body | None) -> bool:
        steps = (body or {}).get("status", {}).get("organizations", [])
        return [(each["mspID"], each["joined"], each["applied"]) for each in steps] == [
            ("Org1MSP", "Done", "Done"),
            ("Org2MSP", "Done", "Done"),
        ]

    await first.until(Kind.CHANNEL_PROPOSAL, story.proposal_id, told, "joined and applied by both")
    assert NEW not in await third.reader.system.channels()
    assert third.objects.get(Kind.FABRIC_CHANNEL, NEW) is None

    # And: a chaincode can be deployed there
    scenario = replace(Scenario.fresh(owners, 1, NEW), organizations=("Org1MSP", "Org2MSP"))
    await scenario.deploy()

"""AC-22: an organization that was removed can do nothing more, its operator says so, and goes on or clears up."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from e2e import servers
from e2e.channel_story import ChannelStory, read_config
from e2e.contract_call import refusal_of
from e2e.scenario import WITHIN_SECONDS, Scenario
from e2e.test_joining import until_says

from fabric_admin.errors import DeliverError, RequestRefused
from fabric_admin.lifecycle import Lifecycle
from fabric_admin.orderer import Orderer
from fabric_admin.transport import Connection
from fabric_devnet.spec import ChannelSpec
from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_operator.api.refs import mirror_name
from opssc_tools.environment import Consortium, EnvironmentSpec, manifests
from opssc_tools.environment.founding import member_of
from opssc_tools.environment.manifests import build_change

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from opssc_tools.environment import Member
    from opssc_tools.environment.manifests import Manifest
    from opssc_tools.environment.objects import Body

OPS, CHANNEL = "ops-channel", "mychannel"
PARTS = 4
"""Objects of one chaincode server."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def whole(ground: EnvironmentSpec) -> AsyncIterator[Consortium]:
    """Three organizations that work together on all channels, with the usual resync period: nothing waits for one."""
    spec = replace(ground, channels=(ChannelSpec(OPS), ChannelSpec(CHANNEL)), resync_period="5m")
    async with Consortium.start(spec) as running:
        yield running


def removal(consortium: Consortium, leaving: Member, channel: str, prefix: str = "") -> ChannelStory:
    removed = build_change("removeOrganization", mspID=leaving.msp_id)
    name = f"{prefix}{leaving.name}-leaves-{channel}"
    return ChannelStory(consortium, consortium.members, channel, name, {"changes": [removed]})


def readmission(consortium: Consortium, outside: Member, channel: str) -> ChannelStory:
    added = build_change("addOrganization", **member_of(outside.organization))
    name = f"{outside.name}-returns-to-{channel}"
    return ChannelStory(consortium, consortium.members, channel, name, {"changes": [added]})


async def apply_by(story: ChannelStory, first: Member, second: Member) -> None:
    """Have a change of a channel applied by these two, whatever the third one sees."""
    await story.propose(first, second)
    await story.vote(second)
    await story.until_true(ConditionType.READY, first, second)


async def assert_denied(consortium: Consortium, leaving: Member, channel: str) -> None:
    """Neither another organization's peer nor the orderer takes the organization for a member."""
    other, identity = consortium.member(1).organization.peers[0], leaving.organization.admin
    async with Connection(other.endpoint) as connection:
        with pytest.raises(RequestRefused, match=f"access denied: channel \\[{channel}\\] creator org unknown"):
            await Lifecycle(connection, identity).query_committed_all(channel)
    async with Connection(consortium.network.orderers[0].endpoint) as connection:
        with pytest.raises(DeliverError, match="FORBIDDEN"):
            await Orderer(connection, identity).fetch(channel, "newest")


async def test_an_organization_that_is_let_in_again_goes_on_without_anybody_touching_it(whole: Consortium) -> None:
    # Given: a chaincode that was deployed with it
    first, second, third = whole.members
    deployed, following = Scenario.fresh(whole, 4, CHANNEL), Scenario.fresh(whole, 5, CHANNEL)
    await deployed.deploy()

    # When: the others remove it from the application channel
    await apply_by(removal(whole, third, CHANNEL, "once-"), first, second)

    # Then: its operator says so before any resync
    await until_says(third, Kind.FABRIC_CHANNEL, CHANNEL, ConditionType.MEMBER, "NotAMember")

    # When: they let it in again
    await apply_by(readmission(whole, third, CHANNEL), first, second)

    # Then: it is a member, and its peers follow the channel
    await third.until_true(Kind.FABRIC_CHANNEL, CHANNEL, ConditionType.MEMBER, seconds=WITHIN_SECONDS)
    await third.until_true(Kind.FABRIC_CHANNEL, CHANNEL, ConditionType.READY, seconds=WITHIN_SECONDS)
    shown = third.objects.get(Kind.FABRIC_CHANNEL, CHANNEL) or {}
    assert third.msp_id in {member["mspID"] for member in shown["status"]["members"]}

    # And: the next chaincode is deployed with its vote and by its operator
    following.serve()
    await following.propose()
    await following.vote(third)
    await following.until_true(ConditionType.READY)
    assert await third.reader.definition(CHANNEL, following.chaincode) is not None
    await third.reader.submit(CHANNEL, following.chaincode, "Set", "colour", "blue")

    # When: it is removed from the governance channel, and let in again
    await apply_by(removal(whole, third, OPS, "once-"), first, second)
    organization = Kind.FABRIC_ORGANIZATION, third.name
    await until_says(third, *organization, ConditionType.GOVERNANCE_READY, "NotAMember")
    back = readmission(whole, third, OPS)
    await apply_by(back, first, second)

    # Then: it sees what was proposed meanwhile, and decides again
    await third.until_true(*organization, ConditionType.READY, seconds=WITHIN_SECONDS)
    await third.until_true(Kind.CHANNEL_PROPOSAL, back.object_name(third), ConditionType.READY, seconds=WITHIN_SECONDS)
    upgrade = following.following(2)
    await upgrade.propose(package={"type": "unchanged"}, chaincode={"name": upgrade.chaincode, "version": "1.1"})
    await upgrade.vote(third)
    await upgrade.until_true(ConditionType.READY)


async def test_an_organization_that_was_removed_is_denied_and_clears_up_while_the_others_go_on(
    whole: Consortium,
) -> None:
    # Given: one chaincode that is deployed, and one that was accepted by its vote, and that too few have approved
    first, second, leaving = whole.members
    deployed, accepted = Scenario.fresh(whole, 1, CHANNEL), Scenario.fresh(whole, 2, CHANNEL)
    await deployed.deploy()
    package_id = deployed.package.package_id
    await leaving.apply(run_server(deployed))
    await servers.until_parts(leaving, package_id, lambda parts: len(parts) == PARTS, "complete")
    await accepted.propose()
    await leaving.operator.stop()
    await change(second, {"execution": "OwnVoteOnly"})
    content_hash = (accepted.seen_by(leaving) or {})["status"]["contentHash"]
    assert not await refusal_of(leaving, "Vote", accepted.ref.creator, accepted.ref.id, content_hash, "Agree")
    await accepted.until(ConditionType.READY, "False", "AwaitingOrganizations", first)

    # When: the others remove one of them from the application channel
    await apply_by(removal(whole, leaving, CHANNEL), first, second)
    leaving.operator.start()

    # Then: it may not read there any more, and its operator says so
    assert leaving.msp_id not in (await read_config(whole, CHANNEL)).members
    told = await until_says(leaving, Kind.FABRIC_CHANNEL, CHANNEL, ConditionType.MEMBER, "NotAMember")
    assert told.endswith(
        f"Org3MSP is not a member of channel {CHANNEL}; to be let in, ask a member to propose addOrganization"
    )
    await assert_denied(whole, leaving, CHANNEL)
    await leaving.until_true(Kind.FABRIC_ORGANIZATION, leaving.name, ConditionType.READY)

    # And: what was accepted with it stays accepted, and is carried out as the policy of today asks
    await accepted.until(ConditionType.READY, "False", "AwaitingOrganizations", first)
    accepted.serve()
    await change(second, {"execution": "FollowDecision"})
    await accepted.until_true(ConditionType.COMMITTED, first, second)
    committed = await first.reader.lifecycle.query_committed(CHANNEL, accepted.chaincode)
    assert committed is not None
    assert set(committed.approvals) == {first.msp_id, second.msp_id}

    # When: it is removed from the governance channel too
    story = removal(whole, leaving, OPS)
    await apply_by(story, first, second)

    # Then: it can neither vote nor propose nor read, and its operator says so
    message = await until_says(
        leaving, Kind.FABRIC_ORGANIZATION, leaving.name, ConditionType.GOVERNANCE_READY, "NotAMember"
    )
    assert f"channel {OPS}" in message
    await assert_denied(whole, leaving, OPS)
    content_hash = (story.seen_by(first) or {})["status"]["contentHash"]
    answer = await refusal_of(leaving, "Vote", story.ref.creator, story.ref.id, content_hash, "Agree")
    assert "access denied" in answer or "FORBIDDEN" in answer
    assert leaving.objects.get(Kind.CHAINCODE_PROPOSAL, mirror_name(deployed.ref)) is not None

    # And: after the retention its mirrors and the server go, and the channels' objects stay to tell why
    assert len(await servers.parts_of(leaving, package_id)) == PARTS
    await change(leaving, {"mirror": {"retention": "1s"}})

    def is_gone(body: Body | None) -> bool:
        return body is None

    for scenario in (deployed, accepted):
        name = mirror_name(scenario.ref)
        await leaving.until(Kind.CHAINCODE_PROPOSAL, name, is_gone, "gone", seconds=WITHIN_SECONDS)
    await servers.until_parts(leaving, package_id, lambda parts: not parts, "gone")
    assert leaving.objects.get(Kind.FABRIC_CHANNEL, CHANNEL) is not None

    # And: the two who are left deploy without it
    after = Scenario.fresh(whole, 3, CHANNEL)
    after = Scenario(whole, after.chaincode, CHANNEL, after.package, after.ref, (first.msp_id, second.msp_id))
    await after.deploy()


def run_server(scenario: Scenario) -> Manifest:
    """A Vote that came too late to count, and has the operator run the chaincode's server."""
    vote = manifests.build_vote(scenario.ref.creator, scenario.ref.id)
    vote["spec"]["local"] = {"server": {"deploy": True}}
    return vote


async def change(member: Member, spec: dict[str, Any]) -> None:
    """Change a FabricOrganization, as its platform team does."""
    patch = json.dumps({"spec": spec})
    await member.kubectl("patch", Kind.FABRIC_ORGANIZATION.plural, member.name, "--type=merge", "--patch", patch)

"""AC-23: a channel that somebody made by hand on an orderer is no channel that was agreed to, whatever its name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from e2e.channel_story import ChannelStory
from fabric_protos.common.common_pb2 import Block

from opssc_operator.api.channel_proposal import ChannelProposalSpec
from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_operator.domain.channels.content import resolve_recipe
from opssc_operator.domain.channels.founding import build_genesis
from opssc_tools.environment.founding import build_creation
from opssc_tools.environment.objects import condition

if TYPE_CHECKING:
    from opssc_tools.environment import Consortium, Member
    from opssc_tools.environment.objects import Body

TAKEN, DEAD = "taken", "dead"


async def make_by_hand(member: Member, channel: str) -> str:
    """A channel of this member alone on its first orderer, whose address is returned."""
    only = [member.organization]
    spec = ChannelProposalSpec.model_validate({"channel": channel, **build_creation(only, only)})
    block = Block.FromString(build_genesis(channel, resolve_recipe(spec, {}), at=datetime.now(UTC)))
    orderer = member.organization.orderers[0]
    async with orderer.participation() as participation:
        await participation.join(block)
    return orderer.address


async def test_who_has_a_channel_of_that_name_agrees_only_when_it_is_gone(owners: Consortium) -> None:
    # Given
    first, second, _ = owners.members
    both = [first.organization, second.organization]
    address = await make_by_hand(second, TAKEN)
    story = ChannelStory(owners, (first, second), TAKEN, "create-taken", build_creation(both, both))

    # When
    await story.propose(first)

    # Then
    await story.until(ConditionType.VERIFIED, "False", "InvalidSpec", second)
    message = condition(story.seen_by(second), ConditionType.VERIFIED)["message"]
    assert f"channel {TAKEN} exists on orderer {address} with another first block" in message

    # And: a resync finds that a person removed it
    async with second.organization.orderers[0].participation() as participation:
        await participation.remove(TAKEN)
    await story.until_true(ConditionType.VERIFIED, second)
    await story.vote(second)
    await story.until_true(ConditionType.READY)


async def test_a_channel_that_came_in_between_is_not_taken_for_the_one_agreed_to(owners: Consortium) -> None:
    # Given a proposal, and another channel of its name on an orderer of who proposed it
    first, second, _ = owners.members
    both = [first.organization, second.organization]
    story = ChannelStory(owners, (first, second), DEAD, "create-dead", build_creation(both, both))
    await story.propose()
    address = await make_by_hand(first, DEAD)

    # When
    await story.vote(second)

    # Then
    await story.until(ConditionType.APPLIED, "False", "Superseded", first)

    def stalled(body: Body | None) -> bool:
        return condition(body, ConditionType.STALLED).get("status") == "True"

    shown = await first.until(Kind.CHANNEL_PROPOSAL, story.object_name(first), stalled, "Stalled")
    message = condition(shown, ConditionType.APPLIED)["message"]
    assert f"channel {DEAD} exists on orderer {address} with another first block" in message
    assert "osnadmin channel remove" in message
    assert DEAD not in await first.reader.system.channels()

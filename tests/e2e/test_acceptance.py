"""AC-05: what accepts a proposal is the channel's LifecycleEndorsement, whatever it says, and never a head count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio
from e2e import oracle

from fabric_devnet.channels import create_channel
from fabric_devnet.spec import ChannelSpec
from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_tools.environment.objects import condition

if TYPE_CHECKING:
    from collections.abc import Callable

    from e2e.scenario import Scenario

    from opssc_tools.environment import Consortium

# Organization 1 with 2, or with 3 and 4 together.
NESTED = "AND('Org1MSP.member', OR('Org2MSP.member', AND('Org3MSP.member', 'Org4MSP.member')))"
# Whether organizations 1 and 3 are enough depends on who signs for organization 1.
COUNTS_PEOPLE = "OutOf(2, 'Org1MSP.member', 'Org2MSP.member', OR('Org1MSP.admin', 'Org3MSP.member'))"
CHANNELS = (
    ChannelSpec("everybody", lifecycle_endorsement="ALL Endorsement"),
    ChannelSpec("anybody", lifecycle_endorsement="ANY Endorsement"),
    ChannelSpec("nested", lifecycle_endorsement=NESTED),
    ChannelSpec("people", lifecycle_endorsement=COUNTS_PEOPLE),
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ruled(consortium: Consortium) -> tuple[str, ...]:
    """Channels of all organizations, each with a lifecycle rule of its own."""
    for channel in CHANNELS:
        await create_channel(consortium.network, channel)
    return tuple(member.msp_id for member in consortium.members)


def on(channel: str, ruled: tuple[str, ...], new_scenario: Callable[..., Scenario]) -> Scenario:
    return new_scenario(channel, ruled)


async def test_all_means_that_everybody_has_to_agree(
    ruled: tuple[str, ...], new_scenario: Callable[..., Scenario]
) -> None:
    # Given: all but one agree
    scenario = on("everybody", ruled, new_scenario)
    scenario.serve()
    await scenario.propose()
    *some, last = scenario.members[1:]
    for member in some:
        await scenario.vote(member)
    await last.until(
        Kind.CHAINCODE_PROPOSAL,
        scenario.object_name(last),
        lambda body: bool((body or {})["status"]["tally"]["summary"] == "3/4"),
        "three of four",
        seconds=30.0,
    )
    await scenario.until(ConditionType.ACCEPTED, "False", "AwaitingOwnVote", last)
    await oracle.assert_nothing_done(scenario)

    # When
    await scenario.vote(last)

    # Then
    await scenario.until_true(ConditionType.READY)
    await oracle.assert_definition_everywhere(scenario)
    await oracle.assert_usable(scenario)


async def test_any_means_that_a_proposal_is_accepted_by_proposing_it(
    ruled: tuple[str, ...], new_scenario: Callable[..., Scenario]
) -> None:
    # Given
    scenario = on("anybody", ruled, new_scenario)
    scenario.serve()

    # When
    await scenario.creator.apply(scenario.manifest())

    # Then
    await scenario.until_true(ConditionType.READY)
    await oracle.assert_definition_everywhere(scenario)
    await oracle.assert_decided_and_committed_once(scenario, voters={"Org1MSP"})


async def test_a_nested_policy_accepts_by_its_branches_and_rejects_when_none_can_be_met(
    ruled: tuple[str, ...], new_scenario: Callable[..., Scenario]
) -> None:
    # Given: half of the organizations agree, one is against
    scenario, hopeless = on("nested", ruled, new_scenario), on("nested", ruled, new_scenario)
    scenario.serve()
    second, third, fourth = scenario.members[1:]
    await scenario.propose()
    await scenario.vote(second, "Disagree")
    await scenario.vote(third)
    await scenario.until_phase("Voting")

    # When
    await scenario.vote(fourth)

    # Then: the branch of 3 and 4 is met
    await scenario.until_true(ConditionType.READY)
    await oracle.assert_definition_everywhere(scenario)
    await oracle.assert_decided_and_committed_once(scenario, voters={member.msp_id for member in scenario.members})
    assert await second.reader.lifecycle.query_approved(scenario.channel, scenario.chaincode) is None

    # When: without 2 and without 4, no branch can be met although two of four could still agree
    await hopeless.propose()
    await hopeless.vote(second, "Disagree")
    await hopeless.vote(fourth, "Disagree")

    # Then
    await hopeless.until_phase("Rejected")
    await oracle.assert_nothing_done(hopeless)


async def test_a_policy_that_counts_people_is_refused_with_its_text(
    ruled: tuple[str, ...], new_scenario: Callable[..., Scenario]
) -> None:
    # Given
    scenario = on("people", ruled, new_scenario)

    # When
    await scenario.creator.apply(scenario.manifest())

    # Then
    await scenario.until(ConditionType.STALLED, "True", "UnsupportedByThisVersion", scenario.creator)
    said = condition(scenario.seen_by(scenario.creator), ConditionType.READY)["message"]
    assert said.startswith("LifecycleEndorsement: ")
    assert f"policy {COUNTS_PEOPLE} asks for several signers of Org1MSP" in said
    record = await oracle.read_record(scenario)
    assert (record.proposals, record.votes) == (0, ())

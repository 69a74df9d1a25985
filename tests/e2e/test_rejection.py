"""AC-06: rejected as soon as the rule cannot be met any more, and not earlier; nothing is done anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from e2e import oracle

from opssc_operator.api.conditions import ConditionType

if TYPE_CHECKING:
    from collections.abc import Callable

    from e2e.scenario import Scenario


@pytest.mark.parametrize(
    ("channel", "disagreeing"),
    [
        pytest.param("pair", (2,), id="of-2-one-disagrees"),
        pytest.param("mychannel", (2, 3), id="of-3-two-disagree"),
        pytest.param("quad", (3, 4), id="of-4-two-disagree-which-is-a-tie-at-best"),
    ],
)
async def test_a_majority_out_of_reach_rejects_at_once(
    new_scenario: Callable[..., Scenario], channel: str, disagreeing: tuple[int, ...]
) -> None:
    # Given
    scenario = new_scenario(channel)
    await scenario.propose()
    *before, last = disagreeing
    for number in before:
        await scenario.vote(scenario.consortium.member(number), "Disagree")
        await scenario.until_phase("Voting")

    # When
    await scenario.vote(scenario.consortium.member(last), "Disagree")

    # Then
    await scenario.until_phase("Rejected")
    await scenario.until(ConditionType.STALLED, "True", "Rejected")
    await oracle.assert_nothing_done(scenario)
    record = await oracle.read_record(scenario)
    assert (record.proposals, record.attempts) == (1, ())
    assert set(record.votes) == {"Org1MSP"} | {f"Org{number}MSP" for number in disagreeing}


async def test_a_tie_of_four_organizations_rejects(new_scenario: Callable[..., Scenario]) -> None:
    # Given: two of four agree
    scenario = new_scenario("quad")
    await scenario.propose()
    await scenario.vote(scenario.consortium.member(2))
    await scenario.vote(scenario.consortium.member(3), "Disagree")
    await scenario.until_phase("Voting")

    # When
    await scenario.vote(scenario.consortium.member(4), "Disagree")

    # Then
    await scenario.until_phase("Rejected")
    await oracle.assert_nothing_done(scenario)


async def test_one_disagreement_of_three_does_not_keep_the_others_from_deploying(scenario: Scenario) -> None:
    # Given
    scenario.serve()
    await scenario.propose()
    first, second, third = scenario.members
    await scenario.vote(third, "Disagree")

    # When
    await scenario.vote(second)

    # Then: the majority commits, and the third organization's nodes are left alone
    await scenario.until_true(ConditionType.READY)
    await oracle.assert_definition_everywhere(scenario)
    await oracle.assert_carried_out(scenario, first, second)
    assert scenario.package.package_id not in await third.reader.installed()
    assert await third.reader.lifecycle.query_approved(scenario.channel, scenario.chaincode) is None
    await oracle.assert_decided_and_committed_once(scenario, voters={"Org1MSP", "Org2MSP", "Org3MSP"})

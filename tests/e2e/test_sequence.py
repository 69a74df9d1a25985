"""AC-09: a sequence the channel would refuse is refused before anything is proposed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from e2e import oracle
from e2e.scenario import Scenario

from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.refs import ProposalRef
from opssc_tools.environment.objects import condition

if TYPE_CHECKING:
    from collections.abc import Callable

    from opssc_tools.environment import Consortium


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def deployed(consortium: Consortium, numbers: Callable[[], int]) -> Scenario:
    """A chaincode at sequence 1, whose servers nobody needs."""
    scenario = Scenario.fresh(consortium, numbers(), "mychannel")
    await scenario.propose()
    await scenario.agree()
    await scenario.until_true(ConditionType.READY)
    return scenario


async def test_a_name_that_was_never_deployed_starts_at_sequence_1(scenario: Scenario) -> None:
    # When
    chaincode = {"name": scenario.chaincode, "version": "1.0", "sequence": 2}
    await scenario.creator.apply(scenario.manifest(chaincode=chaincode))

    # Then: said where it was applied, and nowhere else
    await scenario.until(ConditionType.STALLED, "True", "SequenceConflict", scenario.creator)
    ready = condition(scenario.seen_by(scenario.creator), ConditionType.READY)
    assert ready["message"] == (
        f"{scenario.chaincode} was never deployed on channel mychannel, so its first sequence is 1, not 2; "
        "leave chaincode.sequence out, or propose anew with that one"
    )
    await oracle.assert_nothing_done(scenario)
    record = await oracle.read_record(scenario, sequence=2)
    assert (record.proposals, record.votes, record.attempts) == (0, (), ())
    assert scenario.seen_by(scenario.members[1]) is None


@pytest.mark.parametrize("sequence", [pytest.param(1, id="the-one-that-is-taken"), pytest.param(3, id="one-too-many")])
async def test_a_wrong_sequence_of_a_deployed_name_is_refused_before_it_is_proposed(
    deployed: Scenario, sequence: int
) -> None:
    # Given
    later = replace(deployed, ref=ProposalRef("Org1MSP", f"{deployed.chaincode}-wrong-{sequence}"))

    # When
    chaincode = {"name": deployed.chaincode, "version": "2.0", "sequence": sequence}
    await later.creator.apply(later.manifest(chaincode=chaincode))

    # Then
    await later.until(ConditionType.STALLED, "True", "SequenceConflict", later.creator)
    ready = condition(later.seen_by(later.creator), ConditionType.READY)
    assert ready["message"] == (
        f"{deployed.chaincode} is at sequence 1 on channel mychannel, so the next one is 2, not {sequence}; "
        "leave chaincode.sequence out, or propose anew with that one"
    )
    record = await oracle.read_record(later, sequence=sequence)
    assert (record.proposals, record.votes) == (0, ())
    await oracle.assert_definition_everywhere(deployed)

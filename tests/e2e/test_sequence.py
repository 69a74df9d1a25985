"""AC-09: a sequence the channel would refuse is refused before anything is proposed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e2e import oracle

from opssc_operator.api.conditions import ConditionType
from opssc_tools.environment.objects import condition

if TYPE_CHECKING:
    from e2e.scenario import Scenario


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

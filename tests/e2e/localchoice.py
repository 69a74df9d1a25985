"""What becomes of an organization's own choice of a package that is no good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e2e.scenario import WITHIN_SECONDS

from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_tools.environment.objects import condition

if TYPE_CHECKING:
    from e2e.scenario import Scenario

    from opssc_tools.environment import Member


async def assert_refused(scenario: Scenario, member: Member, reason: str, words: str) -> None:
    """The member's vote counts and says why, its nodes are left alone, and the others are not held up."""
    name = scenario.ref.id
    await member.until_reason(Kind.VOTE, name, ConditionType.READY, reason, seconds=WITHIN_SECONDS)
    await scenario.until_true(ConditionType.READY, *(each for each in scenario.members if each is not member))
    await scenario.until(ConditionType.STALLED, "True", reason, member)
    told = member.objects.get(Kind.VOTE, name)
    assert condition(told, ConditionType.COUNTED)["status"] == "True"
    assert words in condition(told, ConditionType.READY)["message"]
    assert await member.reader.lifecycle.query_approved(scenario.channel, scenario.chaincode) is None

"""Mirrors of proposals that are over go when their time is over, and stay away."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from e2e import oracle

from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from e2e.scenario import Scenario

    from opssc_tools.environment import Member
    from opssc_tools.environment.objects import Change

GONE_SECONDS = 60.0


@asynccontextmanager
async def retention_of(member: Member, retention: str) -> AsyncIterator[None]:
    """The organization keeps closed mirrors this long inside the block."""

    async def patch(value: str) -> None:
        change = json.dumps({"spec": {"mirror": {"retention": value}}})
        await member.kubectl("patch", Kind.FABRIC_ORGANIZATION.plural, member.name, "--type=merge", f"--patch={change}")

    await patch(retention)
    try:
        yield
    finally:
        await patch("720h")


async def test_a_closed_mirror_goes_when_its_time_is_over_and_is_not_listed_back(
    new_scenario: Callable[[], Scenario],
) -> None:
    # Given: two proposals, one of which everybody else refuses
    closed, open_one = new_scenario(), new_scenario()
    _, second, third = closed.members
    name = closed.object_name(second)
    await open_one.propose(second)
    await closed.propose(second, third)
    await closed.vote(second, "Disagree")
    await closed.vote(third, "Disagree")
    await closed.until_phase("Rejected")

    # When: nothing but time passes
    async with retention_of(second, "4s"):
        await second.until(
            Kind.CHAINCODE_PROPOSAL, name, lambda body: body is None, "gone after its retention", seconds=GONE_SECONDS
        )
        seen: list[str] = []

        def note(change: Change) -> None:
            if change.kind is Kind.CHAINCODE_PROPOSAL and change.body is not None:
                seen.append(change.name)

        end = second.objects.listen(note)

        # Then: an operator that lists the whole ledger anew does not bring it back
        await second.operator.stop()
        await second.delete(Kind.CHAINCODE_PROPOSAL, open_one.object_name(second))
        second.operator.start()
        await open_one.until_true(ConditionType.VERIFIED, second)
        await second.until_true(Kind.FABRIC_ORGANIZATION, second.name, ConditionType.READY)
        end()
        assert open_one.object_name(second) in seen
        assert name not in seen

    # and the ledger and the others keep it
    record = await oracle.read_record(closed)
    assert (record.proposals, set(record.votes)) == (1, {"Org1MSP", "Org2MSP", "Org3MSP"})
    assert closed.seen_by(third) is not None

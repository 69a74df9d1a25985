"""AC-10 and AC-15: operators that are away, and operators that are killed while they commit."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from e2e import oracle

from fabric_admin.errors import FabricError
from opssc_chaincode.ranking import proposal_seed, rank_by
from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_tools.environment.objects import condition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.scenario import Scenario

    from opssc_tools.environment import Member
    from opssc_tools.environment.objects import Change

COMMIT_SECONDS = 60.0


@contextmanager
def stalls_noted(scenario: Scenario) -> Iterator[list[str]]:
    """Every time an object of the proposal called itself Stalled, however shortly."""
    noted: list[str] = []

    def note(change: Change) -> None:
        if change.kind is Kind.CHAINCODE_PROPOSAL and change.name.startswith(scenario.ref.id):
            stalled = condition(change.body, ConditionType.STALLED)
            if stalled.get("status") == "True":
                noted.append(f"{change.name}: {stalled}")

    endings = [member.objects.listen(note) for member in scenario.members]
    yield noted
    for end in endings:
        end()


def first_ranked(scenario: Scenario) -> Member:
    """The organization that commits first when all approve."""
    members = {member.msp_id: member for member in scenario.members}
    return members[rank_by(proposal_seed(scenario.ref.creator, scenario.ref.id), members)[0]]


def others(scenario: Scenario, one: Member) -> tuple[Member, ...]:
    return tuple(member for member in scenario.members if member is not one)


async def test_the_others_finish_without_an_operator_that_catches_up_alone(scenario: Scenario) -> None:
    # Given: the third organization's operator is away
    scenario.serve()
    first, second, absent = scenario.members
    await absent.operator.stop()

    # When: the others propose, vote, install, approve and commit
    await scenario.propose(first, second)
    await scenario.vote(second)
    await scenario.until_true(ConditionType.READY, first, second)
    assert scenario.package.package_id not in await absent.reader.installed()

    # Then: it finds everything out and does its part when it is back
    absent.operator.start()
    await scenario.until_true(ConditionType.READY, absent)
    await oracle.assert_definition_everywhere(scenario)
    await oracle.assert_carried_out(scenario)
    await oracle.assert_decided_and_committed_once(scenario, voters={"Org1MSP", "Org2MSP"})
    await oracle.assert_usable(scenario)


async def test_what_stays_is_found_by_an_operator_that_was_away_when_it_came(scenario: Scenario) -> None:
    # Given: the third organization's operator is away while a package comes, and then stays through an upgrade
    scenario.serve()
    first, second, absent = scenario.members
    await absent.operator.stop()
    kept = scenario.following(2)
    fields = {"package": {"type": "unchanged"}, "chaincode": {"name": kept.chaincode, "version": "1.1"}}
    for proposal, spec in ((scenario, {}), (kept, fields)):
        await proposal.propose(first, second, **spec)
        await proposal.vote(second)
        await proposal.until_true(ConditionType.READY, first, second)

    # When
    absent.operator.start()
    await kept.until_true(ConditionType.READY, absent)

    # Then
    approved = await absent.reader.lifecycle.query_approved(kept.channel, kept.chaincode, 2)
    assert approved is not None
    assert approved.package_id == scenario.package.package_id
    assert scenario.package.package_id in await absent.reader.installed()
    await oracle.assert_usable(kept)


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(ConditionType.ACCEPTED, id="before-it-approves"),
        pytest.param(ConditionType.INSTALLED, id="while-it-approves"),
        pytest.param(ConditionType.APPROVED, id="while-it-commits"),
        pytest.param(ConditionType.COMMITTED, id="before-it-reports"),
    ],
)
async def test_a_committer_killed_at_any_moment_leaves_one_commit(scenario: Scenario, moment: ConditionType) -> None:
    # Given
    scenario.serve()
    committer = first_ranked(scenario)
    await scenario.propose()

    # When: killed as soon as it shows that it got there
    with stalls_noted(scenario) as stalls:
        voting = asyncio.create_task(scenario.agree())
        await scenario.until_true(moment, committer)
        committer.operator.kill()

        # Then: the others finish, and it finishes alone when it is back
        if committer is not scenario.members[1]:
            await voting
        await scenario.until_true(ConditionType.READY, *others(scenario, committer), seconds=COMMIT_SECONDS)
        committer.operator.start()
        await voting
        await scenario.until_true(ConditionType.READY)
    await oracle.assert_definition_everywhere(scenario)
    await oracle.assert_carried_out(scenario)
    await oracle.assert_decided_and_committed_once(scenario, voters={"Org1MSP", "Org2MSP"})
    assert not stalls


async def test_two_committers_at_once_commit_once(scenario: Scenario) -> None:
    # Given: somebody else who commits the moment it is possible
    scenario.serve()
    rival = others(scenario, first_ranked(scenario))[0]

    async def commit_when_possible() -> None:
        lifecycle, definition = rival.reader.lifecycle, oracle.expected_definition(scenario)
        async with asyncio.timeout(COMMIT_SECONDS):
            while True:
                readiness = await lifecycle.check_commit_readiness(scenario.channel, definition)
                approved = [msp_id for msp_id, done in readiness.approvals.items() if done]
                if len(approved) > 1:
                    break
        await lifecycle.commit(scenario.channel, definition, approved)

    await scenario.propose()
    racing = asyncio.create_task(commit_when_possible())

    # When
    with stalls_noted(scenario) as stalls:
        await scenario.agree()
        (lost,) = await asyncio.gather(racing, return_exceptions=True)
        await scenario.until_true(ConditionType.READY)

    # Then
    assert lost is None or isinstance(lost, FabricError)
    await oracle.assert_definition_everywhere(scenario)
    await oracle.assert_decided_and_committed_once(scenario, voters={"Org1MSP", "Org2MSP"})
    assert not stalls

"""AC-07: who may withdraw and when, voting twice, voting too late."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e2e import oracle
from e2e.contract_call import refusal_of

from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_tools.environment import manifests
from opssc_tools.environment.objects import condition

if TYPE_CHECKING:
    from e2e.scenario import Scenario

    from opssc_tools.environment import Member
    from opssc_tools.environment.objects import Body


async def _until_vote(member: Member, name: str, reason: str) -> Body:
    return await member.until_reason(Kind.VOTE, name, ConditionType.COUNTED, reason, seconds=30.0)


async def _until_ready_says(member: Member, scenario: Scenario, beginning: str) -> Body:
    def holds(body: Body | None) -> bool:
        return str(condition(body, ConditionType.READY).get("message", "")).startswith(beginning)

    what = f"Ready says {beginning!r}"
    return await member.until(Kind.CHAINCODE_PROPOSAL, scenario.ref.id, holds, what, seconds=30.0)


async def test_the_creator_withdraws_while_votes_are_cast(scenario: Scenario) -> None:
    # Given
    await scenario.propose()

    # When: the same manifest with one line more
    await scenario.creator.apply(scenario.manifest(withdraw=True))

    # Then
    await scenario.until_phase("Withdrawn")
    await scenario.until(ConditionType.READY, "False", "Withdrawn")
    await oracle.assert_nothing_done(scenario)
    hash_ = (scenario.seen_by(scenario.members[1]) or {})["status"]["contentHash"]
    late = await refusal_of(scenario.members[1], "Vote", "Org1MSP", scenario.ref.id, hash_, "Agree", "")
    assert "CLOSED: " in late


async def test_a_withdrawal_taken_back_is_final_and_says_so(scenario: Scenario) -> None:
    # Given
    await scenario.propose()
    await scenario.creator.apply(scenario.manifest(withdraw=True))
    await scenario.until_phase("Withdrawn")

    # When
    await scenario.creator.apply(scenario.manifest(withdraw=False))

    # Then
    await scenario.until(ConditionType.READY, "False", "WithdrawnFinal", scenario.creator)


async def test_nobody_else_can_withdraw(scenario: Scenario) -> None:
    # Given
    await scenario.propose()
    other = scenario.members[1]

    # When: another organization tries, by a manifest and past its operator
    await other.apply(scenario.manifest(creator="Org1MSP", withdraw=True))
    answer = await refusal_of(other, "Close", "Org1MSP", scenario.ref.id, "Withdrawn", "not mine")

    # Then
    assert "FORBIDDEN: " in answer
    await _until_ready_says(other, scenario, "only Org1MSP can withdraw it, withdraw is ignored; ")
    await scenario.vote(scenario.members[2])
    await scenario.until_true(ConditionType.ACCEPTED, scenario.creator, scenario.members[2])


async def test_a_withdrawal_after_the_decision_changes_nothing(scenario: Scenario) -> None:
    # Given
    await scenario.deploy()

    # When
    await scenario.creator.apply(scenario.manifest(withdraw=True))
    answer = await refusal_of(scenario.creator, "Close", "Org1MSP", scenario.ref.id, "Withdrawn", "changed my mind")

    # Then
    assert "CLOSED: " in answer
    body = await _until_ready_says(scenario.creator, scenario, "withdraw came after the decision and is ignored; ")
    assert body["status"]["phase"] == "Committed"
    assert condition(body, ConditionType.READY)["status"] == "True"
    await oracle.assert_definition_everywhere(scenario)


async def test_of_two_votes_of_one_organization_the_older_counts(scenario: Scenario) -> None:
    # Given
    await scenario.propose()
    voter = scenario.members[1]
    await scenario.vote(voter, "Disagree", name=f"{scenario.ref.id}-first")

    # When: the same organization votes again, through its operator and past it
    shown = (scenario.seen_by(voter) or {})["status"]["contentHash"]
    again = manifests.build_vote("Org1MSP", scenario.ref.id, content_hash=shown, name=f"{scenario.ref.id}-second")
    await voter.apply(again)
    answer = await refusal_of(voter, "Vote", "Org1MSP", scenario.ref.id, shown, "Agree", "")

    # Then
    await _until_vote(voter, f"{scenario.ref.id}-second", "DuplicateVote")
    assert "CONFLICT: " in answer
    record = await oracle.read_record(scenario)
    assert record.votes == ("Org1MSP", "Org2MSP")
    await scenario.until_phase("Voting")


async def test_a_vote_after_the_decision_is_not_sent(scenario: Scenario) -> None:
    # Given
    await scenario.deploy()
    late = scenario.members[2]

    # When
    shown = (scenario.seen_by(late) or {})["status"]["contentHash"]
    await late.apply(manifests.build_vote("Org1MSP", scenario.ref.id, decision="Disagree", content_hash=shown))

    # Then
    body = await _until_vote(late, scenario.ref.id, "VotingClosed")
    assert body["status"]["submitted"] is False
    await oracle.assert_decided_and_committed_once(scenario, voters={"Org1MSP", "Org2MSP"})

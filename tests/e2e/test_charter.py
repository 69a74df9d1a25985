"""AC-30, AC-31: a consortium changes its charter; what is proposed next follows it, or is refuted."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest_asyncio
from e2e.charters import CharterStory
from e2e.contract_call import CONTRACT, GOVERNANCE, refusal_of

from opssc_chaincode.model import DEFAULT_CHARTER, Facts, ProposalDocument
from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_operator.api.refs import ProposalRef, mirror_name
from opssc_tools.environment import manifests
from opssc_tools.environment.objects import Body, condition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from e2e.scenario import Scenario

    from opssc_tools.environment import Consortium, Member

STRICT: dict[str, Any] = {
    "minimum": {"chaincode": {"fraction": "all"}},
    "votingPeriod": {"default": "1h", "max": "2h"},
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def new_charter(consortium: Consortium, numbers: Callable[[], int]) -> AsyncIterator[Callable[..., CharterStory]]:
    """Makes proposals under fresh names; the terms of the built-in default are adopted again at the end."""

    def make(creator: int = 1) -> CharterStory:
        return CharterStory(consortium, consortium.member(creator), f"charter-{numbers()}")

    yield make
    await make().adopt()


async def facts_of(member: Member, ref: ProposalRef) -> Facts:
    return Facts.from_state(await member.reader.evaluate(GOVERNANCE, CONTRACT, "GetProposal", ref.creator, ref.id))


async def propose_under_the_default_charter(scenario: Scenario, proposal_id: str) -> ProposalRef:
    """Past the operator: the scenario's very content, pinned to a charter that asks for less."""
    stored = (await facts_of(scenario.creator, scenario.ref)).proposal
    document = ProposalDocument(
        schema_version=stored.schema_version,
        id=proposal_id,
        kind=stored.kind,
        content=stored.content,
        snapshot=stored.snapshot.model_copy(update={"charter": DEFAULT_CHARTER}),
        deadline=stored.deadline,
    )
    assert await refusal_of(scenario.creator, "Propose", document.canonical().decode()) == ""
    return ProposalRef(scenario.creator.msp_id, proposal_id)


async def test_the_next_chaincode_needs_what_the_new_charter_asks_for(
    new_charter: Callable[..., CharterStory], scenario: Scenario
) -> None:
    # Given: in force by three of four organizations, everywhere
    charter = new_charter()
    await charter.adopt(**STRICT)
    version = charter.seen_by(charter.creator)["status"]["version"]
    for member in charter.consortium.members:
        await member.until(
            Kind.FABRIC_ORGANIZATION, member.name, lambda body: charter_version(body) == version, "charterVersion"
        )

    # When: the majority that the channel's policy asks for agrees
    scenario.serve()
    await scenario.propose()
    first, second, third = scenario.members
    await scenario.vote(second)

    # Then: one vote is missing, and the time to give it is that of the charter
    shown = await first.until(Kind.CHAINCODE_PROPOSAL, scenario.ref.id, lacks_one_of_three, "2/3")
    status = shown["status"]
    assert status["phase"] == "Voting"
    given = await facts_of(first, scenario.ref)
    assert given.proposal.deadline - given.proposal.created_time <= timedelta(hours=1, minutes=1)
    assert given.proposal.snapshot.charter.proposal == str(charter.ref)
    assert datetime.fromisoformat(status["deadline"]) == given.proposal.deadline

    # And: the same content, pinned to the charter of before, is refuted by all, and nobody's vote is sent
    forged = await propose_under_the_default_charter(scenario, f"{scenario.chaincode}-forged")
    await refuted(forged, second, third)
    await scenario.vote(third)
    await scenario.until_true(ConditionType.READY)
    assert [vote.msp_id for vote in (await facts_of(first, forged)).votes] == [first.msp_id]


def lacks_one_of_three(body: Body | None) -> bool:
    tally: dict[str, Any] = (body or {}).get("status", {}).get("tally", {})
    return tally.get("summary") == "2/3"


def charter_version(body: Body | None) -> int | None:
    governance: dict[str, Any] = (body or {}).get("status", {}).get("governance", {})
    return governance.get("charterVersion")


async def refuted(forged: ProposalRef, *members: Member) -> None:
    """Every member says SnapshotMismatch, and does not send a Vote that agrees."""

    def mismatch(body: Body | None) -> bool:
        found = condition(body, ConditionType.VERIFIED)
        return (found.get("status"), found.get("reason")) == ("False", "SnapshotMismatch")

    for member in members:
        shown = await member.until(Kind.CHAINCODE_PROPOSAL, mirror_name(forged), mismatch, "SnapshotMismatch")
        vote = manifests.build_vote(forged.creator, forged.id, content_hash=shown["status"]["contentHash"])
        await member.apply(vote)
        await member.until_reason(Kind.VOTE, forged.id, "Counted", "SnapshotMismatch")


async def test_of_two_successors_the_one_decided_first_is_in_force(new_charter: Callable[..., CharterStory]) -> None:
    # Given: two organizations want different charters next
    first, second = new_charter(1), new_charter(2)
    await first.propose(maxClockSkew="4m")
    await second.propose(maxClockSkew="6m")
    third, fourth = first.consortium.members[2:]

    # When
    await first.agree(third, fourth)
    await first.until(ConditionType.IN_FORCE, "True", "InForce")

    # Then: the other one comes to nothing, also once its votes would be enough
    await second.until(ConditionType.READY, "False", "Superseded")
    content_hash = second.seen_by(third)["status"]["contentHash"]
    for voter in (third, fourth):
        assert await refusal_of(voter, "Vote", second.ref.creator, second.id, content_hash, "Agree") == ""
    await second.until(ConditionType.IN_FORCE, "False", "Superseded")
    await first.until(ConditionType.READY, "True", "Ready")

"""Charter proposals: who may decide on one, what is refuted, and what becomes of it once it is accepted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from unit.chaincode import strategies as ledger
from unit.chaincode.test_succession import FIRST, SECOND, decided, in_force
from unit.operator_domain.proposals import observed

from fabric_admin.rule import NOutOf
from opssc_chaincode.model import DEFAULT_CHARTER, Charter, CharterInForce, Facts, Proposal, ProposalDocument, Rule
from opssc_chaincode.succession import Decided, succeed
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.proposal import Phase
from opssc_operator.domain.channel import BlockNotKept, ChannelView, NoConfiguration
from opssc_operator.domain.charter import covers, may_rule, pins_truth, stayed
from opssc_operator.domain.kinds.chaincode import ChaincodeKind
from opssc_operator.domain.kinds.charter import CharterKind
from opssc_operator.domain.kinds.charter_work import CharterWork, judge_open
from opssc_operator.domain.proposal import decide_proposal
from opssc_operator.domain.verification import Grounds, verify_proposal

KIND = CharterKind()
SNAPSHOT = FIRST.proposal.snapshot
PINNED = ChannelView(
    channel=SNAPSHOT.channel,
    config_block=SNAPSHOT.config_block,
    config_sequence=SNAPSHOT.config_sequence,
    config_hash=SNAPSHOT.config_hash,
    members=SNAPSHOT.members,
    # Charters do not go by the channel's lifecycle policy.
    rule=NOutOf(1, SNAPSHOT.members),
)
RIVAL = decided("rival", at=12)


def stored(**changes: Any) -> Proposal:
    """The first charter's proposal with another snapshot, hashed as the contract would."""
    given = FIRST.proposal
    document = ProposalDocument(
        schema_version=given.schema_version,
        id=given.id,
        kind=given.kind,
        content=given.content,
        snapshot=SNAPSHOT.model_copy(update=changes),
        deadline=given.deadline,
    )
    return ledger.proposal(document)


def verify(proposal: Proposal, *, pinned: Any = PINNED, charter: CharterInForce = DEFAULT_CHARTER) -> Reason:
    return verify_proposal(KIND, proposal, Grounds(pinned, charter)).reason


def test_a_true_charter_is_verified_by_the_members_of_the_ops_channel_and_not_by_its_lifecycle_policy() -> None:
    assert verify(stored()) is Reason.VERIFIED


@pytest.mark.parametrize(
    ("proposal", "grounds"),
    [
        pytest.param(stored(members=(*ledger.members(3), "Org4MSP")), {}, id="members"),
        pytest.param(stored(rule=Rule(n=1, of=SNAPSHOT.members)), {}, id="rule"),
        pytest.param(stored(charter=CharterInForce(version=9)), {}, id="charter-that-never-was"),
        pytest.param(stored(), {"charter": in_force(FIRST)}, id="charter-of-before"),
        pytest.param(SECOND.proposal, {}, id="charter-of-later"),
        pytest.param(stored(), {"pinned": NoConfiguration(3)}, id="no-config-block"),
        pytest.param(stored(), {"pinned": replace(PINNED, config_hash="00" * 32)}, id="hash"),
    ],
)
def test_a_charter_that_pins_what_is_not_so_is_refuted(proposal: Proposal, grounds: dict[str, Any]) -> None:
    assert verify(proposal, **grounds) is Reason.SNAPSHOT_MISMATCH


def test_a_version_that_skips_is_refuted() -> None:
    assert verify(decided("x", version=7).proposal) is Reason.SNAPSHOT_MISMATCH


@pytest.mark.parametrize(
    ("proposal", "channel", "may"),
    [
        pytest.param(stored(), SNAPSHOT.channel, True, id="true"),
        pytest.param(stored(), "another-channel", False, id="channel"),
        pytest.param(stored(rule=Rule(n=1, of=SNAPSHOT.members)), SNAPSHOT.channel, False, id="rule"),
        pytest.param(stored().model_copy(update={"hash": "0" * 64}), SNAPSHOT.channel, False, id="hash"),
    ],
)
def test_only_more_than_half_of_the_ops_channel_can_rule(proposal: Proposal, channel: str, may: bool) -> None:
    assert may_rule(proposal, channel) is may


@pytest.mark.parametrize(
    ("pinned", "truth"),
    [
        pytest.param(PINNED, True, id="as-shown"),
        pytest.param(replace(PINNED, members=ledger.members(2)), False, id="other-members"),
        pytest.param(replace(PINNED, config_hash="00" * 32), False, id="other-block"),
        pytest.param(replace(PINNED, config_sequence=9), False, id="other-sequence"),
        pytest.param(NoConfiguration(3), False, id="no-configuration"),
        pytest.param(BlockNotKept(3), None, id="not-kept"),
        pytest.param(None, None, id="not-there-yet"),
    ],
)
def test_what_a_charter_pins_is_compared_with_the_own_peer_s_block(pinned: Any, truth: bool | None) -> None:
    assert pins_truth(stored(), pinned) is truth


def test_a_change_of_members_between_pin_and_decision_counts_even_when_it_was_taken_back() -> None:
    fewer = replace(PINNED, members=ledger.members(2))
    assert stayed(SNAPSHOT, (PINNED, PINNED))
    assert not stayed(SNAPSHOT, (PINNED, fewer, PINNED))


def decide(of: Decided, *known: Decided) -> Any:
    """The decision on an accepted charter, given all that count."""
    content = of.proposal.content
    assert isinstance(content, Charter)
    votes = tuple(ledger.vote(of.proposal, msp_id) for msp_id in ("Org1MSP", "Org2MSP"))
    work = CharterWork.of(of.proposal, content, succeed(known))
    return decide_proposal(observed(Facts(proposal=of.proposal, votes=votes), work=work))


@pytest.mark.parametrize(
    ("of", "known", "in_force_now", "ready", "phase"),
    [
        pytest.param(FIRST, (FIRST,), Reason.IN_FORCE, ("True", Reason.READY), Phase.IN_FORCE, id="in-force"),
        pytest.param(
            FIRST, (FIRST, SECOND), Reason.SUPERSEDED, ("True", Reason.SUPERSEDED), Phase.SUPERSEDED, id="replaced"
        ),
        pytest.param(
            RIVAL, (FIRST, RIVAL), Reason.SUPERSEDED, ("False", Reason.SUPERSEDED), Phase.SUPERSEDED, id="second-comer"
        ),
        pytest.param(FIRST, (), Reason.STALE, ("False", Reason.STALE), Phase.STALE, id="members-changed"),
    ],
)
def test_an_accepted_charter_says_whether_it_is_in_force(
    of: Decided, known: tuple[Decided, ...], in_force_now: Reason, ready: tuple[str, Reason], phase: Phase
) -> None:
    # When
    decision = decide(of, *known)

    # Then
    shown = decision.conditions[ConditionType.READY]
    assert decision.conditions[ConditionType.IN_FORCE].reason is in_force_now
    assert (shown.status, shown.reason, decision.phase) == (*ready, phase)
    assert (ConditionType.STALLED in decision.conditions) is not shown.holds
    assert (decision.ledger_actions, decision.reports) == ((), ())


@pytest.mark.parametrize(
    ("known", "members", "reason"),
    [
        pytest.param((), SNAPSHOT.members, None, id="open"),
        pytest.param((FIRST,), SNAPSHOT.members, Reason.SUPERSEDED, id="another-came-first"),
        pytest.param((), ledger.members(2), Reason.STALE, id="members-changed"),
    ],
)
def test_an_open_charter_that_can_no_longer_come_in_force_says_so(
    known: tuple[Decided, ...], members: tuple[str, ...], reason: Reason | None
) -> None:
    # When
    content = RIVAL.proposal.content
    assert isinstance(content, Charter)
    verdict = judge_open(content, RIVAL.proposal, succeed(known), replace(PINNED, members=members))

    # Then
    assert (None if verdict is None else verdict.reason) is reason


def test_objects_of_another_kind_contradict_a_proposal_by_their_kind() -> None:
    # Given
    charter, chaincode = FIRST.proposal.content, ledger.chaincode_content()
    spec = KIND.spec_type.model_validate({"charter": {}})

    # Then
    assert KIND.conflicts(spec, charter) == ()
    assert KIND.conflicts(spec, chaincode) == ("kind",)
    assert ChaincodeKind().conflicts(spec, chaincode) == ("kind",)


@pytest.mark.parametrize(
    ("claimed", "members", "enough"),
    [
        pytest.param(1, 1, True, id="alone-on-the-channel"),
        pytest.param(1, 2, False, id="one-of-two"),
        pytest.param(2, 3, True, id="two-of-three"),
        pytest.param(2, 4, False, id="half"),
        pytest.param(4, 2, True, id="some-left-since"),
    ],
)
def test_a_claim_counts_for_more_than_half_of_those_who_are_there(claimed: int, members: int, enough: bool) -> None:
    assert covers(SNAPSHOT.model_copy(update={"members": ledger.members(claimed)}), ledger.members(members)) is enough

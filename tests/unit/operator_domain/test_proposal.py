"""The whole decision about a proposal, branch by branch, and what must hold whatever was observed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.chaincode import strategies as ledger
from unit.operator_domain.proposals import (
    ACCEPTED,
    DEFINITION,
    DONE,
    LOCAL,
    MIRROR,
    NOW,
    OBSERVER,
    PLAN,
    PROPOSAL,
    REJECTED,
    TARGET,
    UNDONE,
    facts,
    observed,
)

from opssc_chaincode.model import Decision as LedgerDecision
from opssc_chaincode.model import Facts
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.organization import ExecutionMode
from opssc_operator.api.proposal import DeletionPolicy, Phase
from opssc_operator.api.refs import ProposalRef
from opssc_operator.api.vote import Decision
from opssc_operator.domain.actions import Close, CreateMirror, DeleteMirror, Propose, SetFinalizer
from opssc_operator.domain.deployment import Approval, Approve, Commit, Committed, DeploymentObserved
from opssc_operator.domain.observation import ManifestState
from opssc_operator.domain.proposal import decide_proposal
from opssc_operator.domain.verdict import Verdict, no, unknown, yes
from opssc_operator.domain.voting import CastVote, VoteWish

TOO_LATE = "withdraw came after the decision and is ignored"
NOT_YOURS = "only Org1MSP can withdraw it, withdraw is ignored"


@pytest.mark.parametrize(
    ("changes", "reason", "proposes", "stalled"),
    [
        pytest.param({"plan": PLAN}, Reason.PROPOSING, True, False, id="planned"),
        pytest.param({"plan": no(Reason.SEQUENCE_CONFLICT, "2")}, Reason.SEQUENCE_CONFLICT, False, True, id="sequence"),
        pytest.param({"plan": no(Reason.INVALID_SPEC, "x")}, Reason.INVALID_SPEC, False, True, id="invalid"),
        pytest.param({"plan": PLAN, "suspended": True}, Reason.SUSPENDED, False, False, id="organization-suspended"),
        pytest.param(
            {"plan": PLAN, "manifest": replace(LOCAL, suspend=True)}, Reason.SUSPENDED, False, False, id="suspended"
        ),
        pytest.param(
            {"plan": PLAN, "manifest": replace(LOCAL, withdraw=True)}, Reason.WITHDRAWN, False, False, id="withdrawn"
        ),
        pytest.param(
            {"plan": PLAN, "manifest": replace(LOCAL, deleting=True)}, Reason.SUSPENDED, False, False, id="deleting"
        ),
        pytest.param({"manifest": OBSERVER}, Reason.AWAITING_PROPOSAL, False, False, id="observer"),
    ],
)
def test_only_a_local_manifest_that_can_be_carried_out_is_proposed(
    changes: dict[str, Any], reason: Reason, proposes: bool, stalled: bool
) -> None:
    # When
    decision = decide_proposal(observed(None, **changes))

    # Then
    assert any(isinstance(action, Propose) for action in decision.ledger_actions) is proposes
    assert decision.conditions[ConditionType.READY].reason is reason
    assert (ConditionType.STALLED in decision.conditions) is stalled


def test_waiting_for_votes_names_who_is_missing_and_is_no_failure() -> None:
    # When
    decision = decide_proposal(observed(facts()))

    # Then
    ready = decision.conditions[ConditionType.READY]
    assert (ready.reason, ready.message) == (Reason.AWAITING_VOTES, "waiting for Org2MSP, Org3MSP (1/2)")
    assert ConditionType.RECONCILING in decision.conditions
    assert decision.phase is Phase.VOTING
    assert decision.requeue_seconds is not None


def test_an_organization_that_has_not_voted_reads_that_it_is_awaited() -> None:
    decision = decide_proposal(observed(facts(), own_msp_id="Org2MSP", manifest=None, mirror=MIRROR))
    assert decision.conditions[ConditionType.ACCEPTED].reason is Reason.AWAITING_OWN_VOTE


@pytest.mark.parametrize(
    ("given_facts", "changes", "closes"),
    [
        pytest.param(facts(), {"manifest": replace(LOCAL, withdraw=True)}, True, id="withdraw"),
        pytest.param(ACCEPTED, {"manifest": replace(LOCAL, withdraw=True)}, False, id="after-the-decision"),
        pytest.param(facts(), {"manifest": replace(OBSERVER, withdraw=True)}, False, id="anothers-proposal"),
        pytest.param(
            facts(),
            {"manifest": replace(LOCAL, deleting=True, deletion_policy=DeletionPolicy.WITHDRAW, has_finalizer=True)},
            True,
            id="deleted-with-policy-withdraw",
        ),
        pytest.param(facts(), {"manifest": replace(LOCAL, deleting=True)}, False, id="deleted-with-policy-retain"),
        pytest.param(
            facts(), {"manifest": replace(LOCAL, withdraw=True, conflicts=("version",))}, False, id="not-its-manifest"
        ),
    ],
)
def test_a_withdrawal_closes_only_the_own_open_proposal(
    given_facts: Facts, changes: dict[str, Any], closes: bool
) -> None:
    decision = decide_proposal(observed(given_facts, **changes))
    assert (Close("Withdrawn", "withdrawn by its creator") in decision.ledger_actions) is closes


@pytest.mark.parametrize(
    ("given_facts", "manifest", "status", "note"),
    [
        pytest.param(ACCEPTED, LOCAL, "True", TOO_LATE, id="after-the-commit"),
        pytest.param(REJECTED, LOCAL, "False", TOO_LATE, id="after-the-rejection"),
        pytest.param(facts(), OBSERVER, "False", NOT_YOURS, id="anothers-while-votes-are-cast"),
        pytest.param(ACCEPTED, OBSERVER, "True", NOT_YOURS, id="anothers-after-the-commit"),
        pytest.param(None, OBSERVER, "False", NOT_YOURS, id="anothers-before-it-is-proposed"),
    ],
)
def test_a_withdrawal_without_effect_is_said_and_changes_nothing_else(
    given_facts: Facts | None, manifest: ManifestState, status: str, note: str
) -> None:
    # Given
    seen = observed(given_facts, manifest=manifest, target=TARGET, deployment=DONE)

    # When
    before = decide_proposal(seen)
    after = decide_proposal(replace(seen, manifest=replace(manifest, withdraw=True)))

    # Then
    was, ready = before.conditions[ConditionType.READY], after.conditions[ConditionType.READY]
    assert (ready.status, ready.reason) == (was.status, was.reason)
    assert ready.status == status
    assert ready.message == f"{note}; {was.message}"
    assert (after.phase, after.ledger_actions) == (before.phase, before.ledger_actions)
    assert after.conditions.keys() == before.conditions.keys()


def test_one_manifest_for_all_organizations_says_nothing_more_once_its_creator_withdrew() -> None:
    # Given
    withdrawn = facts().model_copy(update={"closing": ledger.closing(PROPOSAL)})

    # When
    decision = decide_proposal(observed(withdrawn, manifest=replace(OBSERVER, withdraw=True)))

    # Then
    assert decision.phase is Phase.WITHDRAWN
    assert decision.conditions[ConditionType.READY].message == "withdrawn by Org1MSP"


def test_a_rejected_proposal_stalls_and_touches_nothing() -> None:
    decision = decide_proposal(observed(REJECTED))
    assert decision.phase is Phase.REJECTED
    assert decision.ledger_actions == ()
    assert ConditionType.STALLED in decision.conditions


def test_after_the_deadline_members_close_one_after_the_other() -> None:
    # Given
    end = PROPOSAL.deadline + PROPOSAL.snapshot.charter.max_clock_skew
    closers = {}
    for waited in (2, 7, 12):
        late = end + timedelta(seconds=waited)
        closers[waited] = [
            msp_id
            for msp_id in PROPOSAL.snapshot.members
            if decide_proposal(observed(facts(), now=late, own_msp_id=msp_id)).ledger_actions
        ]

    # Then
    assert [len(closers[waited]) for waited in (2, 7, 12)] == [1, 2, 3]
    assert decide_proposal(observed(facts(), now=end + timedelta(seconds=2))).phase is Phase.EXPIRED


def test_what_was_accepted_is_carried_out_and_then_ready() -> None:
    # When
    working = decide_proposal(observed(ACCEPTED, target=TARGET, deployment=UNDONE))
    done = decide_proposal(observed(ACCEPTED, target=TARGET, deployment=DONE))

    # Then
    assert Approve() in working.ledger_actions
    assert ConditionType.RECONCILING in working.conditions
    assert done.ledger_actions == ()
    assert done.conditions[ConditionType.READY].holds
    assert done.phase is Phase.COMMITTED


@pytest.mark.parametrize(
    ("given_facts", "changes", "reason"),
    [
        pytest.param(
            facts(Org2MSP=LedgerDecision.AGREE, Org3MSP=LedgerDecision.DISAGREE),
            {"own_msp_id": "Org3MSP"},
            Reason.DISAGREED,
            id="disagreed",
        ),
        pytest.param(
            ACCEPTED,
            {"own_msp_id": "Org3MSP", "execution": ExecutionMode.OWN_VOTE_ONLY},
            Reason.AWAITING_OWN_VOTE,
            id="acts-on-its-own-vote-only",
        ),
    ],
)
def test_an_organization_that_stands_aside_touches_nothing_and_is_ready_with_the_commit(
    given_facts: Facts, changes: dict[str, Any], reason: Reason
) -> None:
    # When
    before = decide_proposal(observed(given_facts, target=TARGET, deployment=UNDONE, **changes))
    after = decide_proposal(
        observed(given_facts, target=TARGET, deployment=replace(UNDONE, committed=DONE.committed), **changes)
    )

    # Then
    assert before.ledger_actions == ()
    assert before.conditions[ConditionType.INSTALLED].reason is reason
    assert not before.conditions[ConditionType.READY].holds
    assert after.ledger_actions == ()
    assert after.conditions[ConditionType.READY].holds


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"verified": no(Reason.SNAPSHOT_MISMATCH, "lies")}, id="false-snapshot"),
        pytest.param({"verified": unknown(Reason.AWAITING_VERIFICATION)}, id="unverified"),
        pytest.param({"own_msp_id": "Org9MSP"}, id="no-member"),
        pytest.param({"suspended": True}, id="suspended"),
        pytest.param({"superseded_by": ProposalRef("Org2MSP", "basic-9")}, id="superseded"),
    ],
)
def test_nothing_is_carried_out_without_good_reason(changes: dict[str, Any]) -> None:
    decision = decide_proposal(observed(ACCEPTED, **{"target": TARGET, "deployment": UNDONE, **changes}))
    assert decision.ledger_actions == ()
    assert not decision.conditions[ConditionType.READY].holds


def test_a_manifest_that_contradicts_the_ledger_stalls_while_the_decision_is_carried_out() -> None:
    # Given
    manifest = replace(LOCAL, conflicts=("version",))

    # When
    decision = decide_proposal(observed(ACCEPTED, manifest=manifest, target=TARGET, deployment=UNDONE))

    # Then
    assert Approve() in decision.ledger_actions
    assert decision.conditions[ConditionType.READY].reason is Reason.CONTENT_CONFLICT
    assert ConditionType.STALLED in decision.conditions


def test_a_stale_proposal_takes_no_votes() -> None:
    # Given
    wish = VoteWish("agree", NOW, Decision.AGREE, "", PROPOSAL.content_hash)

    # When
    decision = decide_proposal(observed(facts(), own_msp_id="Org2MSP", stale=no(Reason.STALE), wishes=(wish,)))

    # Then
    assert decision.phase is Phase.STALE
    assert decision.ledger_actions == ()
    assert decision.vote_outcomes["agree"].reason is Reason.VOTING_CLOSED


@pytest.mark.parametrize(
    ("was_committed", "ready", "stalled"),
    [
        pytest.param(False, "False", True, id="never-carried-out"),
        pytest.param(True, "True", False, id="committed-before"),
    ],
)
def test_a_rival_with_the_same_definition_from_another_package_is_not_fought(
    was_committed: bool, ready: str, stalled: bool
) -> None:
    # Given: what is committed and approved is the rival's, so this one's definition looks committed too
    theirs = replace(
        DONE, approval=Approval(DEFINITION, "other:" + "11" * 32), peers=(replace(DONE.peers[0], installed=False),)
    )
    target = replace(TARGET, already_committed=was_committed)
    rival = {"superseded_by": ProposalRef("Org2MSP", "basic-9"), "rival_is_same": True}

    # When
    decision = decide_proposal(observed(ACCEPTED, target=target, deployment=theirs, **rival))

    # Then
    found = decision.conditions[ConditionType.READY]
    assert (decision.ledger_actions, decision.reports) == ((), ())
    assert (found.status, found.reason, decision.phase) == (ready, Reason.SUPERSEDED, Phase.SUPERSEDED)
    assert (ConditionType.STALLED in decision.conditions) is stalled


def test_once_committed_a_proposal_stays_ready_when_another_replaces_it() -> None:
    # Given
    later = replace(DONE, committed=Committed(replace(DEFINITION, sequence=2), {}))
    target = replace(TARGET, already_committed=True)

    # When
    decision = decide_proposal(observed(ACCEPTED, target=target, deployment=later))

    # Then
    ready = decision.conditions[ConditionType.READY]
    assert (ready.holds, ready.reason) == (True, Reason.SUPERSEDED)
    assert decision.phase is Phase.SUPERSEDED


@pytest.mark.parametrize("suspended", [pytest.param(False, id="acting"), pytest.param(True, id="suspended")])
def test_history_that_cannot_be_proved_neither_asks_for_a_person_nor_waits(suspended: bool) -> None:
    # Given
    later = replace(DONE, committed=Committed(replace(DEFINITION, sequence=2), {}))

    # When
    decision = decide_proposal(observed(ACCEPTED, target=TARGET, deployment=later, suspended=suspended))

    # Then
    ready = decision.conditions[ConditionType.READY]
    assert (ready.status, ready.reason) == ("Unknown", Reason.SUPERSEDED)
    assert decision.conditions[ConditionType.COMMITTED] == ready
    assert not {ConditionType.STALLED, ConditionType.RECONCILING} & decision.conditions.keys()
    assert (decision.phase, decision.ledger_actions) == (Phase.SUPERSEDED, ())


@pytest.mark.parametrize(
    ("changes", "actions"),
    [
        pytest.param({"manifest": None, "mirror_wanted": True}, (CreateMirror(),), id="create"),
        pytest.param({"manifest": None, "mirror": MIRROR, "mirror_wanted": True}, (), id="keep"),
        pytest.param({"manifest": OBSERVER, "mirror": MIRROR, "mirror_wanted": True}, (DeleteMirror(),), id="observer"),
        pytest.param({"manifest": None, "mirror": MIRROR}, (DeleteMirror(),), id="no-longer-wanted"),
        pytest.param(
            {"manifest": replace(LOCAL, deletion_policy=DeletionPolicy.WITHDRAW)},
            (SetFinalizer(present=True),),
            id="hold-for-withdrawal",
        ),
        pytest.param({"manifest": replace(LOCAL, has_finalizer=True)}, (SetFinalizer(present=False),), id="let-go"),
    ],
)
def test_objects_follow_the_ledger(changes: dict[str, Any], actions: tuple[object, ...]) -> None:
    assert decide_proposal(observed(facts(), **changes)).object_actions == actions


def test_a_manifest_to_withdraw_is_let_go_once_nothing_is_open() -> None:
    manifest = replace(LOCAL, deletion_policy=DeletionPolicy.WITHDRAW, deleting=True, has_finalizer=True)
    assert decide_proposal(observed(facts(), manifest=manifest)).object_actions == ()
    assert decide_proposal(observed(ACCEPTED, manifest=manifest)).object_actions == (SetFinalizer(present=False),)


@given(
    ballots=st.dictionaries(st.sampled_from(["Org2MSP", "Org3MSP"]), st.sampled_from(list(LedgerDecision))),
    own=st.sampled_from(["Org1MSP", "Org2MSP", "Org3MSP", "Org9MSP"]),
    seconds=st.integers(0, 100 * 24 * 3600),
    verified=st.sampled_from([yes(Reason.VERIFIED), no(Reason.SNAPSHOT_MISMATCH), unknown(Reason.PENDING)]),
    execution=st.sampled_from(list(ExecutionMode)),
    suspended=st.booleans(),
    deployment=st.sampled_from([DONE, UNDONE]),
)
def test_only_verified_accepted_proposals_touch_peers_and_conditions_are_whole(
    *,
    ballots: dict[str, LedgerDecision],
    own: str,
    seconds: int,
    verified: Any,
    execution: ExecutionMode,
    suspended: bool,
    deployment: DeploymentObserved,
) -> None:
    given_facts = facts(**ballots)
    seen = observed(
        given_facts,
        now=NOW + timedelta(seconds=seconds),
        own_msp_id=own,
        verified=verified,
        execution=execution,
        suspended=suspended,
        target=TARGET,
        deployment=replace(deployment, own_msp_id=own),
    )
    decision = decide_proposal(seen)
    on_peers = [a for a in decision.ledger_actions if not isinstance(a, Propose | CastVote | Close)]
    if on_peers:
        assert seen.tally is not None
        assert seen.tally.accepted
        assert verified.holds
        assert not suspended
        assert own in PROPOSAL.snapshot.members
        assert ballots.get(own) is not LedgerDecision.DISAGREE
        assert execution is ExecutionMode.FOLLOW_DECISION or own == "Org1MSP" or ballots.get(own) is not None
        assert not any(isinstance(a, Commit) for a in on_peers) or deployment.approval is not None
    ready = decision.conditions[ConditionType.READY]
    assert not (ConditionType.STALLED in decision.conditions and ConditionType.RECONCILING in decision.conditions)
    assert not (ready.holds and ConditionType.STALLED in decision.conditions)


def test_the_clock_of_these_tables_is_utc() -> None:
    assert NOW.tzinfo is UTC


@pytest.mark.parametrize(
    ("verified", "seconds"),
    [
        pytest.param(unknown(Reason.AWAITING_VERIFICATION, "block 7"), 5.0, id="block-not-there-yet"),
        pytest.param(unknown(Reason.CHANNEL_NOT_FOUND, "mychannel"), 30.0, id="channel-not-joined"),
    ],
)
@pytest.mark.parametrize("given_facts", [pytest.param(facts(), id="voting"), pytest.param(ACCEPTED, id="accepted")])
def test_what_the_own_peer_does_not_show_yet_is_looked_for_again(
    given_facts: Facts, verified: Verdict, seconds: float
) -> None:
    decision = decide_proposal(observed(given_facts, own_msp_id="Org2MSP", manifest=OBSERVER, verified=verified))
    assert decision.requeue_seconds == seconds
    assert decision.ledger_actions == ()
    assert ConditionType.STALLED not in decision.conditions


def test_between_deadline_and_expiry_no_vote_is_sent() -> None:
    # Given
    late = PROPOSAL.deadline + timedelta(seconds=1)
    wish = VoteWish("late", NOW + timedelta(hours=1), Decision.AGREE, "", PROPOSAL.content_hash)

    # When
    decision = decide_proposal(
        observed(facts(), own_msp_id="Org2MSP", manifest=None, mirror=MIRROR, wishes=(wish,), now=late)
    )

    # Then
    assert decision.phase is Phase.VOTING
    assert decision.ledger_actions == ()
    assert decision.vote_outcomes["late"].reason is Reason.VOTING_CLOSED


@pytest.mark.parametrize(
    ("suspended", "closes"), [pytest.param(False, True, id="working"), pytest.param(True, False, id="suspended")]
)
def test_a_suspended_organization_closes_nothing(suspended: bool, closes: bool) -> None:
    expired = PROPOSAL.deadline + timedelta(hours=1)
    decision = decide_proposal(observed(facts(), suspended=suspended, now=expired))
    assert any(isinstance(action, Close) for action in decision.ledger_actions) is closes
    assert decision.phase is Phase.EXPIRED


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        pytest.param({}, 61.0, id="in-a-minute"),
        pytest.param({"mirror_until": NOW}, 1.0, id="now"),
        pytest.param({"mirror_until": None}, None, id="not-over"),
        pytest.param({"mirror": None}, None, id="not-there"),
        pytest.param({"mirror_wanted": False}, None, id="being-removed"),
    ],
)
def test_the_mirror_of_a_proposal_that_is_over_is_looked_at_when_it_is_due(
    changes: dict[str, Any], seconds: float | None
) -> None:
    usual = {"manifest": None, "mirror": MIRROR, "mirror_wanted": True, "mirror_until": NOW + timedelta(minutes=1)}

    decision = decide_proposal(observed(REJECTED, **{**usual, **changes}))

    assert decision.requeue_seconds == seconds


@pytest.mark.parametrize(
    ("silent", "message"),
    [
        pytest.param((), "waiting for Org2MSP, Org3MSP (1/2)", id="none"),
        pytest.param(
            ("Org3MSP",),
            "waiting for Org2MSP (1/2); Org3MSP: not on channel ops-channel, counts as never voting",
            id="one",
        ),
        pytest.param(
            ("Org2MSP", "Org3MSP"),
            "nobody is left who can vote (1/2); Org2MSP, Org3MSP: not on channel ops-channel, counts as never voting",
            id="all",
        ),
    ],
)
def test_who_cannot_vote_is_not_waited_for_and_named(silent: tuple[str, ...], message: str) -> None:
    decision = decide_proposal(observed(facts(), silent=silent, governance_channel="ops-channel"))

    assert decision.conditions[ConditionType.ACCEPTED].message == message

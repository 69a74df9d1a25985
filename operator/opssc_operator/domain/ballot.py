"""The stages of a proposal before its acceptance: not proposed, open for votes, or past its deadline. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from typing import Final

from opssc_chaincode.model import Facts
from opssc_chaincode.model import Kind as LedgerKind
from opssc_chaincode.ranking import rank_by
from opssc_chaincode.tally import Tally
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.proposal import Origin, Phase
from opssc_operator.domain.actions import Close, Propose
from opssc_operator.domain.deployment import TAKEOVER_SECONDS
from opssc_operator.domain.observation import NOTHING_YET, ProposalObserved, rank_seed
from opssc_operator.domain.planning import Plan, Preview
from opssc_operator.domain.silence import silence_note
from opssc_operator.domain.stage import STALE_AGAIN_SECONDS, VERIFY_AGAIN_SECONDS, Stage, closed
from opssc_operator.domain.verdict import Verdict, no, unknown, yes
from opssc_operator.domain.voting import VotingDecision, own_vote

TERMINAL_PLAN_REASONS: Final = frozenset(
    {
        Reason.INVALID_SPEC,
        Reason.NOT_A_MEMBER,
        Reason.PACKAGE_ID_MISMATCH,
        Reason.PACKAGE_INVALID,
        Reason.PEER_TOO_OLD,
        Reason.SEQUENCE_CONFLICT,
        Reason.UNSUPPORTED_BY_THIS_VERSION,
        Reason.UNTRUSTED_SOURCE,
    }
)
"""Why a manifest cannot be proposed until somebody changes it or the channel (which is noticed by itself)."""
PLAN_AGAIN_SECONDS: Final = {
    Reason.AWAITING_VERIFICATION: 10.0,
    Reason.DEFINITION_INVALID: 10.0,
    Reason.DEFINITION_NOT_FOUND: 10.0,
    Reason.PEER_TOO_OLD: 30.0,
}
"""How soon to look again for what is kept in objects that nobody watches, and at own peers."""


def decide_unproposed(observed: ProposalObserved) -> Stage:
    """The ledger has no proposal of this name."""
    manifest = observed.manifest
    base = {ConditionType.ACCEPTED: unknown(Reason.AWAITING_PROPOSAL, "not on the ledger yet")}
    if manifest is None or manifest.origin is not Origin.LOCAL:
        message = f"{observed.ref.creator} has not proposed {observed.ref.id} yet"
        return Stage(base, Phase.PENDING, ready=no(Reason.AWAITING_PROPOSAL, message))
    if manifest.withdraw:
        ready = no(Reason.WITHDRAWN, "withdrawn before it was proposed; nothing is on the ledger")
        return Stage(base, Phase.WITHDRAWN, ready=ready, waiting=False)
    if manifest.deleting or observed.is_suspended:
        return Stage(base, Phase.PENDING, ready=no(Reason.SUSPENDED, "nothing is proposed while suspended"))
    if isinstance(observed.plan, Plan):
        proposing = no(Reason.PROPOSING, f"proposing {observed.ref} on the ledger")
        return Stage(base, Phase.PENDING, (Propose(observed.plan),), ready=proposing)
    if isinstance(observed.plan, Preview):
        shown = yes(Reason.DRY_RUN, observed.plan.message)
        return Stage({**base, ConditionType.VERIFIED: shown}, Phase.PENDING, ready=shown, waiting=False)
    verdict = observed.plan or NOTHING_YET
    stalled = verdict.reason in TERMINAL_PLAN_REASONS
    base = {**base, ConditionType.VERIFIED: verdict}
    phase = Phase.FAILED if stalled else Phase.PENDING
    ready = no(verdict.reason, verdict.message)
    look_again = PLAN_AGAIN_SECONDS.get(verdict.reason)
    return Stage(base, phase, stalled=stalled, ready=ready, requeue_seconds=look_again)


def decide_expired(observed: ProposalObserved, facts: Facts) -> Stage:
    """Past the deadline: the members close it on the ledger, one after the other until one succeeded."""
    deadline = facts.proposal.deadline
    stage = closed(
        observed,
        Phase.EXPIRED,
        no(Reason.EXPIRED, f"no decision before {deadline:%Y-%m-%dT%H:%M:%SZ}; propose anew under another id"),
    )
    members = facts.proposal.snapshot.members
    if facts.closing is not None or observed.own_msp_id not in members:
        return stage
    skew = timedelta(seconds=facts.proposal.snapshot.charter.max_clock_skew_seconds)
    # One more second, since the contract compares the transaction's whole second with the deadline.
    passed = (observed.now - deadline - skew).total_seconds() - 1.0
    wait = rank_by(rank_seed(observed.ref), members).index(observed.own_msp_id) * TAKEOVER_SECONDS - passed
    if observed.is_suspended:
        return stage
    actions = () if wait > 0 else (Close("Expired", "the deadline passed without a decision"),)
    return replace(stage, actions=actions, requeue_seconds=max(wait, 0.0) or None)


def decide_open(observed: ProposalObserved, tally: Tally, voting: VotingDecision) -> Stage:
    """Votes are still being cast."""
    facts = observed.facts
    if facts is None:
        raise AssertionError("an open proposal has facts")
    message = awaiting_message(tally, observed.silent, observed.governance_channel)
    accepted = no(_awaiting_reason(observed, facts, tally), message)
    conditions = {ConditionType.VERIFIED: observed.verified, ConditionType.ACCEPTED: accepted}
    left = (facts.proposal.deadline - observed.now).total_seconds()
    until_expiry = left + facts.proposal.snapshot.charter.max_clock_skew_seconds + 1.0
    if observed.withdrawal_wanted:
        return Stage(
            conditions,
            Phase.VOTING,
            (Close("Withdrawn", "withdrawn by its creator"),),
            ready=no(Reason.PROGRESSING, "withdrawing"),
        )
    if observed.stale is not None:
        return _decide_stale(observed, observed.stale)
    actions = (voting.cast,) if voting.cast is not None else ()
    ready = accepted if not observed.verified.fails else no(observed.verified.reason, observed.verified.message)
    look_again = max(1.0, min(until_expiry, VERIFY_AGAIN_SECONDS.get(observed.verified.reason, until_expiry)))
    stage = Stage(conditions, Phase.VOTING, actions, ready=ready, requeue_seconds=look_again)
    if observed.is_suspended:
        return Stage(conditions, Phase.VOTING, ready=no(Reason.SUSPENDED, "suspended; nothing is sent"))
    return stage


def _decide_stale(observed: ProposalObserved, stale: Verdict) -> Stage:
    """The channel moved on; the creator proposes the same anew when that is still possible."""
    if observed.succeeded_by:
        verdict = no(Reason.STALE, f"{observed.succeeded_by} proposes the same anew; {stale.message}")
        return replace(_overtaken(observed, Phase.STALE, verdict), stalled=False, waiting=False)
    stage = _overtaken(observed, Phase.SUPERSEDED if stale.reason is Reason.SUPERSEDED else Phase.STALE, stale)
    if observed.successor is None or not observed.may_propose_anew:
        return replace(stage, requeue_seconds=STALE_AGAIN_SECONDS)
    return replace(stage, actions=(Propose(observed.successor),), stalled=False)


def _overtaken(observed: ProposalObserved, phase: Phase, verdict: Verdict) -> Stage:
    """The end of a proposal that something else came before; of a change of a channel, that it will not be applied."""
    stage = closed(observed, phase, verdict)
    if observed.ledger_kind is not LedgerKind.CHANNEL:
        return stage
    return replace(stage, conditions={**stage.conditions, ConditionType.APPLIED: verdict})


def _awaiting_reason(observed: ProposalObserved, facts: Facts, tally: Tally) -> Reason:
    pending = observed.own_msp_id in tally.pending and own_vote(facts, observed.own_msp_id) is None
    return Reason.AWAITING_OWN_VOTE if pending else Reason.AWAITING_VOTES


def awaiting_message(tally: Tally, silent: Collection[str] = (), governance_channel: str = "") -> str:
    """``waiting for Org2MSP, Org3MSP (1/2)``: who has not voted, agreements so far and how many are needed.

    Members that cannot vote, because they are not on the governance channel, are named apart.
    """
    waiting = [msp_id for msp_id in tally.pending if msp_id not in silent]
    count = f"({len(tally.agreed)}/{len(tally.agreed) + tally.needed})"
    message = f"waiting for {', '.join(waiting)} {count}" if waiting else f"nobody is left who can vote {count}"
    mute = [msp_id for msp_id in tally.pending if msp_id in silent]
    return f"{message}; {silence_note(mute, governance_channel)}" if mute else message

"""What this organization does next about one proposal, and what every condition says meanwhile.

Owns the whole decision, for every kind of proposal: pure, from one frozen observation. No branch depends on which event
woke the reconcile. What a kind does once its proposal is accepted stands in ``kinds``.
"""

from __future__ import annotations

from dataclasses import replace

from opssc_chaincode.model import Facts
from opssc_chaincode.tally import Phase as LedgerPhase
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.proposal import Origin, Phase
from opssc_operator.domain.ballot import decide_expired, decide_open, decide_unproposed
from opssc_operator.domain.objects import decide_objects
from opssc_operator.domain.observation import ProposalObserved, voting_observed
from opssc_operator.domain.outline import target_of
from opssc_operator.domain.pauses import soonest
from opssc_operator.domain.stage import VERIFY_AGAIN_SECONDS, ProposalDecision, Stage, closed
from opssc_operator.domain.verdict import Verdict, no, unknown, yes
from opssc_operator.domain.voting import VotingDecision, decide_vote


def decide_proposal(observed: ProposalObserved) -> ProposalDecision:
    """Decide everything this organization does next about one proposal."""
    voting = decide_vote(voting_observed(observed))
    stage = decide_unproposed(observed) if observed.facts is None else _decide_on_ledger(observed, voting)
    stage = _judge_manifest(observed, stage)
    conditions = dict(stage.conditions)
    conditions[ConditionType.READY] = stage.ready
    if stage.stalled:
        conditions[ConditionType.STALLED] = yes(stage.ready.reason, stage.ready.message)
    elif not stage.ready.holds and stage.waiting:
        conditions[ConditionType.RECONCILING] = yes(stage.ready.reason, stage.ready.message)
    return ProposalDecision(
        ledger_actions=stage.actions,
        object_actions=decide_objects(observed),
        conditions=conditions,
        phase=stage.phase,
        vote_outcomes=voting.outcomes,
        follows=stage.follows,
        reports=stage.reports,
        vote_problems=stage.vote_problems,
        requeue_seconds=_look_again(observed, stage.requeue_seconds),
    )


def _look_again(observed: ProposalObserved, seconds: float | None) -> float | None:
    """When to look again: also when the mirror has been there long enough, which nothing but time tells."""
    if observed.mirror_until is None or observed.mirror is None or not observed.mirror_wanted:
        return seconds
    left = (observed.mirror_until - observed.now).total_seconds() + 1.0
    return soonest(seconds, max(left, 1.0))


def _decide_on_ledger(observed: ProposalObserved, voting: VotingDecision) -> Stage:
    """The proposal is on the ledger: its votes decide what stage it is in."""
    facts, tally = observed.facts, observed.tally
    if facts is None or tally is None:
        raise AssertionError("a proposal on the ledger is observed with its tally")
    match tally.phase:
        case LedgerPhase.VOTING:
            return decide_open(observed, tally, voting)
        case LedgerPhase.ACCEPTED:
            return _decide_accepted(observed, facts)
        case LedgerPhase.REJECTED:
            message = f"rejected: {', '.join(tally.disagreed)} disagreed; propose anew under another id"
            return closed(observed, Phase.REJECTED, no(Reason.REJECTED, message))
        case LedgerPhase.WITHDRAWN:
            message = f"withdrawn by {observed.ref.creator}"
            stage = closed(observed, Phase.WITHDRAWN, no(Reason.WITHDRAWN, message))
            return replace(stage, stalled=False, waiting=False)
        case LedgerPhase.EXPIRED:
            return decide_expired(observed, facts)


def _decide_accepted(observed: ProposalObserved, facts: Facts) -> Stage:
    """The votes satisfy the rule: carry the decision out on the own nodes, and read it back."""
    accepted = yes(Reason.ACCEPTED, f"agreed by {', '.join(observed.tally.agreed if observed.tally else ())}")
    conditions = {ConditionType.VERIFIED: observed.verified, ConditionType.ACCEPTED: accepted}
    if observed.admission is not None:
        return observed.admission.decide(observed, conditions)
    is_member = observed.own_msp_id in facts.proposal.snapshot.members
    if not is_member and not observed.newcomer and not observed.verified.fails:
        message = f"{observed.own_msp_id} is not a member of channel {target_of(facts.proposal)}"
        return Stage(conditions, Phase.ACCEPTED, ready=unknown(Reason.NOT_A_MEMBER, message), waiting=False)
    if not observed.verified.holds:
        stalled = observed.verified.fails
        ready = no(observed.verified.reason, observed.verified.message)
        look_again = VERIFY_AGAIN_SECONDS.get(observed.verified.reason)
        return Stage(conditions, Phase.ACCEPTED, stalled=stalled, ready=ready, requeue_seconds=look_again)
    if observed.work is None:
        return Stage(conditions, Phase.ACCEPTED, ready=no(Reason.PROGRESSING, "looking at the own peers"))
    return observed.work.decide(observed, conditions)


def _judge_manifest(observed: ProposalObserved, stage: Stage) -> Stage:
    """A manifest that says something else than the ledger is wrong, whatever becomes of the proposal itself."""
    manifest = observed.manifest
    if manifest is None or not manifest.conflicts:
        return _with_withdrawal_note(observed, stage)
    verdict = no(
        Reason.CONTENT_CONFLICT,
        f"{observed.ref} is on the ledger with other {', '.join(manifest.conflicts)}; "
        "use another proposalID, or make the manifest equal",
    )
    return replace(stage, conditions={**stage.conditions, ConditionType.VERIFIED: verdict}, stalled=True, ready=verdict)


def _with_withdrawal_note(observed: ProposalObserved, stage: Stage) -> Stage:
    """Say why a withdrawal has no effect: it is another's proposal, it came too late, or it cannot be taken back."""
    manifest = observed.manifest
    if manifest is None:
        return stage
    withdrawn = stage.phase is Phase.WITHDRAWN
    if manifest.origin is Origin.OBSERVED:
        # One manifest may serve all organizations: once the creator withdrew, it says nothing wrong here.
        ignored = manifest.withdraw and not withdrawn
        return _noted(stage, f"only {observed.ref.creator} can withdraw it, withdraw is ignored") if ignored else stage
    if observed.tally is None or manifest.origin is not Origin.LOCAL:
        return stage
    if withdrawn and not manifest.withdraw:
        ready = no(Reason.WITHDRAWN_FINAL, "the withdrawal is final; propose anew under another id")
        return replace(stage, ready=ready, waiting=False)
    if manifest.withdraw and observed.tally.phase in {LedgerPhase.ACCEPTED, LedgerPhase.REJECTED}:
        return _noted(stage, "withdraw came after the decision and is ignored")
    return stage


def _noted(stage: Stage, note: str) -> Stage:
    """The same, with a note before what Ready says."""
    ready = stage.ready
    message = f"{note}; {ready.message}" if ready.message else note
    return replace(stage, ready=Verdict(ready.status, ready.reason, message))

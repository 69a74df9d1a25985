"""What this organization does next about one chaincode proposal, and what every condition says meanwhile.

Owns the whole decision: pure, from one frozen observation. No branch depends on which event woke the reconcile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from opssc_chaincode.model import Facts
from opssc_chaincode.ranking import proposal_seed, rank_by
from opssc_chaincode.tally import Phase as LedgerPhase
from opssc_chaincode.tally import Tally
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.organization import ExecutionMode
from opssc_operator.api.proposal import DeletionPolicy, Origin, Phase
from opssc_operator.api.refs import ProposalRef
from opssc_operator.api.vote import Decision
from opssc_operator.domain.deployment import (
    TAKEOVER_SECONDS,
    DeploymentAction,
    DeploymentDecision,
    DeploymentObserved,
    Target,
    decide_deployment,
)
from opssc_operator.domain.planning import Plan
from opssc_operator.domain.verdict import Verdict, no, unknown, yes
from opssc_operator.domain.voting import (
    CastVote,
    VoteWish,
    VotingDecision,
    VotingObserved,
    VotingRules,
    decide_vote,
    own_vote,
)

NOTHING_YET: Final = unknown(Reason.PENDING)
VERIFY_AGAIN_SECONDS: Final = {Reason.AWAITING_VERIFICATION: 5.0, Reason.CHANNEL_NOT_FOUND: 30.0}
"""How soon to look again for what the own peer does not show yet; no event tells that it does."""


INIT_NOTE: Final = "; it asks for an Init call, which no operator of this version makes: invoke it with --isInit"


@dataclass(frozen=True, slots=True)
class ManifestState:
    """The object in this namespace that stands for the proposal, and in which fields it contradicts the ledger."""

    name: str
    origin: Origin
    created: datetime
    withdraw: bool = False
    suspend: bool = False
    deleting: bool = False
    deletion_policy: DeletionPolicy = DeletionPolicy.RETAIN
    has_finalizer: bool = False
    conflicts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProposalObserved:
    """Everything ``decide_proposal`` looks at.

    ``plan`` is what the local manifest would propose, or the verdict that explains why it cannot; ``verified`` is what
    the own peer says about the proposal on the ledger; ``deployment`` is observed once the proposal is accepted.
    """

    now: datetime
    ref: ProposalRef
    own_msp_id: str
    execution: ExecutionMode
    suspended: bool
    rules: VotingRules
    manifest: ManifestState | None
    mirror: ManifestState | None
    mirror_wanted: bool
    wishes: tuple[VoteWish, ...]
    facts: Facts | None
    tally: Tally | None
    plan: Plan | Verdict | None = None
    verified: Verdict = NOTHING_YET
    stale: bool = False
    superseded_by: ProposalRef | None = None
    target: Target | None = None
    deployment: DeploymentObserved | None = None


@dataclass(frozen=True, slots=True)
class Propose:
    """Submit the planned document."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Close:
    """Close the proposal on the ledger."""

    cause: str
    reason: str


@dataclass(frozen=True, slots=True)
class CreateMirror:
    """Make an object for another organization's proposal."""


@dataclass(frozen=True, slots=True)
class DeleteMirror:
    """Remove the operator's own object: a manifest of the same proposal exists, or it is no longer wanted."""


@dataclass(frozen=True, slots=True)
class SetFinalizer:
    """Hold the manifest until it was withdrawn, or let it go."""

    present: bool


LedgerAction = Propose | CastVote | Close | DeploymentAction
ObjectAction = CreateMirror | DeleteMirror | SetFinalizer


@dataclass(frozen=True, slots=True)
class ProposalDecision:
    """Actions for the ledger and for objects, conditions by type, and when to look again without an event."""

    ledger_actions: tuple[LedgerAction, ...]
    object_actions: tuple[ObjectAction, ...]
    conditions: Mapping[ConditionType, Verdict]
    phase: Phase
    vote_outcomes: Mapping[str, Verdict]
    deployment: DeploymentDecision | None = None
    requeue_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class _Stage:
    """What one stage of the chain found: conditions so far, actions, and whether a person is needed."""

    conditions: Mapping[ConditionType, Verdict]
    phase: Phase
    actions: tuple[LedgerAction, ...] = ()
    stalled: bool = False
    ready: Verdict = NOTHING_YET
    waiting: bool = True
    deployment: DeploymentDecision | None = None
    requeue_seconds: float | None = None


def decide_proposal(observed: ProposalObserved) -> ProposalDecision:
    """Decide everything this organization does next about one proposal."""
    voting = decide_vote(_voting_observed(observed))
    stage = _decide_unproposed(observed) if observed.facts is None else _decide_on_ledger(observed, voting)
    stage = _judge_manifest(observed, stage)
    conditions = dict(stage.conditions)
    conditions[ConditionType.READY] = stage.ready
    if stage.stalled:
        conditions[ConditionType.STALLED] = yes(stage.ready.reason, stage.ready.message)
    elif not stage.ready.holds and stage.waiting:
        conditions[ConditionType.RECONCILING] = yes(stage.ready.reason, stage.ready.message)
    return ProposalDecision(
        ledger_actions=stage.actions,
        object_actions=_decide_objects(observed),
        conditions=conditions,
        phase=stage.phase,
        vote_outcomes=voting.outcomes,
        deployment=stage.deployment,
        requeue_seconds=stage.requeue_seconds,
    )


def _is_suspended(observed: ProposalObserved) -> bool:
    return observed.suspended or (observed.manifest is not None and observed.manifest.suspend)


def _withdrawal_wanted(observed: ProposalObserved) -> bool:
    manifest = observed.manifest
    if manifest is None or manifest.origin is not Origin.LOCAL or manifest.conflicts:
        return False
    return manifest.withdraw or (manifest.deleting and manifest.deletion_policy is DeletionPolicy.WITHDRAW)


def _voting_observed(observed: ProposalObserved) -> VotingObserved:
    manifest = observed.manifest
    shown = [state.created for state in (manifest, observed.mirror) if state is not None and not state.conflicts]
    facts, tally = observed.facts, observed.tally
    # Past the deadline the contract takes no vote, although the proposal expires only when all clocks agree on it.
    in_time = facts is not None and observed.now <= facts.proposal.deadline
    is_open = tally is not None and tally.phase is LedgerPhase.VOTING and in_time and not observed.stale
    return VotingObserved(
        own_msp_id=observed.own_msp_id,
        facts=facts,
        open_for_votes=is_open,
        verified=observed.verified,
        wishes=observed.wishes,
        rules=observed.rules,
        shown_since=min(shown, default=None),
        bound=manifest is not None and manifest.origin is Origin.OBSERVED and not manifest.conflicts,
        hold=_is_suspended(observed),
    )


def _decide_unproposed(observed: ProposalObserved) -> _Stage:
    """The ledger has no proposal of this name."""
    manifest = observed.manifest
    base = {ConditionType.ACCEPTED: unknown(Reason.AWAITING_PROPOSAL, "not on the ledger yet")}
    if manifest is None or manifest.origin is not Origin.LOCAL:
        message = f"{observed.ref.creator} has not proposed {observed.ref.id} yet"
        return _Stage(base, Phase.PENDING, ready=no(Reason.AWAITING_PROPOSAL, message))
    if manifest.withdraw:
        ready = no(Reason.WITHDRAWN, "withdrawn before it was proposed; nothing is on the ledger")
        return _Stage(base, Phase.WITHDRAWN, ready=ready, waiting=False)
    if manifest.deleting or _is_suspended(observed):
        return _Stage(base, Phase.PENDING, ready=no(Reason.SUSPENDED, "nothing is proposed while suspended"))
    if isinstance(observed.plan, Plan):
        proposing = no(Reason.PROPOSING, f"proposing {observed.ref} on the ledger")
        return _Stage(base, Phase.PENDING, (Propose(observed.plan),), ready=proposing)
    verdict = observed.plan or NOTHING_YET
    stalled = verdict.reason in TERMINAL_PLAN_REASONS
    base = {**base, ConditionType.VERIFIED: verdict}
    phase = Phase.FAILED if stalled else Phase.PENDING
    return _Stage(base, phase, stalled=stalled, ready=no(verdict.reason, verdict.message))


TERMINAL_PLAN_REASONS: Final = frozenset(
    {Reason.INVALID_SPEC, Reason.SEQUENCE_CONFLICT, Reason.NOT_A_MEMBER, Reason.UNSUPPORTED_BY_THIS_VERSION}
)
"""Why a manifest cannot be proposed until somebody changes it or the channel (which is noticed by itself)."""


def _decide_on_ledger(observed: ProposalObserved, voting: VotingDecision) -> _Stage:
    """The proposal is on the ledger: its votes decide what stage it is in."""
    facts, tally = observed.facts, observed.tally
    if facts is None or tally is None:
        raise AssertionError("a proposal on the ledger is observed with its tally")
    match tally.phase:
        case LedgerPhase.VOTING:
            return _decide_open(observed, tally, voting)
        case LedgerPhase.ACCEPTED:
            return _decide_accepted(observed, facts)
        case LedgerPhase.REJECTED:
            message = f"rejected: {', '.join(tally.disagreed)} disagreed; propose anew under another id"
            return _closed(observed, Phase.REJECTED, no(Reason.REJECTED, message))
        case LedgerPhase.WITHDRAWN:
            message = f"withdrawn by {observed.ref.creator}"
            stage = _closed(observed, Phase.WITHDRAWN, no(Reason.WITHDRAWN, message))
            return replace(stage, stalled=False, waiting=False)
        case LedgerPhase.EXPIRED:
            return _decide_expired(observed, facts)


def _closed(observed: ProposalObserved, phase: Phase, accepted: Verdict) -> _Stage:
    conditions = {ConditionType.VERIFIED: observed.verified, ConditionType.ACCEPTED: accepted}
    return _Stage(conditions, phase, stalled=True, ready=accepted)


def _decide_expired(observed: ProposalObserved, facts: Facts) -> _Stage:
    """Past the deadline: the members close it on the ledger, one after the other until one succeeded."""
    deadline = facts.proposal.deadline
    stage = _closed(
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
    if _is_suspended(observed):
        return stage
    actions = () if wait > 0 else (Close("Expired", "the deadline passed without a decision"),)
    return replace(stage, actions=actions, requeue_seconds=max(wait, 0.0) or None)


def _decide_open(observed: ProposalObserved, tally: Tally, voting: VotingDecision) -> _Stage:
    """Votes are still being cast."""
    facts = observed.facts
    if facts is None:
        raise AssertionError("an open proposal has facts")
    if observed.stale:
        message = "the channel's members or lifecycle policy changed since; propose anew under another id"
        return _closed(observed, Phase.STALE, no(Reason.STALE, message))
    accepted = no(_awaiting_reason(observed, facts, tally), awaiting_message(tally))
    conditions = {ConditionType.VERIFIED: observed.verified, ConditionType.ACCEPTED: accepted}
    left = (facts.proposal.deadline - observed.now).total_seconds()
    until_expiry = left + facts.proposal.snapshot.charter.max_clock_skew_seconds + 1.0
    if _withdrawal_wanted(observed):
        return _Stage(
            conditions,
            Phase.VOTING,
            (Close("Withdrawn", "withdrawn by its creator"),),
            ready=no(Reason.PROGRESSING, "withdrawing"),
        )
    actions = (voting.cast,) if voting.cast is not None else ()
    ready = accepted if not observed.verified.fails else no(observed.verified.reason, observed.verified.message)
    look_again = max(1.0, min(until_expiry, VERIFY_AGAIN_SECONDS.get(observed.verified.reason, until_expiry)))
    stage = _Stage(conditions, Phase.VOTING, actions, ready=ready, requeue_seconds=look_again)
    if _is_suspended(observed):
        return _Stage(conditions, Phase.VOTING, ready=no(Reason.SUSPENDED, "suspended; nothing is sent"))
    return stage


def _awaiting_reason(observed: ProposalObserved, facts: Facts, tally: Tally) -> Reason:
    pending = observed.own_msp_id in tally.pending and own_vote(facts, observed.own_msp_id) is None
    return Reason.AWAITING_OWN_VOTE if pending else Reason.AWAITING_VOTES


def awaiting_message(tally: Tally) -> str:
    """``waiting for Org2MSP, Org3MSP (1/2)``: who has not voted, agreements so far and how many are needed."""
    return f"waiting for {', '.join(tally.pending)} ({len(tally.agreed)}/{len(tally.agreed) + tally.needed})"


def _decide_accepted(observed: ProposalObserved, facts: Facts) -> _Stage:
    """The votes satisfy the rule: carry the decision out on the own nodes, and read it back."""
    accepted = yes(Reason.ACCEPTED, f"agreed by {', '.join(observed.tally.agreed if observed.tally else ())}")
    conditions = {ConditionType.VERIFIED: observed.verified, ConditionType.ACCEPTED: accepted}
    if observed.own_msp_id not in facts.proposal.snapshot.members:
        message = f"{observed.own_msp_id} is not a member of channel {facts.proposal.snapshot.channel}"
        return _Stage(conditions, Phase.ACCEPTED, ready=unknown(Reason.NOT_A_MEMBER, message), waiting=False)
    if not observed.verified.holds:
        stalled = observed.verified.fails
        ready = no(observed.verified.reason, observed.verified.message)
        look_again = VERIFY_AGAIN_SECONDS.get(observed.verified.reason)
        return _Stage(conditions, Phase.ACCEPTED, stalled=stalled, ready=ready, requeue_seconds=look_again)
    if observed.target is None or observed.deployment is None:
        return _Stage(conditions, Phase.ACCEPTED, ready=no(Reason.PROGRESSING, "looking at the own peers"))
    deployment = decide_deployment(observed.target, observed.deployment)
    if observed.superseded_by is not None and not deployment.committed.holds:
        verdict = no(Reason.SUPERSEDED, f"{observed.superseded_by} was accepted later for the same sequence")
        return _Stage(
            {**conditions, ConditionType.COMMITTED: verdict},
            Phase.SUPERSEDED,
            stalled=True,
            ready=verdict,
            deployment=deployment,
        )
    aside = stands_aside(observed)
    conditions = {**conditions, **_deployment_conditions(deployment, aside)}
    acts = aside is None and not _is_suspended(observed)
    return _Stage(
        conditions,
        _accepted_phase(deployment),
        deployment.actions if acts else (),
        stalled=deployment.stalled,
        ready=_judge_ready(observed, deployment, aside),
        waiting=not _is_past(deployment),
        deployment=deployment,
        requeue_seconds=deployment.requeue_seconds if acts else None,
    )


def stands_aside(observed: ProposalObserved) -> Verdict | None:
    """Why this organization leaves its own nodes alone although the proposal was accepted."""
    if observed.facts is None:
        return None
    vote = own_vote(observed.facts, observed.own_msp_id)
    if vote is Decision.DISAGREE:
        return no(Reason.DISAGREED, f"{observed.own_msp_id} disagreed, so nothing is done on its nodes")
    if vote is None and observed.execution is ExecutionMode.OWN_VOTE_ONLY:
        return no(Reason.AWAITING_OWN_VOTE, "execution is OwnVoteOnly and this organization has not agreed")
    return None


def _deployment_conditions(deployment: DeploymentDecision, aside: Verdict | None) -> Mapping[ConditionType, Verdict]:
    return {
        ConditionType.INSTALLED: aside or deployment.installed,
        ConditionType.APPROVED: aside or deployment.approved,
        ConditionType.COMMIT_READY: deployment.commit_ready,
        ConditionType.COMMITTED: deployment.committed,
    }


def _is_past(deployment: DeploymentDecision) -> bool:
    """Whether a later sequence is committed, so that nothing is left to do or to wait for."""
    return deployment.committed.reason is Reason.SUPERSEDED


def _accepted_phase(deployment: DeploymentDecision) -> Phase:
    if _is_past(deployment):
        return Phase.SUPERSEDED
    if deployment.committed.holds:
        return Phase.COMMITTED
    return Phase.FAILED if deployment.stalled else Phase.ACCEPTED


def _judge_ready(observed: ProposalObserved, deployment: DeploymentDecision, aside: Verdict | None) -> Verdict:
    committed = deployment.committed
    if _is_past(deployment) and not committed.holds:
        return committed
    if committed.holds and (aside is not None or committed.reason is Reason.SUPERSEDED):
        reason = Reason.READY if aside is not None else Reason.SUPERSEDED
        return yes(reason, aside.message if aside is not None else committed.message)
    if _is_suspended(observed):
        return no(Reason.SUSPENDED, "accepted; nothing is carried out while suspended")
    chain: tuple[Verdict, ...] = (deployment.installed, deployment.approved, deployment.commit_ready, committed)
    if aside is not None:
        chain = (deployment.commit_ready, committed)
    failing = next((verdict for verdict in chain if not verdict.holds), None)
    if failing is not None:
        return no(failing.reason, failing.message)
    note = INIT_NOTE if observed.target is not None and observed.target.definition.init_required else ""
    return yes(Reason.READY, committed.message + note)


def _judge_manifest(observed: ProposalObserved, stage: _Stage) -> _Stage:
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


def _with_withdrawal_note(observed: ProposalObserved, stage: _Stage) -> _Stage:
    """Say that a withdrawal came too late, or that it cannot be taken back."""
    manifest = observed.manifest
    if manifest is None or observed.facts is None or manifest.origin is not Origin.LOCAL:
        return stage
    withdrawn = stage.phase is Phase.WITHDRAWN
    if withdrawn and not manifest.withdraw:
        ready = no(Reason.WITHDRAWN_FINAL, "the withdrawal is final; propose anew under another id")
        return replace(stage, ready=ready, waiting=False)
    if manifest.withdraw and stage.phase in {Phase.ACCEPTED, Phase.REJECTED} and not stage.ready.holds:
        note = f"withdraw came after the decision and is ignored; {stage.ready.message}"
        return replace(stage, ready=Verdict(stage.ready.status, stage.ready.reason, note))
    return stage


def _decide_objects(observed: ProposalObserved) -> tuple[ObjectAction, ...]:
    """Mirrors and finalizers that should or should not be there."""
    actions: list[ObjectAction] = []
    manifest = observed.manifest
    if observed.mirror is not None and (manifest is not None or not observed.mirror_wanted):
        actions.append(DeleteMirror())
    if observed.mirror is None and manifest is None and observed.mirror_wanted:
        actions.append(CreateMirror())
    if manifest is not None and manifest.origin is Origin.LOCAL:
        wanted = _finalizer_wanted(observed, manifest)
        if wanted != manifest.has_finalizer and not (wanted and manifest.deleting):
            actions.append(SetFinalizer(present=wanted))
    return tuple(actions)


def _finalizer_wanted(observed: ProposalObserved, manifest: ManifestState) -> bool:
    if manifest.deletion_policy is not DeletionPolicy.WITHDRAW:
        return False
    if not manifest.deleting:
        return True
    is_open = observed.tally is not None and observed.tally.phase is LedgerPhase.VOTING
    return is_open and not manifest.conflicts


def rank_seed(ref: ProposalRef) -> bytes:
    """What organizations are ranked by for one proposal."""
    return proposal_seed(ref.creator, ref.id)

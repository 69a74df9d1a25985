"""The status of a ChaincodeProposal and of a Vote, from what was observed and decided. Pure.

No moment of writing is in it, and lists are sorted, so that nothing changes unless something happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from opssc_chaincode.model import ChaincodeContent, Facts, Outcome, Step
from opssc_chaincode.tally import Tally
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.fields import status_text
from opssc_operator.api.proposal import (
    ChaincodeProposalStatus,
    CommitRecord,
    LastError,
    OrganizationProgress,
    Origin,
    PeerProgress,
    StepState,
    VoteRecord,
)
from opssc_operator.api.proposal import PeerState as PeerStateName
from opssc_operator.api.proposal import Tally as TallyStatus
from opssc_operator.api.vote import Decision, VoteStatus
from opssc_operator.domain.deployment import DeploymentObserved, PeerState
from opssc_operator.domain.proposal import ProposalDecision, ProposalObserved
from opssc_operator.domain.verdict import Verdict

PENDING_VOTES: Final = frozenset({Reason.AWAITING_PROPOSAL, Reason.PROGRESSING, Reason.SUSPENDED, Reason.PENDING})


def proposal_status(
    observed: ProposalObserved,
    decision: ProposalDecision,
    *,
    generation: int,
    origin: Origin,
    commit: CommitRecord | None,
    last_error: LastError | None,
) -> ChaincodeProposalStatus:
    """Everything but the conditions, which get their times when they are written."""
    facts, tally = observed.facts, observed.tally
    status = ChaincodeProposalStatus(
        observed_generation=generation,
        proposal=str(observed.ref),
        origin=origin,
        phase=decision.phase,
        last_error=last_error,
    )
    if facts is None or tally is None:
        return status
    content = facts.proposal.content
    chaincode = isinstance(content, ChaincodeContent)
    return status.model_copy(
        update={
            "content_hash": facts.proposal.content_hash,
            "deadline": facts.proposal.deadline,
            "sequence": content.sequence if isinstance(content, ChaincodeContent) else None,
            "package_id": content.package_id if isinstance(content, ChaincodeContent) else None,
            "votes": _votes(facts),
            "tally": _tally(tally),
            "organizations": _organizations(tally, facts, observed.deployment) if chaincode else (),
            "peers": _peers(observed),
            "commit": commit,
        }
    )


def _votes(facts: Facts) -> tuple[VoteRecord, ...]:
    return tuple(
        VoteRecord(
            msp_id=vote.msp_id,
            decision=Decision(vote.decision),
            time=vote.time,
            reason=status_text(vote.reason) if vote.reason else None,
        )
        for vote in sorted(facts.votes, key=lambda vote: vote.msp_id)
    )


def _tally(tally: Tally) -> TallyStatus:
    agreed = len(tally.agreed)
    return TallyStatus(
        agreed=agreed,
        disagreed=len(tally.disagreed),
        pending=len(tally.pending),
        needed=tally.needed,
        summary=f"{agreed}/{agreed + tally.needed}",
    )


def _organizations(
    tally: Tally, facts: Facts, deployment: DeploymentObserved | None
) -> tuple[OrganizationProgress, ...]:
    mismatches: Mapping[str, object] = deployment.mismatches if deployment is not None else {}
    messages = {
        report.msp_id: report.message for report in facts.reports if report.outcome is Outcome.FAILED and report.message
    }
    return tuple(
        OrganizationProgress(
            msp_id=msp_id,
            installed=StepState(steps[Step.INSTALLED]),
            approved=StepState(steps[Step.APPROVED]),
            committed=StepState(steps[Step.COMMITTED]),
            message=status_text(messages[msp_id]) if msp_id in messages else None,
            mismatches=tuple(sorted(mismatches.get(msp_id, ()))),  # type: ignore[call-overload]
        )
        for msp_id, steps in sorted(tally.execution.items())
    )


def _peers(observed: ProposalObserved) -> tuple[PeerProgress, ...]:
    if observed.deployment is None or observed.target is None:
        return ()
    package_id = observed.target.package_id
    return tuple(_peer(peer, package_id) for peer in sorted(observed.deployment.peers, key=lambda peer: peer.name))


def _peer(peer: PeerState, package_id: str | None) -> PeerProgress:
    if not peer.reachable:
        state = PeerStateName.UNREACHABLE
    elif package_id is None or not peer.on_channel:
        state = PeerStateName.SKIPPED
    elif peer.installed:
        state = PeerStateName.INSTALLED
    else:
        state = PeerStateName.FAILED if peer.problem else PeerStateName.PENDING
    return PeerProgress(
        name=peer.name,
        state=state,
        package_id=package_id if peer.installed else None,
        message=status_text(peer.problem) if peer.problem else None,
    )


def commit_record(facts: Facts | None, own_msp_id: str) -> CommitRecord | None:
    """Who says to have committed, by the transaction in its report: we before others; None while nobody does."""
    reports = facts.reports if facts is not None else ()
    for report in sorted(reports, key=lambda report: (report.msp_id != own_msp_id, report.msp_id)):
        if report.step is Step.COMMITTED and report.evidence is not None and report.evidence.tx_id:
            return CommitRecord(by=report.msp_id, tx_id=report.evidence.tx_id)
    return None


def vote_status(
    outcome: Verdict, facts: Facts | None, own_msp_id: str, *, generation: int
) -> tuple[VoteStatus, Mapping[ConditionType, Verdict]]:
    """Status and conditions of one Vote object."""
    given = next((vote for vote in facts.votes if vote.msp_id == own_msp_id), None) if facts is not None else None
    counted = outcome.holds and given is not None
    status = VoteStatus(
        observed_generation=generation,
        submitted=counted,
        counted=counted,
        tx_id=given.tx_id if counted and given is not None else None,
        content_hash=given.content_hash if counted and given is not None else None,
    )
    conditions = {ConditionType.COUNTED: outcome, ConditionType.READY: outcome}
    if outcome.holds:
        return status, conditions
    pending = outcome.reason in PENDING_VOTES or outcome.status == "Unknown"
    kind = ConditionType.RECONCILING if pending else ConditionType.STALLED
    return status, {**conditions, kind: Verdict("True", outcome.reason, outcome.message)}

"""What this organization still has to tell the others about carrying out a chaincode proposal. Pure.

Reports help people; nobody's decision rests on them.
"""

from __future__ import annotations

from opssc_chaincode.model import ChaincodeContent, Evidence, Facts, Outcome, Step
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.deployment import DeploymentDecision
from opssc_operator.domain.initialization import InitObserved
from opssc_operator.domain.installation import PeerState
from opssc_operator.domain.report import ReportWish, untold
from opssc_operator.domain.verdict import Verdict

FAILURES = frozenset({Reason.INSTALL_FAILED, Reason.EXTERNAL_BUILDER_MISSING})


def missing_reports(
    facts: Facts,
    own_msp_id: str,
    deployment: DeploymentDecision,
    peers: tuple[PeerState, ...],
    *,
    aside: Verdict | None,
    package_id: str | None = None,
    commit_transaction: str = "",
    initialization: InitObserved | None = None,
) -> tuple[ReportWish, ...]:
    """Reports that are true now and not on the ledger yet."""
    content = facts.proposal.content
    if not isinstance(content, ChaincodeContent) or own_msp_id not in facts.proposal.snapshot.members:
        return ()
    wishes = (
        _installed(package_id or content.package_id, deployment, peers, aside),
        _approved(content, deployment, aside),
        _committed(content, deployment, commit_transaction),
        _initialized(own_msp_id, initialization),
    )
    return untold(wishes, facts, own_msp_id)


def _installed(
    package_id: str | None, deployment: DeploymentDecision, peers: tuple[PeerState, ...], aside: Verdict | None
) -> ReportWish | None:
    verdict = aside or deployment.installed
    if verdict.reason in {Reason.DISAGREED, Reason.SKIPPED_BY_VOTE}:
        return ReportWish(Step.INSTALLED, Outcome.SKIPPED, None, verdict.message)
    if verdict.reason in FAILURES:
        return ReportWish(Step.INSTALLED, Outcome.FAILED, None, f"{verdict.reason}: {verdict.message}")
    if not verdict.holds or verdict.reason is not Reason.INSTALLED:
        return None
    names = tuple(sorted(peer.name for peer in peers if peer.installed))
    return ReportWish(Step.INSTALLED, Outcome.DONE, Evidence(package_id=package_id, peers=names), "")


def _approved(content: ChaincodeContent, deployment: DeploymentDecision, aside: Verdict | None) -> ReportWish | None:
    verdict = aside or deployment.approved
    if verdict.reason is Reason.DISAGREED:
        return ReportWish(Step.APPROVED, Outcome.SKIPPED, None, verdict.message)
    if not verdict.holds or verdict.reason is not Reason.APPROVED:
        return None
    evidence = Evidence(sequence=content.sequence, definition_hash=content.definition_hash)
    return ReportWish(Step.APPROVED, Outcome.DONE, evidence, "")


def _committed(content: ChaincodeContent, deployment: DeploymentDecision, transaction: str) -> ReportWish | None:
    if not deployment.committed.holds or deployment.committed.reason is not Reason.COMMITTED:
        return None
    evidence = Evidence(sequence=content.sequence, definition_hash=content.definition_hash, tx_id=transaction or None)
    return ReportWish(Step.COMMITTED, Outcome.DONE, evidence, "")


def _initialized(own_msp_id: str, initialization: InitObserved | None) -> ReportWish | None:
    """Only whoever made the call tells, so that the others can prove it."""
    if initialization is None or initialization.by != own_msp_id:
        return None
    return ReportWish(Step.INITIALIZED, Outcome.DONE, Evidence(tx_id=initialization.transaction_id), "")


def reported_commits(facts: Facts) -> tuple[str, ...]:
    """Transactions that organizations say committed the proposal, sorted; claims, for the own peer to prove."""
    said = (report.evidence for report in facts.reports if report.step is Step.COMMITTED)
    return tuple(sorted({evidence.tx_id for evidence in said if evidence is not None and evidence.tx_id}))

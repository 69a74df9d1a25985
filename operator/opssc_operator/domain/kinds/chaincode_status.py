"""What the status of a ChaincodeProposal says beyond that of every proposal. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from opssc_chaincode.model import ChaincodeContent, Facts, Step
from opssc_chaincode.tally import Tally
from opssc_operator.api.chaincode_proposal import (
    CommitRecord,
    InitRecord,
    OrganizationProgress,
    PeerProgress,
    Runtime,
    StepState,
)
from opssc_operator.api.chaincode_proposal import PeerState as PeerStateName
from opssc_operator.api.fields import status_text
from opssc_operator.domain.initialization import InitObserved
from opssc_operator.domain.installation import PeerState
from opssc_operator.domain.kinds.chaincode_work import ChaincodeWork
from opssc_operator.domain.observation import ProposalObserved
from opssc_operator.domain.report import failure_messages


def chaincode_status(observed: ProposalObserved, standing: Mapping[str, JsonValue]) -> Mapping[str, Any]:
    """The fields by attribute name; none while the ledger holds no such proposal."""
    facts, tally = observed.facts, observed.tally
    if facts is None or tally is None or not isinstance(facts.proposal.content, ChaincodeContent):
        return {}
    content = facts.proposal.content
    work = observed.work if isinstance(observed.work, ChaincodeWork) else None
    return {
        "sequence": content.sequence,
        "package_id": _package_id(content, work),
        "organizations": _organizations(tally, facts, {} if work is None else work.deployment.mismatches),
        "peers": () if work is None else _peers(work),
        "runtime": None if work is None else _runtime(work),
        "commit": _commit(observed.own_msp_id, facts, work, standing),
        "initialization": None if work is None else _initialization(work.initialization),
    }


def _package_id(content: ChaincodeContent, work: ChaincodeWork | None) -> str | None:
    """The package of the own peers: the organization's own choice, else the proposed one, else the one that stays."""
    is_own = work is not None and work.choice is not None and work.choice.is_own
    own = None if work is None else work.target.package_id
    return own if is_own else content.package_id or own


def _initialization(initialization: InitObserved | None) -> InitRecord | None:
    if initialization is None or not initialization.by:
        return None
    return InitRecord(by=initialization.by, tx_id=initialization.transaction_id)


def _organizations(
    tally: Tally, facts: Facts, mismatches: Mapping[str, Sequence[str]]
) -> tuple[OrganizationProgress, ...]:
    messages = failure_messages(facts)
    return tuple(
        OrganizationProgress(
            msp_id=msp_id,
            installed=StepState(steps[Step.INSTALLED]),
            approved=StepState(steps[Step.APPROVED]),
            committed=StepState(steps[Step.COMMITTED]),
            message=status_text(messages[msp_id]) if msp_id in messages else None,
            mismatches=tuple(sorted(mismatches.get(msp_id, ()))),
        )
        for msp_id, steps in sorted(tally.execution.items())
    )


def _peers(work: ChaincodeWork) -> tuple[PeerProgress, ...]:
    package_id = work.target.package_id
    return tuple(_peer(peer, package_id) for peer in sorted(work.deployment.peers, key=lambda peer: peer.name))


def _runtime(work: ChaincodeWork) -> Runtime | None:
    deployment = work.server.deployment if work.server is not None else None
    return None if deployment is None else Runtime(ready=deployment.ready, desired=deployment.desired)


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
        attempts=peer.attempts or None,
    )


def _commit(
    own_msp_id: str, facts: Facts, work: ChaincodeWork | None, standing: Mapping[str, JsonValue]
) -> CommitRecord | None:
    if work is not None and work.commit is not None:
        return CommitRecord(by=own_msp_id, tx_id=work.commit.transaction_id, block=work.commit.block_number)
    record = commit_record(facts, own_msp_id)
    return None if record is None else _with_known_block(record, standing)


def _with_known_block(record: CommitRecord, standing: Mapping[str, JsonValue]) -> CommitRecord:
    """Keep the block of our own commit, which no report carries, when the process that knew it is gone."""
    before = standing.get("commit")
    if not isinstance(before, dict) or before.get("txID") != record.tx_id:
        return record
    return record.model_copy(update={"block": before.get("block")})


def commit_record(facts: Facts | None, own_msp_id: str) -> CommitRecord | None:
    """Who says to have committed, by the transaction in its report: we before others; None while nobody does."""
    reports = facts.reports if facts is not None else ()
    for report in sorted(reports, key=lambda report: (report.msp_id != own_msp_id, report.msp_id)):
        if report.step is Step.COMMITTED and report.evidence is not None and report.evidence.tx_id:
            return CommitRecord(by=report.msp_id, tx_id=report.evidence.tx_id)
    return None

"""Reconciles one proposal: gather, decide, write what is known, act, and look again until nothing is left to do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.fields import status_text
from opssc_operator.api.group import Kind
from opssc_operator.api.organization import FabricOrganization
from opssc_operator.api.proposal import ChaincodeProposal, ChaincodeProposalStatus, CommitRecord, LastError
from opssc_operator.api.refs import ProposalRef
from opssc_operator.api.vote import VoteStatus
from opssc_operator.domain.deployment import Approve, Commit, Install
from opssc_operator.domain.proposal import (
    Close,
    LedgerAction,
    ProposalDecision,
    ProposalObserved,
    Propose,
    decide_proposal,
    stands_aside,
)
from opssc_operator.domain.reporting import missing_reports
from opssc_operator.domain.status import commit_record, proposal_status, vote_status
from opssc_operator.domain.verdict import Verdict, no, unknown, yes
from opssc_operator.domain.voting import CastVote
from opssc_operator.errors import OperatorError, TerminalError, TransientError
from opssc_operator.kube.client import KubeClient
from opssc_operator.ledger.contract import ContractRefused
from opssc_operator.ledger.deployments import StepDone
from opssc_operator.ledger.session import OrganizationSession
from opssc_operator.reconcile.gathering import Gatherer, Objects, find_objects, package_of
from opssc_operator.reconcile.keys import Key, report_key
from opssc_operator.reconcile.mirrors import perform_object_actions
from opssc_operator.reconcile.queue import WorkQueue
from opssc_operator.reconcile.reports import ReportBook
from opssc_operator.reconcile.runner import Result
from opssc_operator.reconcile.sessions import Sessions
from opssc_operator.reconcile.status import write_status
from opssc_operator.reconcile.store import Invalid, ObjectStore

logger = logging.getLogger(__name__)

ROUNDS: Final = 12
"""More than the steps of a proposal's life (propose, vote, install, approve, commit, read back)."""
REPORT_DELAY_SECONDS: Final = 1.0
"""How long reports wait for the next step while one is under way, so that they do not compete with it."""


@dataclass(slots=True)
class _Run:
    """What one reconcile has met so far."""

    key: Key
    ref: ProposalRef
    failure: OperatorError | None = None
    refused_before: bool = False
    commit: CommitRecord | None = None
    requeue_seconds: float | None = None


@dataclass(slots=True)
class ProposalReconciler:
    """Works on proposals, one key per proposal whatever exists of it."""

    kube: KubeClient
    store: ObjectStore
    sessions: Sessions
    queue: WorkQueue
    reports: ReportBook
    gatherer: Gatherer
    _commits: dict[Key, StepDone] = field(default_factory=dict)

    async def reconcile(self, key: Key) -> Result:
        """Bring one proposal as far as this organization can."""
        ref = ProposalRef.parse(key.name)
        await self._write_invalid(key.namespace, ref)
        organization, session = self.store.organization(key.namespace), self.sessions.ready(key.namespace)
        if organization is None or session is None:
            await self._write_not_ready(key.namespace, ref, organization)
            return Result()
        run = _Run(key, ref)
        try:
            await self._work(run, organization, session)
        except OperatorError as exc:
            await self._write_problem(run, exc)
            raise
        if isinstance(run.failure, TransientError):
            raise run.failure
        return Result(run.requeue_seconds)

    async def _work(self, run: _Run, organization: FabricOrganization, session: OrganizationSession) -> None:
        for _ in range(ROUNDS):
            observed = await self.gatherer.gather(organization, session, run.ref)
            decision = decide_proposal(observed)
            changed = await perform_object_actions(self.kube, self.store, organization, observed, decision)
            if changed:
                continue
            self._follow(run.key, observed, decision, session)
            self._note_reports(run.key, observed, decision)
            run.requeue_seconds = decision.requeue_seconds
            actions = () if run.failure is not None else decision.ledger_actions
            await asyncio.gather(self._write(run, observed, decision), self._perform(run, observed, actions, session))
            if not actions:
                return

    def _follow(
        self, key: Key, observed: ProposalObserved, decision: ProposalDecision, session: OrganizationSession
    ) -> None:
        """Let blocks of the target channel wake this proposal while it is being carried out."""
        deployment = decision.deployment
        if deployment is None or observed.target is None or decision.conditions[ConditionType.READY].holds:
            self.sessions.watch_channel(key, None)
            return
        self.sessions.watch_channel(key, observed.target.channel)
        session.follow_channel(observed.target.channel)

    def _note_reports(self, key: Key, observed: ProposalObserved, decision: ProposalDecision) -> None:
        if decision.deployment is None or observed.facts is None or observed.deployment is None:
            return
        wishes = missing_reports(
            observed.facts,
            observed.own_msp_id,
            decision.deployment,
            observed.deployment.peers,
            aside=stands_aside(observed),
            commit_transaction=self._commits.get(key, StepDone()).transaction_id,
        )
        if self.reports.note(key, wishes):
            done = decision.conditions[ConditionType.READY].holds
            self.queue.add_after(report_key(key.namespace, key.name), 0.0 if done else REPORT_DELAY_SECONDS)

    async def _perform(
        self,
        run: _Run,
        observed: ProposalObserved,
        actions: Sequence[LedgerAction],
        session: OrganizationSession,
    ) -> None:
        """Carry out all actions of a round; the first failure ends the run after its status was written."""
        results = await asyncio.gather(
            *(self._act(run, observed, action, session) for action in actions), return_exceptions=True
        )
        if actions:
            session.view.mark(run.ref)
        for result in results:
            if isinstance(result, ContractRefused) and not run.refused_before:
                # Somebody else's fact may have come first: look again before believing that it is final.
                run.refused_before = True
            elif isinstance(result, OperatorError):
                run.failure = run.failure or result
            elif isinstance(result, BaseException):
                raise result

    async def _act(
        self, run: _Run, observed: ProposalObserved, action: LedgerAction, session: OrganizationSession
    ) -> None:
        contract = session.contract
        match action:
            case Propose(plan=plan):
                await contract.propose(plan.document)
                logger.info("proposed", extra={"proposal": str(run.ref), "namespace": run.key.namespace})
            case CastVote(decision=decision, reason=reason, content_hash=content_hash):
                await contract.vote(run.ref, content_hash, decision, reason)
                logger.info("voted", extra={"proposal": str(run.ref), "namespace": run.key.namespace})
            case Close(cause=cause, reason=reason):
                await contract.close(run.ref, cause, reason)
                logger.info("closed", extra={"proposal": str(run.ref), "namespace": run.key.namespace})
            case Install() | Approve() | Commit():
                if observed.target is None:
                    raise TransientError(f"{run.ref}: nothing was observed to act on")
                package = package_of(observed) if isinstance(action, Install) else None
                done = await session.deployments.perform(action, observed.target, package)
                if isinstance(action, Commit) and done.transaction_id:
                    self._commits[run.key] = done
                    logger.info("committed", extra={"proposal": str(run.ref), "namespace": run.key.namespace})

    async def _write(self, run: _Run, observed: ProposalObserved, decision: ProposalDecision) -> None:
        """Write the status of the proposal's object and of every Vote."""
        objects = find_objects(self.store, run.key.namespace, run.ref)
        writes = [self._write_vote(vote_name, verdict, run, observed) for vote_name, verdict in
                  sorted(decision.vote_outcomes.items())]  # fmt: skip
        if objects.shown is not None:
            writes.append(self._write_shown(run, objects.shown, observed, decision))
        writes.extend(self._write_duplicate(known, objects) for known in objects.duplicates)
        await asyncio.gather(*writes)

    async def _write_shown(
        self, run: _Run, shown: ChaincodeProposal, observed: ProposalObserved, decision: ProposalDecision
    ) -> None:
        conditions = dict(decision.conditions)
        if isinstance(run.failure, TerminalError):
            failure = no(_reason(run.failure), run.failure.message)
            conditions[ConditionType.READY] = failure
            conditions[ConditionType.STALLED] = yes(failure.reason, failure.message)
            conditions.pop(ConditionType.RECONCILING, None)
        status = proposal_status(
            observed,
            decision,
            generation=shown.metadata.generation,
            origin=shown.origin(observed.own_msp_id),
            commit=self._commit(run.key, observed),
            last_error=_last_error(run.failure, shown, observed.now),
        )
        await write_status(self.kube, Kind.CHAINCODE_PROPOSAL, shown, status, conditions)

    def _commit(self, key: Key, observed: ProposalObserved) -> CommitRecord | None:
        done = self._commits.get(key)
        if done is not None:
            return CommitRecord(by=observed.own_msp_id, tx_id=done.transaction_id, block=done.block_number)
        return commit_record(observed.facts)

    async def _write_vote(self, name: str, verdict: Verdict, run: _Run, observed: ProposalObserved) -> None:
        vote = next((v for v in self.store.votes(run.key.namespace, run.ref) if v.metadata.name == name), None)
        if vote is None:
            return
        status, conditions = vote_status(
            verdict, observed.facts, observed.own_msp_id, generation=vote.metadata.generation
        )
        await write_status(self.kube, Kind.VOTE, vote, status, conditions)

    async def _write_duplicate(self, known: ChaincodeProposal, objects: Objects) -> None:
        first = objects.manifest.metadata.name if objects.manifest is not None else ""
        verdict = no(Reason.DUPLICATE_MANIFEST, f"{first} stands for the same proposal; delete one of them")
        await self._write_plain(known, verdict, stalled=True)

    async def _write_plain(self, known: ChaincodeProposal | Invalid, verdict: Verdict, *, stalled: bool) -> None:
        kind = ConditionType.STALLED if stalled else ConditionType.RECONCILING
        conditions = {ConditionType.READY: verdict, kind: yes(verdict.reason, verdict.message)}
        status = ChaincodeProposalStatus(observed_generation=known.metadata.generation)
        await write_status(self.kube, Kind.CHAINCODE_PROPOSAL, known, status, conditions)

    async def _write_invalid(self, namespace: str, ref: ProposalRef) -> None:
        """Say InvalidSpec on objects that passed their schema and yet cannot be read."""
        for known in self.store.invalid(namespace, ref):
            verdict = no(Reason.INVALID_SPEC, known.message)
            if known.kind is Kind.CHAINCODE_PROPOSAL:
                await self._write_plain(known, verdict, stalled=True)
            elif known.kind is Kind.VOTE:
                status = VoteStatus(observed_generation=known.metadata.generation)
                conditions = {ConditionType.READY: verdict, ConditionType.STALLED: yes(verdict.reason, verdict.message)}
                await write_status(self.kube, Kind.VOTE, known, status, conditions)

    async def _write_not_ready(self, namespace: str, ref: ProposalRef, organization: FabricOrganization | None) -> None:
        """Say OrganizationNotReady on everything about the proposal; what was known before stays in status."""
        if organization is None:
            message = "the namespace has no FabricOrganization; apply one"
        else:
            message = f"FabricOrganization {organization.metadata.name} is not ready; see its conditions"
        verdict = unknown(Reason.ORGANIZATION_NOT_READY, message)
        for known in self.store.proposals(namespace, ref):
            await self._keep_and_write(known, verdict)
        for vote in self.store.votes(namespace, ref):
            if vote.status.get("counted"):
                continue
            status = VoteStatus(observed_generation=vote.metadata.generation)
            conditions = {ConditionType.READY: verdict, ConditionType.RECONCILING: yes(verdict.reason, message)}
            await write_status(self.kube, Kind.VOTE, vote, status, conditions)

    async def _keep_and_write(self, known: ChaincodeProposal, verdict: Verdict) -> None:
        """Change Ready alone, and only where it was not True: what is committed stays committed."""
        standing = _standing(known)
        ready = standing.get("Ready")
        if ready == "True" and known.status.get("observedGeneration") == known.metadata.generation:
            return
        await self._write_plain(known, verdict, stalled=False)

    async def _write_problem(self, run: _Run, exc: OperatorError) -> None:
        """Show a failure to observe: the conditions stay what they were, ``lastError`` says what is wrong."""
        now = datetime.now(UTC)
        objects = find_objects(self.store, run.key.namespace, run.ref)
        known = objects.shown
        if known is None:
            return
        if _standing(known).get("Ready") == "True":
            return
        verdict = no(_reason(exc), exc.message)
        conditions: Mapping[ConditionType, Verdict] = {
            ConditionType.READY: verdict,
            ConditionType.RECONCILING: yes(verdict.reason, verdict.message),
        }
        status = ChaincodeProposalStatus(
            observed_generation=known.metadata.generation,
            proposal=str(run.ref),
            last_error=_last_error(exc, known, now),
        )
        await write_status(self.kube, Kind.CHAINCODE_PROPOSAL, known, status, conditions)


def _standing(known: ChaincodeProposal) -> Mapping[str, str]:
    conditions = known.status.get("conditions")
    items = conditions if isinstance(conditions, list) else []
    return {str(item.get("type")): str(item.get("status")) for item in items if isinstance(item, dict)}


def _reason(exc: OperatorError) -> Reason:
    """The stable reason of an error, if it carries one of ours."""
    text = exc.reason if isinstance(exc, TransientError | TerminalError) else ""
    return Reason(text) if text in set(Reason) else Reason.GOVERNANCE_UNAVAILABLE


def _last_error(exc: OperatorError | None, known: ChaincodeProposal, now: datetime) -> LastError | None:
    """The failure being retried; its time stays that of its first appearance, so that status does not flap."""
    if exc is None:
        return None
    reason, message = _reason(exc), status_text(exc.message)
    before = known.status.get("lastError")
    if isinstance(before, dict) and (before.get("reason"), before.get("message")) == (reason, message):
        return LastError.model_validate({"reason": reason, "message": message, "time": before["time"]})
    return LastError(reason=reason, message=message, time=now.replace(microsecond=0))

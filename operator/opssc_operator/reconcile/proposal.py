"""Reconciles one proposal: gather, decide, write what is known, act, and look again until nothing is left to do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from opssc_chaincode.model import Step
from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.organization import FabricOrganization
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.actions import Close, CreateMirror, LedgerAction, Propose
from opssc_operator.domain.channels.admission import removes
from opssc_operator.domain.claims import claim_of
from opssc_operator.domain.observation import ProposalObserved
from opssc_operator.domain.outline import rivals_of, target_of
from opssc_operator.domain.proposal import decide_proposal
from opssc_operator.domain.stage import ProposalDecision
from opssc_operator.domain.voting import CastVote
from opssc_operator.domain.work_action import WorkAction
from opssc_operator.errors import Bug, OperatorError, PartialError, TransientError
from opssc_operator.kube.client import KubeClient
from opssc_operator.ledger.contract import ContractRefused
from opssc_operator.ledger.session import OrganizationSession
from opssc_operator.reconcile.gathering import Gatherer
from opssc_operator.reconcile.keys import Key, proposal_key, report_key
from opssc_operator.reconcile.kinds.port import KindWorker
from opssc_operator.reconcile.kinds.workers import Workers
from opssc_operator.reconcile.leaving import (
    OUTSIDE_SECONDS,
    describe_refusal,
    has_left,
    is_orderers_refusal,
    is_refusal,
    left_by,
    refused_channel,
    remove_mirrors,
)
from opssc_operator.reconcile.mirrors import perform_object_actions, release_orphans
from opssc_operator.reconcile.packages import download_failure
from opssc_operator.reconcile.queue import WorkQueue
from opssc_operator.reconcile.reports import ReportBook
from opssc_operator.reconcile.runner import Result
from opssc_operator.reconcile.serverbook import ServerBook
from opssc_operator.reconcile.sessions import Sessions
from opssc_operator.reconcile.store import ObjectStore
from opssc_operator.reconcile.telling import Teller

logger = logging.getLogger(__name__)

ROUNDS: Final = 12
"""More than the steps of a proposal's life (propose, vote, install, approve, commit, read back)."""
REPORT_DELAY_SECONDS: Final = 0.35
"""How long per member reports wait for the next step while one is under way, so that they do not compete with it."""
QUIET_SECONDS: Final = 0.1
"""How long per member they wait after the last step: others finish theirs first, and peers have to endorse them all."""


@dataclass(slots=True)
class _Run:
    """What one reconcile has met so far."""

    key: Key
    ref: ProposalRef
    failure: OperatorError | None = None
    refused_before: bool = False
    requeue_seconds: float | None = None


@dataclass(slots=True)
class ProposalReconciler:
    """Works on proposals, one key per proposal whatever exists of it."""

    kube: KubeClient
    store: ObjectStore
    teller: Teller
    sessions: Sessions
    queue: WorkQueue
    reports: ReportBook
    gatherer: Gatherer
    workers: Workers
    servers: ServerBook
    _failures: dict[Key, OperatorError] = field(default_factory=dict)
    """What the last try failed with: told until one succeeds, so that trying again is no news."""
    _accepted: set[Key] = field(default_factory=set)
    """Proposals whose acceptance their rivals were told of."""

    async def reconcile(self, key: Key) -> Result:
        """Bring one proposal as far as this organization can."""
        run = _Run(key, ProposalRef.parse(key.name))
        for _ in range(ROUNDS):
            # Whatever asked for another run meanwhile is seen by this round.
            self.queue.absorb(key)
            await self.teller.tell_invalid(key.namespace, run.ref)
            organization, session = self.store.organization(key.namespace), self.sessions.ready(key.namespace)
            if organization is None or session is None:
                await release_orphans(self.kube, self.store, key.namespace, run.ref)
                if organization is not None and has_left(organization, self.store, self.sessions.get(key.namespace)):
                    await remove_mirrors(self.kube, self.store, key.namespace, run.ref)
                looked = organization is None or self.sessions.looked(key.namespace)
                await self.teller.tell_not_ready(key.namespace, run.ref, organization, looked=looked)
                return Result()
            try:
                if not await self._advance(run, organization, session):
                    break
            except OperatorError as exc:
                if is_refusal(exc):
                    return await self._leave_alone(run, organization, session)
                await self.teller.tell_problem(key.namespace, run.ref, exc)
                raise
        if isinstance(run.failure, TransientError):
            raise run.failure
        return Result(run.requeue_seconds)

    async def _leave_alone(self, run: _Run, organization: FabricOrganization, session: OrganizationSession) -> Result:
        """Say that a channel takes this organization for no member, and clear up when it was left for good."""
        channel, namespace = await refused_channel(organization, session, run.ref), run.key.namespace
        session.note_unread(channel)
        await self.teller.tell_problem(namespace, run.ref, describe_refusal(channel, session))
        if channel in left_by(organization, self.store, session):
            await remove_mirrors(self.kube, self.store, namespace, run.ref)
            self.servers.note(run.key, None, organization)
        return Result(OUTSIDE_SECONDS)

    async def _advance(self, run: _Run, organization: FabricOrganization, session: OrganizationSession) -> bool:
        """Go one round: gather, decide, act, tell; returns whether another look is due at once."""
        observed = await self.gatherer.gather(organization, session, run.ref)
        self._wake_rivals(run.key, observed, session)
        self._ask_about_removal(run.key, observed, session)
        decision = decide_proposal(observed)
        actions = () if run.failure is not None else decision.ledger_actions
        if decision.object_actions == (CreateMirror(),):
            # Nothing that is sent depends on the mirror, which only shows it.
            _, changed = await finish_all(
                self._perform(run, observed, actions, session),
                self._show(run, organization, observed, decision),
            )
            if changed or actions:
                return True
        elif await perform_object_actions(self.kube, self.store, organization, observed, decision):
            return True
        self._follow(run.key, decision, session)
        self._note_reports(run.key, observed, decision)
        if observed.tally is not None and observed.tally.accepted:
            self.servers.note(run.key, claim_of(observed), organization)
        run.requeue_seconds = decision.requeue_seconds
        # What acts is started first: telling costs time of its own, and nobody waits for it.
        if run.failure is None and not actions and not self._still_partial(run.key, decision):
            self._failures.pop(run.key, None)
        failure = self._failures.get(run.key) or download_failure(observed)
        await finish_all(
            self._perform(run, observed, actions, session),
            self.teller.tell(run.key.namespace, observed, decision, failure),
        )
        return bool(actions)

    def _still_partial(self, key: Key, decision: ProposalDecision) -> bool:
        """Whether a part that failed, such as one peer, is still to be tried again by itself."""
        return isinstance(self._failures.get(key), PartialError) and not decision.conditions[ConditionType.READY].holds

    async def _show(
        self, run: _Run, organization: FabricOrganization, observed: ProposalObserved, decision: ProposalDecision
    ) -> bool:
        """Make the mirror and tell on it what is known; returns whether it is there."""
        if not await perform_object_actions(self.kube, self.store, organization, observed, decision):
            return False
        failure = self._failures.get(run.key) or download_failure(observed)
        await self.teller.tell(run.key.namespace, observed, decision, failure)
        return True

    def _follow(self, key: Key, decision: ProposalDecision, session: OrganizationSession) -> None:
        """Let blocks of the channel it is about wake this proposal while it is being carried out."""
        if decision.follows is None or decision.conditions[ConditionType.READY].holds:
            self.sessions.watch_channel(key, None)
            return
        self.sessions.watch_channel(key, decision.follows)
        session.follow_channel(decision.follows)

    def _wake_rivals(self, key: Key, observed: ProposalObserved, session: OrganizationSession) -> None:
        """Let the other proposals for the same slot see that this one was accepted, maybe in their place."""
        if observed.facts is None or observed.tally is None or not observed.tally.accepted or key in self._accepted:
            return
        self._accepted.add(key)
        for rival in rivals_of(observed.facts.proposal.content, session.view.outlines()):
            if rival != observed.ref:
                self.queue.add(proposal_key(key.namespace, str(rival)))

    def _ask_about_removal(self, key: Key, observed: ProposalObserved, session: OrganizationSession) -> None:
        """Have orderers asked about an accepted removal, and again at others' word: own peers are not shown it."""
        facts = observed.facts
        if facts is None or not removes(facts.proposal, observed.own_msp_id):
            return
        channel, applied = target_of(facts.proposal), sum(report.step is Step.APPLIED for report in facts.reports)
        if session.is_removed(channel) and session.removals.hear(observed.ref, channel, applied):
            self.sessions.ask_anew(key.namespace, channel)

    def _note_reports(self, key: Key, observed: ProposalObserved, decision: ProposalDecision) -> None:
        if self.reports.note(key, decision.reports) and observed.facts is not None:
            done = decision.conditions[ConditionType.READY].holds
            seconds = QUIET_SECONDS if done else REPORT_DELAY_SECONDS
            members = len(observed.facts.proposal.snapshot.members)
            self.queue.add_after(report_key(key.namespace, key.name), seconds * members)

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
        if any(isinstance(action, Propose | CastVote | Close) for action in actions):
            session.view.mark(run.ref)
        for result in results:
            if isinstance(result, ContractRefused) and not run.refused_before:
                # Somebody else's fact may have come first: look again before believing that it is final.
                run.refused_before = True
            elif isinstance(result, PartialError):
                # What failed is tried again by itself; nothing else waits for it.
                self._failures[run.key] = result
            elif isinstance(result, OperatorError):
                run.failure = run.failure or result
            elif isinstance(result, BaseException):
                raise result
        if run.failure is not None:
            self._failures[run.key] = run.failure
            self._ask_who_refused(run, observed, session)
        elif actions and not any(isinstance(result, BaseException) for result in results):
            self._failures.pop(run.key, None)

    def _ask_who_refused(self, run: _Run, observed: ProposalObserved, session: OrganizationSession) -> None:
        """Have the orderers asked that would not take a transaction: of the contract's channel, or of the target."""
        if run.failure is None or not is_orderers_refusal(run.failure):
            return
        targets = set() if observed.facts is None else {target_of(observed.facts.proposal)}
        for channel in sorted(targets | {session.settings.governance_channel}):
            self.sessions.ask_anew(run.key.namespace, channel)

    async def _act(
        self, run: _Run, observed: ProposalObserved, action: LedgerAction, session: OrganizationSession
    ) -> None:
        contract = session.contract
        match action:
            case Propose(plan=plan):
                await contract.propose(plan.document)
                if plan.proposal_id:
                    session.view.mark(ProposalRef(session.msp_id, plan.proposal_id))
                logger.info("proposed", extra={"proposal": str(run.ref), "namespace": run.key.namespace})
            case CastVote(decision=decision, reason=reason, content_hash=content_hash):
                await contract.vote(run.ref, content_hash, decision, reason)
                logger.info("voted", extra={"proposal": str(run.ref), "namespace": run.key.namespace})
            case Close(cause=cause, reason=reason):
                await contract.close(run.ref, cause, reason)
                logger.info("closed", extra={"proposal": str(run.ref), "namespace": run.key.namespace})
            case WorkAction():
                await self._worker(observed).perform(action, observed, session)

    def _worker(self, observed: ProposalObserved) -> KindWorker:
        if observed.facts is None:
            raise Bug(f"{observed.ref}: there is nothing on the ledger to act on")
        return self.workers.by_ledger[observed.facts.proposal.kind]


async def finish_all(*works: Coroutine[Any, Any, Any]) -> list[Any]:
    """Do several things at once and all of them to the end, then raise the first failure.

    What goes on after a failure would go on beside the next run of the same key.
    """
    results = await asyncio.gather(*works, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results

"""Saying in status what was observed and decided about a proposal, on its object and on every Vote.

Owns which object is told what. A failure to look never erases what was known before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pydantic import ValidationError

from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.fields import status_text
from opssc_operator.api.group import Kind
from opssc_operator.api.organization import FabricOrganization
from opssc_operator.api.proposal import LastError, Phase, ProposalObject, ProposalStatus
from opssc_operator.api.refs import ProposalRef
from opssc_operator.api.vote import Vote, VoteStatus
from opssc_operator.domain.kinds.catalog import of_objects
from opssc_operator.domain.observation import ProposalObserved
from opssc_operator.domain.stage import ProposalDecision
from opssc_operator.domain.status import proposal_status, vote_status
from opssc_operator.domain.verdict import Verdict, no, unknown, yes
from opssc_operator.errors import OperatorError, TerminalError, TransientError
from opssc_operator.kube.client import KubeClient
from opssc_operator.reconcile.objects import Objects, find_objects, judge_duplicate
from opssc_operator.reconcile.status import standing_verdicts, write_status
from opssc_operator.reconcile.store import Invalid, ObjectStore

OVER: Final = frozenset({Phase.REJECTED, Phase.WITHDRAWN, Phase.EXPIRED, Phase.SUPERSEDED})
"""Ends that no failure to look takes back."""
OVERALL: Final = frozenset({ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED})


@dataclass(frozen=True, slots=True)
class Teller:
    """Writes the status of every object of a proposal."""

    kube: KubeClient
    store: ObjectStore

    async def tell(
        self,
        namespace: str,
        observed: ProposalObserved,
        decision: ProposalDecision,
        failure: OperatorError | None,
    ) -> None:
        """Write what was decided; ``failure`` is what went wrong in carrying it out, if anything did."""
        objects = find_objects(self.store, namespace, observed.ref, observed.ledger_kind)
        writes = [
            self._tell_vote(vote, decision, observed)
            for vote in objects.votes
            if vote.metadata.name in decision.vote_outcomes
        ]
        writes.extend(self._tell_duplicate(known, objects) for known in objects.duplicates)
        if objects.shown is not None:
            writes.append(self._tell_shown(objects.shown, observed, decision, failure))
        await asyncio.gather(*writes)

    async def _tell_shown(
        self,
        shown: ProposalObject,
        observed: ProposalObserved,
        decision: ProposalDecision,
        failure: OperatorError | None,
    ) -> None:
        conditions = dict(decision.conditions)
        if isinstance(failure, TerminalError):
            conditions.update(_stalled(no(_reason(failure), failure.message)))
            conditions.pop(ConditionType.RECONCILING, None)
        status = proposal_status(
            of_objects(shown.kind),
            observed,
            decision,
            shown.status,
            generation=shown.metadata.generation,
            origin=shown.origin(observed.own_msp_id),
            last_error=_last_error(failure, shown),
        )
        await write_status(self.kube, shown.kind, shown, status, conditions)

    async def _tell_vote(self, vote: Vote, decision: ProposalDecision, observed: ProposalObserved) -> None:
        name = vote.metadata.name
        status, conditions = vote_status(
            decision.vote_outcomes[name],
            observed.facts,
            observed.own_msp_id,
            generation=vote.metadata.generation,
            problem=decision.vote_problems.get(name),
        )
        await write_status(self.kube, Kind.VOTE, vote, status, conditions)

    async def _tell_duplicate(self, known: ProposalObject, objects: Objects) -> None:
        await write_status(self.kube, known.kind, known, _untold(known), _stalled(judge_duplicate(known, objects)))

    async def tell_invalid(self, namespace: str, ref: ProposalRef) -> None:
        """Say InvalidSpec on objects that passed their schema and yet cannot be read."""
        for known in self.store.invalid(namespace, ref):
            await self._tell_invalid(known, _stalled(no(Reason.INVALID_SPEC, known.message)))

    async def _tell_invalid(self, known: Invalid, conditions: Mapping[ConditionType, Verdict]) -> None:
        generation = known.metadata.generation
        if known.kind is Kind.VOTE:
            await write_status(self.kube, known.kind, known, VoteStatus(observed_generation=generation), conditions)
        else:
            status = of_objects(known.kind).status_type(observed_generation=generation)
            await write_status(self.kube, known.kind, known, status, conditions)

    async def tell_not_ready(
        self, namespace: str, ref: ProposalRef, organization: FabricOrganization | None, *, looked: bool
    ) -> None:
        """Say OrganizationNotReady on everything about the proposal that is not done.

        Before the organization was ``looked`` at, only objects that nobody has told anything yet are told so: an
        operator that starts again changes nothing by starting.
        """
        message = "the namespace has no FabricOrganization; apply one"
        if organization is not None:
            message = f"FabricOrganization {organization.metadata.name} is not ready; see its conditions"
        verdict = unknown(Reason.ORGANIZATION_NOT_READY, message)
        for known in self.store.proposals(namespace, ref):
            if not looked and _is_told(known):
                continue
            await self._tell_above_standing(known, verdict, None)
        for vote in self.store.votes(namespace, ref):
            if not vote.status.get("counted") and (looked or not _is_told(vote)):
                status = VoteStatus(observed_generation=vote.metadata.generation)
                await write_status(self.kube, Kind.VOTE, vote, status, _reconciling(verdict))

    async def tell_problem(self, namespace: str, ref: ProposalRef, failure: OperatorError) -> None:
        """Say why nothing could be observed."""
        known = find_objects(self.store, namespace, ref, None).shown
        if known is not None:
            await self._tell_above_standing(known, no(_reason(failure), failure.message), failure)

    async def _tell_above_standing(
        self, known: ProposalObject, verdict: Verdict, failure: OperatorError | None
    ) -> None:
        """Change what the conditions say overall, and keep the rest; what is Ready or over stays so."""
        standing = standing_verdicts(known.status)
        ready = standing.get(ConditionType.READY)
        is_over = ready is not None and (ready.holds or known.status.get("phase") in OVER)
        if is_over and _is_told(known):
            return
        kept = {kind: said for kind, said in standing.items() if kind not in OVERALL}
        before = _standing_status(known)
        update = {
            "observed_generation": known.metadata.generation,
            "phase": before.phase or Phase.PENDING,
            "last_error": _last_error(failure, known),
        }
        status = before.model_copy(update=update)
        await write_status(self.kube, known.kind, known, status, {**kept, **_reconciling(verdict)})


def _is_told(known: ProposalObject | Vote) -> bool:
    """Whether the status speaks of the object as it is now."""
    return known.status.get("observedGeneration") == known.metadata.generation


def _stalled(verdict: Verdict) -> Mapping[ConditionType, Verdict]:
    return {ConditionType.READY: verdict, ConditionType.STALLED: yes(verdict.reason, verdict.message)}


def _reconciling(verdict: Verdict) -> Mapping[ConditionType, Verdict]:
    return {ConditionType.READY: verdict, ConditionType.RECONCILING: yes(verdict.reason, verdict.message)}


def _standing_status(known: ProposalObject) -> ProposalStatus:
    """The status as it stands; an empty one when another version wrote what this one cannot read."""
    try:
        return of_objects(known.kind).status_type.model_validate({**known.status, "conditions": []})
    except ValidationError:
        return _untold(known)


def _untold(known: ProposalObject) -> ProposalStatus:
    return of_objects(known.kind).status_type(observed_generation=known.metadata.generation)


def _reason(exc: OperatorError) -> Reason:
    """The stable reason of an error, if it carries one of ours."""
    text = exc.reason if isinstance(exc, TransientError | TerminalError) else ""
    return Reason(text) if text in set(Reason) else Reason.GOVERNANCE_UNAVAILABLE


def _last_error(exc: OperatorError | None, known: ProposalObject) -> LastError | None:
    """The failure being retried; its time stays that of its first appearance, so that status does not flap."""
    if exc is None:
        return None
    reason, message = _reason(exc), status_text(exc.message)
    before = known.status.get("lastError")
    if isinstance(before, dict) and (before.get("reason"), before.get("message")) == (reason, message):
        return LastError.model_validate({"reason": reason, "message": message, "time": before["time"]})
    return LastError(reason=reason, message=message, time=datetime.now(UTC).replace(microsecond=0))

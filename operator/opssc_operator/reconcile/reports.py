"""Sending the organization's own reports, apart from the work they are about so that they never delay it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from opssc_chaincode.model import Role
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.report import ReportWish
from opssc_operator.ledger.contract import ContractRefused
from opssc_operator.reconcile.keys import Key, proposal_key
from opssc_operator.reconcile.runner import Result
from opssc_operator.reconcile.sessions import Sessions


@dataclass(slots=True)
class ReportBook:
    """Reports that are true and untold, by the key of their proposal; every reconcile of it writes them anew."""

    _wishes: dict[Key, tuple[ReportWish, ...]] = field(default_factory=dict)

    def note(self, key: Key, wishes: Sequence[ReportWish]) -> bool:
        """Replace what is to be told; returns whether there is anything."""
        if wishes:
            self._wishes[key] = tuple(wishes)
        else:
            self._wishes.pop(key, None)
        return bool(wishes)

    def put_back(self, key: Key, wishes: Sequence[ReportWish]) -> None:
        """Note again what could not be told, unless something newer is noted."""
        self._wishes.setdefault(key, tuple(wishes))

    def take(self, key: Key) -> tuple[ReportWish, ...]:
        """What is to be told; the next reconcile of the proposal notes again what is still missing."""
        return self._wishes.pop(key, ())


@dataclass(slots=True)
class ReportReconciler:
    """Sends the noted reports of one proposal, all at the same time."""

    sessions: Sessions
    book: ReportBook

    async def reconcile(self, key: Key) -> Result:
        """Send what is noted; a refusal is left to the next look at the proposal."""
        session = self.sessions.ready(key.namespace)
        of_proposal = proposal_key(key.namespace, key.name)
        wishes = self.book.take(of_proposal)
        if session is None or not wishes:
            return Result()
        ref = ProposalRef.parse(key.name)
        facts = await session.view.get(ref)
        as_admin = facts is not None and facts.proposal.snapshot.charter.roles.report is Role.ADMIN
        report = session.contract.report
        results = await asyncio.gather(
            *(
                report(ref, wish.step, wish.outcome, wish.evidence_json, wish.message, as_admin=as_admin)
                for wish in wishes
            ),
            return_exceptions=True,
        )
        session.view.mark(ref)
        failures = [result for result in results if isinstance(result, BaseException)]
        transient = [failure for failure in failures if not isinstance(failure, ContractRefused)]
        if transient:
            self.book.put_back(of_proposal, wishes)
            raise transient[0]
        if failures:
            raise failures[0]
        return Result()

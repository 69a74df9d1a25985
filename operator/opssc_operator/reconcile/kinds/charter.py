"""Proposals of kind Charter: planned and judged by the succession of charters; nothing is done on any node."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from opssc_chaincode.model import Charter, Facts, Proposal, majority
from opssc_chaincode.model import Kind as LedgerKind
from opssc_operator.api.charter_proposal import CharterProposal
from opssc_operator.api.conditions import Reason
from opssc_operator.api.proposal import ProposalObject
from opssc_operator.api.vote import Vote
from opssc_operator.domain.charter import may_rule
from opssc_operator.domain.charter_content import build_charter
from opssc_operator.domain.content import ContentError, invalid
from opssc_operator.domain.kinds.charter import CharterKind
from opssc_operator.domain.kinds.charter_work import CharterWork, judge_open
from opssc_operator.domain.observation import ProposalObserved
from opssc_operator.domain.planning import Outset, Plan, judge_membership, plan_document
from opssc_operator.domain.verdict import Verdict, no
from opssc_operator.domain.verification import Grounds, verify_proposal
from opssc_operator.domain.work_action import WorkAction
from opssc_operator.errors import Bug
from opssc_operator.ledger.session import OrganizationSession


@dataclass(frozen=True, slots=True)
class CharterWorker:
    """Works on charter proposals."""

    kind: ClassVar = CharterKind()

    async def plan(
        self, observed: ProposalObserved, manifest: ProposalObject, session: OrganizationSession
    ) -> Plan | Verdict:
        """Resolve the manifest against the charter in force and the members of the ops channel."""
        if not isinstance(manifest, CharterProposal):
            raise Bug(f"{manifest.metadata.name} is no CharterProposal")
        view, succession = await asyncio.gather(
            session.reader.current(session.settings.governance_channel, max_age_seconds=0.0),
            session.charters.succession(),
        )
        outset = Outset(session.msp_id, observed.ref.id, view, succession.current, observed.now)
        stranger = judge_membership(outset)
        if stranger is not None:
            return stranger
        try:
            content = build_charter(manifest.spec, succession.current)
        except ContentError as exc:
            return invalid(exc)
        return plan_document(outset, manifest.spec, content, majority(view.members), kind=LedgerKind.CHARTER)

    async def verify(self, proposal: Proposal, grounds: Grounds, session: OrganizationSession) -> Verdict:
        """Judge by the pinned block and the charter that was in force."""
        channel = session.settings.governance_channel
        if not may_rule(proposal, channel):
            message = f"more than half of the members of {channel} decide on a charter; disagree"
            return no(Reason.SNAPSHOT_MISMATCH, message)
        return verify_proposal(self.kind, proposal, grounds)

    async def review(self, observed: ProposalObserved, facts: Facts, session: OrganizationSession) -> ProposalObserved:
        """See whether another successor is in force, or the members of the ops channel changed."""
        proposal = facts.proposal
        current = await session.reader.current(session.settings.governance_channel)
        stale = judge_open(_content(proposal), proposal, await session.charters.succession(), current)
        return replace(observed, stale=stale)

    async def observe(
        self, observed: ProposalObserved, facts: Facts, session: OrganizationSession, votes: Sequence[Vote]
    ) -> ProposalObserved:
        """Find the charter's place in the succession."""
        del votes
        succession = await session.charters.succession()
        return replace(observed, work=CharterWork.of(facts.proposal, _content(facts.proposal), succession))

    async def perform(self, action: WorkAction, observed: ProposalObserved, session: OrganizationSession) -> None:
        """There are no steps to take."""
        del session
        raise Bug(f"{observed.ref}: {action} is no step of a charter proposal")


def _content(proposal: Proposal) -> Charter:
    if not isinstance(proposal.content, Charter):
        raise Bug(f"{proposal.name} is no charter proposal")
    return proposal.content

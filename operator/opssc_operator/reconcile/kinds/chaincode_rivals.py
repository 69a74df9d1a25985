"""Which of several accepted chaincode proposals for one sequence counts, and what became of those of the past."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from opssc_chaincode.model import ChaincodeContent, Facts
from opssc_chaincode.ranking import decided_last
from opssc_chaincode.tally import derive
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.deployment import Target, is_same
from opssc_operator.domain.outline import slot_of
from opssc_operator.domain.reporting import reported_commits
from opssc_operator.ledger.session import OrganizationSession
from opssc_operator.reconcile.kinds.grounds import is_true


async def find_winner(ref: ProposalRef, content: ChaincodeContent, session: OrganizationSession) -> ProposalRef:
    """Of all accepted proposals for the same channel, chaincode and sequence, the one decided last on the ledger."""
    now = datetime.now(UTC)
    # A rival that a block has just changed is read again: it may be the one to carry out from now on.
    slot = slot_of(content)
    asked = [
        outline.ref
        for outline in session.view.outlines()
        if outline.slot == slot and (outline.accepted or session.view.is_marked(outline.ref))
    ]
    current = await asyncio.gather(*(session.view.get(rival) for rival in asked))
    rivals = [facts for facts in current if facts is not None and derive(facts, now).accepted]
    if len(rivals) < 2:  # noqa: PLR2004 - one proposal alone has no rival
        return ref
    votes = [vote.tx_id for facts in rivals for vote in facts.votes]
    await session.locate(votes)
    decided = {
        facts.proposal.name: tally.deciding.position
        for facts in rivals
        if (tally := derive(facts, now, session.view.positions)).deciding is not None
        and await is_true(session, facts.proposal)
    }
    winner = decided_last(decided)
    return ref if winner is None else ProposalRef.parse(winner)


async def is_same_definition(rival: ProposalRef, content: ChaincodeContent, session: OrganizationSession) -> bool:
    """Whether another proposal brings about the same definition; it verified, so its hash is that of its definition."""
    facts = await session.view.get(rival)
    other = None if facts is None else facts.proposal.content
    return isinstance(other, ChaincodeContent) and other.definition_hash == content.definition_hash


async def was_committed(facts: Facts, target: Target, session: OrganizationSession) -> bool:
    """Whether the own peer proves one of the reported commits: a valid transaction with this very definition."""
    for transaction_id in reported_commits(facts):
        found = await session.deployments.fetch_commit(target.channel, transaction_id)
        if found is not None and is_same(target.definition, found):
            return True
    return False

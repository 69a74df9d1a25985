"""What the own peer shows of the grounds on which a proposal is judged."""

from __future__ import annotations

from opssc_chaincode.model import Proposal
from opssc_operator.domain.kinds.catalog import on_ledger
from opssc_operator.domain.verification import Grounds, verify_proposal
from opssc_operator.ledger.session import OrganizationSession


async def look_up_grounds(session: OrganizationSession, proposal: Proposal) -> Grounds:
    """The pinned block, and the charter in force when the proposal was made; raises TransientError."""
    snapshot = proposal.snapshot
    return Grounds(
        pinned=await session.reader.at(snapshot.channel, snapshot.config_block),
        charter=await session.charters.at(proposal),
    )


async def is_true(session: OrganizationSession, proposal: Proposal) -> bool:
    """Whether a proposal says what the own peer shows and what is computed here; raises TransientError."""
    return verify_proposal(on_ledger(proposal.kind), proposal, await look_up_grounds(session, proposal)).holds

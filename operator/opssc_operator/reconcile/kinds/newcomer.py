"""What an organization that joined a channel later finds there of proposals it had no part in."""

from __future__ import annotations

from opssc_chaincode.model import ChaincodeContent, Facts
from opssc_operator.domain.content import ContentError, build_definition
from opssc_operator.domain.deployment import is_same
from opssc_operator.domain.kinds.chaincode_work import ChaincodeWork
from opssc_operator.domain.observation import ProposalObserved
from opssc_operator.ledger.session import OrganizationSession


async def is_committed_here(facts: Facts, session: OrganizationSession) -> bool:
    """Whether the own peer shows exactly the proposed definition as the committed one.

    That proves the definition, not the package, which only a verified snapshot and rule do. Raises TransientError.
    """
    content = facts.proposal.content
    if not isinstance(content, ChaincodeContent):
        return False
    # Peers are looked at by the organization's own reconcile, which wakes every proposal when one has joined a channel.
    if not any(content.channel in peer.joined for peer in session.peers.all):
        return False
    try:
        definition = build_definition(content)
    except ContentError:
        return False
    committed = await session.deployments.fetch_committed(content.channel, content.name)
    return committed is not None and is_same(definition, committed.definition)


def is_to_be_shown(observed: ProposalObserved) -> bool:
    """Whether a proposal that is over concerns this organization still: it has not approved what is committed."""
    work = observed.work
    return observed.newcomer and isinstance(work, ChaincodeWork) and work.deployment.approval is None

"""What is left to do for an organization that its channels' members removed: say so, and clear up after the retention.

Nothing here touches a ledger, and no manifest of people is ever removed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from opssc_operator.api.channel import FabricChannel
from opssc_operator.api.conditions import Reason
from opssc_operator.api.organization import FabricOrganization
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.joining import outside_message
from opssc_operator.domain.leaving import left_channels, left_since, shown_sequence
from opssc_operator.domain.outline import target_of
from opssc_operator.errors import OperatorError, TransientError
from opssc_operator.kube.client import KubeClient
from opssc_operator.ledger.peers import fetch_joined
from opssc_operator.ledger.session import OrganizationSession
from opssc_operator.reconcile.store import ObjectStore

OUTSIDE_SECONDS: Final = 60.0
"""How soon to look again at a proposal of a channel that refuses this organization; its readmission wakes it."""


def is_refusal(exc: OperatorError) -> bool:
    """Whether a channel does not take this organization for a member, by its orderers or by an own peer."""
    return isinstance(exc, TransientError) and exc.reason in {Reason.UNKNOWN_MSP, Reason.NOT_A_MEMBER}


def is_orderers_refusal(failure: OperatorError) -> bool:
    """Whether an orderer would not take a transaction of this organization, as of none that was removed."""
    return isinstance(failure, TransientError) and failure.reason == Reason.NOT_A_MEMBER


async def is_refused_on(channel: str, exc: OperatorError, session: OrganizationSession) -> bool:
    """Whether own peers refuse this organization in one channel, although they take it for their own otherwise."""
    if not is_refusal(exc):
        return False
    answers = await fetch_joined(session.peers.all)
    # A certificate that no CA of the organization issued is refused here as well.
    refused = any(isinstance(answer, frozenset) and channel in answer for answer in answers)
    if refused:
        session.note_unread(channel)
    return refused


def recall_removals(channels: Iterable[FabricChannel], session: OrganizationSession) -> None:
    """Take over from the operator's own objects what an earlier session, or process, found out."""
    for shown in channels:
        if shown.metadata.mirrored and left_since(shown) is not None:
            session.recall_removal(shown.spec.channel, shown_sequence(shown))


def left_by(
    organization: FabricOrganization, store: ObjectStore, session: OrganizationSession | None
) -> frozenset[str]:
    """Channels that an organization left longer ago than its mirrors are retained, and that refuse it now.

    What an object has said for long is not enough: it may have been let in again meanwhile.
    """
    if session is None:
        return frozenset()
    channels = store.channels(organization.metadata.namespace)
    left = left_channels(channels, datetime.now(UTC), organization.spec.mirror.retention)
    return frozenset(channel for channel in left if session.is_shut_out(channel) and session.is_removed(channel))


def has_left(organization: FabricOrganization, store: ObjectStore, session: OrganizationSession | None) -> bool:
    """Whether the consortium is left for good, so that no proposal means anything to the organization any more."""
    return organization.spec.governance.channel in left_by(organization, store, session)


async def refused_channel(organization: FabricOrganization, session: OrganizationSession, ref: ProposalRef) -> str:
    """The channel on which an own peer refused to show what a proposal is about."""
    governance = organization.spec.governance.channel
    try:
        facts = await session.view.get(ref)
    except TransientError:
        return governance
    return governance if facts is None else target_of(facts.proposal)


def describe_refusal(channel: str, session: OrganizationSession) -> TransientError:
    """What to say of a proposal of a channel that refuses this organization."""
    return TransientError(outside_message(channel, session.msp_id), reason=Reason.NOT_A_MEMBER)


async def remove_mirrors(kube: KubeClient, store: ObjectStore, namespace: str, ref: ProposalRef) -> None:
    """Remove what the operator made for a proposal."""
    for known in store.proposals(namespace, ref):
        metadata = known.metadata
        if metadata.mirrored and not metadata.deleting:
            await kube.delete(known.kind, namespace, metadata.name, metadata.uid)

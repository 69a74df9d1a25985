"""Whether a proposal of kind Charter may decide over the consortium, by what the own peer shows. Pure.

A charter binds whoever is on the ops channel, so those who were on it while it was voted on decide, and nobody else.
"""

from __future__ import annotations

from collections.abc import Iterable

from opssc_chaincode.model import Proposal, Snapshot, majority
from opssc_operator.domain.channel import BlockNotKept, ChannelView, NoConfiguration


def may_rule(proposal: Proposal, governance_channel: str) -> bool:
    """Whether a proposal is about the governance channel, by the one rule there is, and bound to its own content."""
    snapshot = proposal.snapshot
    return (
        proposal.hash == proposal.content_hash
        and snapshot.channel == governance_channel
        and snapshot.rule == majority(snapshot.members)
    )


def pins_truth(proposal: Proposal, pinned: ChannelView | NoConfiguration | BlockNotKept | None) -> bool | None:
    """Whether the snapshot is what the block it names shows; None while that block cannot be read."""
    if pinned is None or isinstance(pinned, BlockNotKept):
        return None
    snapshot = proposal.snapshot
    return isinstance(pinned, ChannelView) and (
        (snapshot.members, snapshot.config_hash, snapshot.config_sequence)
        == (pinned.members, pinned.config_hash, pinned.config_sequence)
    )


def covers(snapshot: Snapshot, members: Iterable[str]) -> bool:
    """Whether more than half of these are among the claimed members: fewer could be one organization's invention."""
    present = frozenset(members)
    return 2 * len(present.intersection(snapshot.members)) > len(present)


def stayed(snapshot: Snapshot, changes: Iterable[ChannelView]) -> bool:
    """Whether none of these later configurations has other members."""
    return all(view.members == snapshot.members for view in changes)

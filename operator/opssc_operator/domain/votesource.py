"""What the organization's own vote came from: its proposal, a Vote somebody applied, or a rule. Pure.

The ledger keeps the reason of a vote and no more. An automatic one names its rule there, so that everybody reads it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from opssc_chaincode.model import Vote
from opssc_operator.domain.voting import VoteWish

_AUTOMATIC: Final = re.compile(r"agreed by rule (?P<number>[1-9][0-9]?)")


def source_of(
    vote: Vote, *, creator: str, own_msp_id: str, wishes: Sequence[VoteWish], organization: str
) -> str | None:
    """Where a vote came from, in words, for the own organization's; None for votes of others.

    ``creator`` proposed, and its proposal is its vote; ``organization`` is the FabricOrganization's name.
    """
    if vote.msp_id != own_msp_id:
        return None
    if creator == own_msp_id:
        return "the proposal itself"
    for wish in sorted(wishes, key=lambda wish: (wish.created, wish.name)):
        if wish.decision == vote.decision and wish.reason == (vote.reason or ""):
            return f"Vote {wish.name}"
    automatic = _AUTOMATIC.fullmatch(vote.reason or "")
    if automatic is None:
        return "a Vote that is no longer here"
    return f"rule {automatic['number']} of FabricOrganization {organization}"

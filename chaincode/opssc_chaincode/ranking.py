"""Who acts first, and which of several accepted proposals is carried out. Pure."""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import NamedTuple

from opssc_chaincode.model.fields import MspID, ProposalID, ProposalName


class LedgerPosition(NamedTuple):
    """Where a transaction stands on the ledger; ordered."""

    block: int
    position: int


def rank_by(seed: bytes, organizations: Iterable[MspID]) -> tuple[MspID, ...]:
    """Order organizations by SHA-256(seed NUL mspID), each once; the first acts first.

    The order is the same in every organization, and another one for another seed; `proposal_seed` gives a proposal's.
    """
    return tuple(sorted(set(organizations), key=lambda msp_id: (_weight(seed, msp_id), msp_id)))


def proposal_seed(creator: MspID, proposal_id: ProposalID) -> bytes:
    """What organizations are ranked by for one proposal: creator, NUL, id."""
    return b"\x00".join((creator.encode(), proposal_id.encode()))


def decided_last(decided: Mapping[ProposalName, LedgerPosition]) -> ProposalName | None:
    """Name the proposal that is carried out of several accepted for one channel, chaincode and sequence.

    `decided` gives the position of each one's deciding vote; a transaction decides one proposal only, so positions
    differ. None for none.
    """
    return max(decided, key=lambda name: (decided[name], name), default=None)


def _weight(seed: bytes, msp_id: MspID) -> bytes:
    return sha256(b"\x00".join((seed, msp_id.encode()))).digest()

"""How a proposal is named everywhere: by its creator and an id, written `Org1MSP/basic-2`."""

import hashlib
import re
from dataclasses import dataclass
from typing import Final, Self

from opssc_chaincode.model.fields import MspID, ProposalID
from opssc_operator.api.fields import ApiModel

_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9]")


@dataclass(frozen=True, slots=True, order=True)
class ProposalRef:
    """A proposal on the ledger; `str()` gives its text form."""

    creator: str
    id: str

    def __str__(self) -> str:
        return f"{self.creator}/{self.id}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text form; raises ValueError when it is not `<MSP ID>/<id>`."""
        creator, slash, proposal_id = text.partition("/")
        if not (creator and slash and proposal_id) or "/" in proposal_id:
            raise ValueError(f"{text[:200]!r} is not a proposal name such as Org1MSP/basic-2")
        return cls(creator, proposal_id)


class ProposalReference(ApiModel):
    """A proposal as a manifest names it."""

    creator: MspID
    id: ProposalID

    @property
    def ref(self) -> ProposalRef:
        """The same name for use inside."""
        return ProposalRef(self.creator, self.id)


def mirror_name(ref: ProposalRef, *, among: frozenset[str] = frozenset()) -> str:
    """Name of a proposal's mirror: `basic-2.org1msp`, plus a short hash when an MSP ID in `among` folds to the same.

    Args:
        ref: the mirrored proposal.
        among: MSP IDs of all creators known here.
    """
    folded = _fold(ref.creator)
    if any(_fold(other) == folded for other in among - {ref.creator}):
        folded = f"{folded}-{hashlib.sha256(ref.creator.encode()).hexdigest()[:6]}"
    return f"{ref.id}.{folded}"


def _fold(msp_id: str) -> str:
    # A name ends in a letter or digit; an MSP ID need not.
    return _NOT_IN_NAMES.sub("-", msp_id.lower()).strip("-")

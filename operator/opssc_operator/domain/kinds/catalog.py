"""All kinds of proposals this version carries out. Nothing else lists them."""

from __future__ import annotations

from typing import Final

from opssc_chaincode.model import Kind as LedgerKind
from opssc_operator.api.group import Kind
from opssc_operator.domain.kinds.chaincode import ChaincodeKind
from opssc_operator.domain.kinds.channel import ChannelKind
from opssc_operator.domain.kinds.charter import CharterKind
from opssc_operator.domain.kinds.port import ProposalKind

KINDS: Final[tuple[ProposalKind, ...]] = (ChaincodeKind(), ChannelKind(), CharterKind())
_BY_OBJECT: Final = {kind.object_kind: kind for kind in KINDS}
_BY_LEDGER: Final = {kind.ledger_kind: kind for kind in KINDS}


def of_objects(kind: Kind) -> ProposalKind:
    """The kind of proposal that objects of this kind stand for; raises KeyError for objects that are no proposals."""
    return _BY_OBJECT[kind]


def on_ledger(kind: LedgerKind) -> ProposalKind | None:
    """The kind of proposal with this name on the ledger; None when this version does not carry it out."""
    return _BY_LEDGER.get(kind)

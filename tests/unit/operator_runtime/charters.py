"""A consortium that never changed its charter, for sessions under test; no tests here."""

from __future__ import annotations

from opssc_chaincode.model import DEFAULT_CHARTER, CharterInForce, Proposal
from opssc_chaincode.succession import Succession


class DefaultCharter:
    """What a session knows of charters while the built-in default is in force."""

    known = Succession()
    left_out: tuple[str, ...] = ()

    async def succession(self) -> Succession:
        return self.known

    async def at(self, proposal: Proposal) -> CharterInForce:
        del proposal
        return DEFAULT_CHARTER

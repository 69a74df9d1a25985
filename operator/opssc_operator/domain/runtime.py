"""Whether own peers reach the chaincode's server, from what they answer to a query. Pure.

Asked is the contract API's own metadata, which changes nothing. Whatever a chaincode answers, even that it knows no
such function, proves that its server runs; only what the peer says about launching it proves that it does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from opssc_operator.api.conditions import Reason
from opssc_operator.domain.verdict import Verdict, no, unknown, yes

LOOK_AGAIN_SECONDS: Final = 10.0
"""How soon to ask again for a server that is not reached; no event tells that it was started."""
_NOT_LAUNCHED: Final = "could not launch chaincode"
_NOT_ASKED: Final = ("must call as init first", "is not installed", "has not been initialized", "access denied")
_UNDECIDED: Final = ("timeout expired while executing transaction", "chaincode stream terminated")
_ADDRESS: Final = re.compile(r"error creating grpc connection to ([A-Za-z0-9.:_\[\]-]{1,253}):")


class Reached(StrEnum):
    """What a peer's answer says about the chaincode's server."""

    YES = "Yes"
    NO = "No"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class PeerReach:
    """One own peer's answer; ``address`` is where it looked for the server in vain, if it said so."""

    peer: str
    reached: Reached
    address: str = ""


def read_refusal(peer: str, text: str) -> PeerReach:
    """What a peer's refusal of the query means (texts: Fabric core/chaincode, core/endorser)."""
    if _NOT_LAUNCHED in text:
        found = _ADDRESS.search(text)
        return PeerReach(peer, Reached.NO, found[1] if found else "")
    if any(phrase in text for phrase in (*_NOT_ASKED, *_UNDECIDED)):
        return PeerReach(peer, Reached.UNKNOWN)
    return PeerReach(peer, Reached.YES)


def judge_reach(reaches: Iterable[PeerReach]) -> Verdict | None:
    """The runtime as own peers see it; None while no peer was asked."""
    known = sorted(reaches, key=lambda reach: reach.peer)
    if not known:
        return None
    missing = [reach for reach in known if reach.reached is Reached.NO]
    if missing:
        peers = ", ".join(reach.peer for reach in missing)
        address = next((f" at {reach.address}" for reach in missing if reach.address), "")
        return no(
            Reason.SERVER_UNREACHABLE,
            f"peer {peers} cannot reach the chaincode server{address}; start it there, or propose a package with "
            "another address",
        )
    if all(reach.reached is Reached.YES for reach in known):
        return yes(Reason.SERVER_REACHED, f"{len(known)} of {len(known)} peers reach the chaincode server")
    return unknown(Reason.SERVER_NOT_ASKED, "own peers do not say yet whether they reach the chaincode server")

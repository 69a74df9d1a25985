"""Whether own peers reach the chaincode's server, and when it does no harm to ask them. Pure.

Asked is the contract API's own metadata, which changes nothing. Whatever a chaincode answers, even that it knows no
such function, proves that its server runs; only what the peer says about launching it proves that it does not. The
answer also tells whether the chaincode still waits for its Init call, which a peer checks first.

A peer that is asked connects to a server it does not know yet, and commits no block of the channel while it waits: for
a host that does not answer, the dial timeout; for a server that registers for another package, as that of an earlier
version at the same address does, or for none, the whole start-up timeout, 300 s by default (Fabric: core/chaincode
runtime_launcher.go, core/endorser). So the server is asked first where that is possible, and peers are asked seldom
when it takes them long.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from opssc_operator.api.conditions import Reason
from opssc_operator.domain.pauses import soonest
from opssc_operator.domain.server_address import ServerAddress
from opssc_operator.domain.verdict import Verdict, no, unknown, yes

LOOK_AGAIN_SECONDS: Final = 10.0
"""How soon to ask again for a server that is not reached; no event tells that it was started."""
SELDOM_SECONDS: Final = 60.0
"""How soon to ask again when the answer has been the same for some time."""
START_UP_SECONDS: Final = 300.0
"""How long a peer waits for a server to register (Fabric: core.yaml, chaincode.startuptimeout)."""
PAUSES_FOR_WAITING: Final = 30.0
"""Pauses between questions, in times of what a question takes: a channel stands still for a thirtieth of it at most."""
DIAL_SECONDS: Final = 15.0
"""The longest a peer may try to connect to a server that cannot be asked from here."""
_NOT_LAUNCHED: Final = "could not launch chaincode"
_NOT_ASKED: Final = ("must call as init first", "is not installed", "has not been initialized", "access denied")
_UNDECIDED: Final = ("timeout expired while executing transaction", "chaincode stream terminated")
_NEEDS_INIT: Final = "has not been initialized for this version, must call as init first"
_BEFORE_INVOCATION: Final = ("make sure the chaincode ", "invalid invocation: ", "channel '")
"""How errors begin, or what they hold, that a peer makes before it knows whether Init is due."""
_ADDRESS: Final = re.compile(r"error creating grpc connection to ([A-Za-z0-9.:_\[\]-]{1,253}):")
_PACKAGE_ID: Final = re.compile(r"[A-Za-z0-9._+-]{1,128}:[0-9a-f]{64}")


class Reached(StrEnum):
    """What a peer's answer says about the chaincode's server."""

    YES = "Yes"
    NO = "No"
    UNKNOWN = "Unknown"
    SILENT = "Silent"
    """The peer gave no answer in time, so it may be waiting for the server."""


@dataclass(frozen=True, slots=True)
class PeerReach:
    """One own peer's answer; ``address`` is where it looked for the server in vain, if it said so.

    ``initialized`` is None where it does not tell whether the Init call was made, and ``problem`` what it says instead.
    ``seconds`` is how long it took.
    """

    peer: str
    reached: Reached
    address: str = ""
    initialized: bool | None = None
    problem: str = field(default="", compare=False)
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class RuntimeSeen:
    """What is known of the server of a package; ``registers`` is the package ID that the server itself last named.

    It is empty for a server that names none. ``init_due`` says that the Init call may be due, which peers check before
    they connect to anything. It is worth looking again after ``again_seconds``, None when it is not.
    """

    package_id: str
    server: ServerAddress | None = None
    registers: str | None = None
    reaches: tuple[PeerReach, ...] = ()
    init_due: bool = False
    again_seconds: float | None = field(default=None, compare=False)

    @property
    def is_another(self) -> bool:
        """Whether the server said that it runs another package, or nothing."""
        return self.registers is not None and self.registers != self.package_id

    @property
    def may_ask_peers(self) -> bool:
        """Whether no peer that is asked would wait long for a server, as far as that can be known."""
        if self.registers is not None:
            return not self.is_another
        return self.server is None or not (self.server.shared_with or self.server.dial_seconds > DIAL_SECONDS)

    @property
    def may_ask_one(self) -> bool:
        """Whether one peer may be asked all the same: while Init is due, it answers before it connects to anything."""
        return self.may_ask_peers or (self.init_due and not self.is_another)


def read_refusal(peer: str, text: str) -> PeerReach:
    """What a peer's refusal of the query means (texts: Fabric core/chaincode, core/endorser)."""
    initialized = _judge_initialized(text)
    problem = " ".join(text.split())[:200] if initialized is None else ""
    if _NOT_LAUNCHED in text:
        found = _ADDRESS.search(text)
        return PeerReach(peer, Reached.NO, found[1] if found else "", initialized, problem)
    if initialized is not True or any(phrase in text for phrase in (*_NOT_ASKED, *_UNDECIDED)):
        return PeerReach(peer, Reached.UNKNOWN, "", initialized, problem)
    return PeerReach(peer, Reached.YES, "", initialized, problem)


def _judge_initialized(text: str) -> bool | None:
    """What a refusal says of the Init call: whoever came to the chaincode, or its start, passed the peer's check."""
    if _NEEDS_INIT in text and "invalid invocation: " in text:
        return False
    return None if any(phrase in text for phrase in _BEFORE_INVOCATION) else True


def usual_pause(times: int) -> float:
    """How many seconds not to ask again after the same answer so many times, where asking holds nobody up."""
    return min(LOOK_AGAIN_SECONDS * 2.0 ** min(times - 1, 16), SELDOM_SECONDS)


def peer_pause(reach: PeerReach, times: int) -> float:
    """How many seconds not to ask a peer again after ``times`` answers like this one; infinite when there is no need.

    What the server itself says meanwhile does not shorten the pause for a peer that gave no answer: it may look for it
    elsewhere.
    """
    match reach.reached:
        case Reached.YES:
            return float("inf")
        case Reached.SILENT:
            # The first time, it may have been slow for once; its wait is over by then, and the channel has caught up.
            return START_UP_SECONDS * (2.0 if times == 1 else PAUSES_FOR_WAITING)
    if reach.initialized is False:
        # It answers before it connects to anything, and the Init call may be in any block.
        return 0.0
    return max(usual_pause(times), PAUSES_FOR_WAITING * reach.seconds)


def learn(package_id: str, before: str | None, now: str | None) -> str | None:
    """What a server is taken to register after it was asked once more; None when it never said, or says no more.

    One that was seen to run another package, and is away, may come back at any moment.
    """
    if now is None and before not in {None, package_id}:
        return before
    return now


def judge_reach(seen: RuntimeSeen | None) -> Verdict | None:
    """The runtime as the server itself and own peers show it; None while nobody was asked."""
    if seen is None:
        return None
    if seen.server is not None and not seen.may_ask_peers:
        return _judge_unasked(seen, seen.server)
    known = sorted(seen.reaches, key=lambda reach: reach.peer)
    return _judge_peers(seen.package_id, known) if known else None


def look_again(seen: RuntimeSeen | None, seconds: float | None) -> float | None:
    """When to look again, where no event tells that a server was started."""
    verdict = judge_reach(seen)
    return seconds if seen is None or verdict is None or verdict.holds else soonest(seconds, seen.again_seconds)


def _judge_peers(package_id: str, known: Sequence[PeerReach]) -> Verdict:
    if missing := [reach for reach in known if reach.reached is Reached.NO]:
        address = next((f" at {reach.address}" for reach in missing if reach.address), "")
        return no(
            Reason.SERVER_UNREACHABLE,
            f"peer {_names(missing)} cannot reach the chaincode server{address}; start it there, or propose a package "
            "with another address",
        )
    if silent := [reach for reach in known if reach.reached is Reached.SILENT]:
        return unknown(
            Reason.SERVER_SILENT,
            f"peer {_names(silent)} does not answer for the chaincode server; start the server with CHAINCODE_ID="
            f"{package_id}: while one of another package answers there, the peer may commit nothing",
        )
    if all(reach.reached is Reached.YES for reach in known):
        return yes(Reason.SERVER_REACHED, f"{len(known)} of {len(known)} peers reach the chaincode server")
    return unknown(Reason.SERVER_NOT_ASKED, "own peers do not say yet whether they reach the chaincode server")


def _judge_unasked(seen: RuntimeSeen, server: ServerAddress) -> Verdict:
    if seen.is_another:
        found = seen.registers if seen.registers and _PACKAGE_ID.fullmatch(seen.registers) else "something else"
        return no(
            Reason.SERVER_MISMATCH,
            f"the chaincode server at {server.address} runs {found}; start one with CHAINCODE_ID={seen.package_id} "
            "there, or propose a package with another address",
        )
    if not server.shared_with:
        return unknown(
            Reason.SERVER_NOT_ASKED,
            f"not asked: the package lets a peer try longer than {DIAL_SECONDS:.0f} s to connect to its server at "
            f"{server.address}, and commit nothing meanwhile; start the server, or propose a shorter dialTimeout",
        )
    return unknown(
        Reason.SERVER_NOT_ASKED,
        f"not asked: package {server.shared_with} has the same address {server.address}, and a peer that finds its "
        "server there commits nothing for minutes; give each package an address of its own",
    )


def _names(reaches: Iterable[PeerReach]) -> str:
    return ", ".join(reach.peer for reach in reaches)

"""Whether own peers reach the chaincode's server, and when it does no harm to ask them. Pure.

Asked is the contract API's own metadata, which changes nothing. Whatever a chaincode answers, even that it knows no
such function, proves that its server runs; only what the peer says about launching it proves that it does not.

A peer that is asked connects to a server it does not know yet, and commits no block of the channel while it waits: for
a host that does not answer, the dial timeout; for a server that registers for another package, as that of an earlier
version at the same address does, the whole start-up timeout, 300 s by default (Fabric: core/chaincode
runtime_launcher.go, core/endorser). So the server is asked first where that is possible, and peers are asked seldom
when it takes them long.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from opssc_chaincode.model import CcaasPackage, ChaincodeContent
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.outline import Outline
from opssc_operator.domain.verdict import Verdict, no, unknown, yes

LOOK_AGAIN_SECONDS: Final = 10.0
"""How soon to ask again for a server that is not reached; no event tells that it was started."""
SELDOM_SECONDS: Final = 60.0
"""How soon to ask again when the answer has been the same for some time."""
ASK_SECONDS: Final = 15.0
"""How long an answer of a peer is waited for."""
START_UP_SECONDS: Final = 300.0
"""How long a peer waits for a server to register (Fabric: core.yaml, chaincode.startuptimeout)."""
PAUSES_FOR_WAITING: Final = 30.0
"""Pauses between questions, in times of what a question takes: a channel stands still for a thirtieth of it at most."""
_NOT_LAUNCHED: Final = "could not launch chaincode"
_NOT_ASKED: Final = ("must call as init first", "is not installed", "has not been initialized", "access denied")
_UNDECIDED: Final = ("timeout expired while executing transaction", "chaincode stream terminated")
_TEMPLATE: Final = "{"
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

    ``seconds`` is how long it took.
    """

    peer: str
    reached: Reached
    address: str = ""
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a package says its server is; ``asked`` when that can be asked from here: no template in it, and no TLS.

    ``shared_with`` is the label of another package that was installed here and has the same address.
    """

    address: str
    asked: bool
    shared_with: str = ""


@dataclass(frozen=True, slots=True)
class RuntimeSeen:
    """What is known of the server of a package; ``registers`` is the package ID that the server itself named.

    It is worth looking again after ``again_seconds``.
    """

    package_id: str
    server: ServerAddress | None = None
    registers: str | None = None
    reaches: tuple[PeerReach, ...] = ()
    again_seconds: float = LOOK_AGAIN_SECONDS

    @property
    def is_another(self) -> bool:
        """Whether the server said that it runs another package."""
        return self.registers is not None and self.registers != self.package_id

    @property
    def may_ask_peers(self) -> bool:
        """Whether no peer that is asked would find another package's server, as far as that can be known."""
        if self.registers is not None:
            return not self.is_another
        return self.server is None or not self.server.shared_with


def find_server(content: ChaincodeContent | None, package_id: str, outlines: Iterable[Outline]) -> ServerAddress | None:
    """Where the package that is installed says its server is, None when it does not; and who else says the same."""
    source = None if content is None else content.package.source
    if not isinstance(source, CcaasPackage):
        return None
    asked = not source.connection.tls_required and _TEMPLATE not in source.address
    return ServerAddress(source.address, asked, _shared_with(source.address, package_id, outlines))


def _shared_with(address: str, package_id: str, outlines: Iterable[Outline]) -> str:
    """The label of another package with the same address that was installed here; empty without one."""
    labels = {
        outline.package_id.partition(":")[0]
        for outline in outlines
        if outline.server_address == address and outline.package_id not in {None, package_id}
    }
    return min(labels, default="")


def read_refusal(peer: str, text: str) -> PeerReach:
    """What a peer's refusal of the query means (texts: Fabric core/chaincode, core/endorser)."""
    if _NOT_LAUNCHED in text:
        found = _ADDRESS.search(text)
        return PeerReach(peer, Reached.NO, found[1] if found else "")
    if any(phrase in text for phrase in (*_NOT_ASKED, *_UNDECIDED)):
        return PeerReach(peer, Reached.UNKNOWN)
    return PeerReach(peer, Reached.YES)


@dataclass(frozen=True, slots=True)
class Pauses:
    """How many seconds not to ask again: at all, and own peers; infinite when there is no need to."""

    anybody: float
    peers: float


def pauses_after(seen: RuntimeSeen, times: int) -> Pauses:
    """When to ask again after ``times`` answers like this one."""
    if seen.reaches and all(reach.reached is Reached.YES for reach in seen.reaches):
        return Pauses(float("inf"), float("inf"))
    askable = seen.server is not None and seen.server.asked
    if not seen.may_ask_peers and not askable:
        return Pauses(float("inf"), float("inf"))
    usual = min(LOOK_AGAIN_SECONDS * 2.0 ** min(times - 1, 16), SELDOM_SECONDS)
    peers = max(usual, PAUSES_FOR_WAITING * _waited(seen))
    # The server itself is held up by no question.
    return Pauses(usual if askable else peers, peers)


def _waited(seen: RuntimeSeen) -> float:
    """How many seconds a channel may have stood still for the last question."""
    if seen.registers == seen.package_id:
        # A server that registers for the package holds no peer up.
        return 0.0
    if any(reach.reached is Reached.SILENT for reach in seen.reaches):
        return START_UP_SECONDS
    return max((reach.seconds for reach in seen.reaches), default=0.0)


def judge_reach(seen: RuntimeSeen | None) -> Verdict | None:
    """The runtime as the server itself and own peers show it; None while nobody was asked."""
    if seen is None:
        return None
    if seen.server is not None and not seen.may_ask_peers:
        return _judge_unasked(seen, seen.server)
    known = sorted(seen.reaches, key=lambda reach: reach.peer)
    return _judge_peers(seen.package_id, known) if known else None


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
    return unknown(
        Reason.SERVER_NOT_ASKED,
        f"not asked: package {server.shared_with} has the same address {server.address}, and a peer that finds its "
        "server there commits nothing for minutes; give each package an address of its own",
    )


def _names(reaches: Iterable[PeerReach]) -> str:
    return ", ".join(reach.peer for reach in reaches)

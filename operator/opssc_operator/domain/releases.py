"""Which releases of Fabric the own peers are of, and whether they go on after a change of a channel. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fabric_admin.capabilities import Line
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.verdict import Verdict, no, unknown

PEERS_NOT_ASKED: Final = unknown(Reason.AWAITING_VERIFICATION, "own peers have not been asked for their releases yet")


@dataclass(frozen=True, slots=True)
class PeerRelease:
    """One own peer that a change of a channel may concern.

    ``line`` is what it was last seen to be of, None when it never said, and ``problem`` why it does not say now.
    """

    name: str
    line: Line | None
    problem: str = ""


def judge_releases(needed: Line, peers: Sequence[PeerRelease] | None) -> Verdict | None:
    """Why own peers would stop at a change that takes releases of a line, or may; None when they go on.

    A peer stops for good at a configuration that it does not support, so each of them has to have said what it is.
    """
    if needed is Line.FABRIC_2_5:
        return None
    if peers is None:
        return PEERS_NOT_ASKED
    older = [peer.name for peer in peers if peer.line is Line.FABRIC_2_5]
    if older:
        message = f"own peers of Fabric 2.5 would stop at this for good: {', '.join(older)}"
        return no(Reason.PEER_TOO_OLD, f"{message}; upgrade them to Fabric 3 first")
    mute = [peer for peer in peers if peer.line is None]
    if not mute:
        return None
    names = ", ".join(peer.name for peer in mute)
    message = f"own peers have not said whether they are of Fabric 3, which this takes: {names}"
    remedy = f"start them, or take them off spec.peers ({mute[0].problem})"
    return unknown(Reason.AWAITING_VERIFICATION, f"{message}; {remedy}")

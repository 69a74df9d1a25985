"""What each own peer has of a package, and on which of them to install it now. Pure.

Peers are independent of each other: one that is dead, slow or without a builder delays neither the others nor the
approval, and is tried again by a pause of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from opssc_operator.api.conditions import Reason
from opssc_operator.domain.verdict import Verdict, no, yes
from opssc_operator.domain.work_action import WorkAction

FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0
_MOST_DOUBLINGS: Final = 16


@dataclass(frozen=True, slots=True)
class PeerState:
    """One own peer as last seen: whether it answers, has joined the channel, and has the package.

    ``attempts`` counts installs that failed in a row, the next of which is due in ``wait_seconds``; ``installing`` is
    one that has not ended yet.
    """

    name: str
    reachable: bool
    on_channel: bool = False
    installed: bool = False
    problem: str = ""
    problem_reason: Reason | None = None
    attempts: int = 0
    wait_seconds: float = 0.0
    installing: bool = False


@dataclass(frozen=True, slots=True)
class Install(WorkAction):
    """Install the package on one own peer."""

    peer: str


@dataclass(frozen=True, slots=True)
class Installation:
    """Whether the package is where it belongs, what to install now, and when the next install that failed is due."""

    verdict: Verdict
    installs: tuple[Install, ...] = ()
    requeue_seconds: float | None = None


def install_pause_seconds(attempts: int) -> float:
    """Seconds until a peer is tried again after this many failures in a row (at least 1): doubling up to a minute."""
    return float(min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(max(attempts, 1) - 1, _MOST_DOUBLINGS)))


def decide_installation(
    channel: str, package_id: str | None, peers: tuple[PeerState, ...], not_known: Verdict | None = None
) -> Installation:
    """Judge the package on all own peers of a channel, and choose those to install it on.

    ``not_known`` says why it is not known which package that is.
    """
    if not_known is not None:
        return Installation(not_known, requeue_seconds=LONGEST_PAUSE_SECONDS)
    if package_id is None:
        return Installation(yes(Reason.SKIPPED_BY_VOTE, "this organization approves without a package"))
    joined = tuple(peer for peer in peers if peer.on_channel)
    missing = tuple(peer for peer in joined if not peer.installed)
    waits = [peer.wait_seconds for peer in missing if peer.wait_seconds > 0 and not peer.installing]
    return Installation(
        _judge(channel, peers, joined, missing),
        tuple(Install(peer.name) for peer in missing if not peer.installing and peer.wait_seconds <= 0),
        min(waits, default=None),
    )


def _judge(
    channel: str, peers: tuple[PeerState, ...], joined: tuple[PeerState, ...], missing: tuple[PeerState, ...]
) -> Verdict:
    silent = sorted(peer.name for peer in peers if not peer.reachable)
    if not joined and not silent:
        return no(Reason.NO_PEERS, f"no own peer has joined channel {channel}; join one")
    broken = min((peer for peer in missing if peer.problem), key=lambda peer: peer.name, default=None)
    if broken is not None:
        return no(broken.problem_reason or Reason.INSTALL_FAILED, f"peer {broken.name}: {broken.problem}")
    if silent:
        return no(Reason.PEER_UNREACHABLE, f"waiting for peer {', '.join(silent)}; check its address and that it runs")
    if missing:
        return no(Reason.AWAITING_INSTALL, "installing on " + ", ".join(sorted(peer.name for peer in missing)))
    return yes(Reason.INSTALLED, f"on {len(joined)} of {len(joined)} peers")

"""What the conditions of a FabricOrganization say, from looks at identities, peers and governance. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.organization import PeerSource
from opssc_operator.api.surroundings import PEER_LABEL
from opssc_operator.domain.verdict import Verdict, no, unknown, yes

_NEXT_STEPS: Final = {
    Reason.PEER_UNREACHABLE: "does not answer; check its address, its tlsCA and that it runs",
    # A peer says the same of an MSP it does not know and of a certificate that no CA of a known MSP issued.
    Reason.UNKNOWN_MSP: "knows no such identity; check spec.mspID and that its CA issued the certificates",
    Reason.IDENTITY_INVALID: "refuses the identity; check that its certificate is neither expired nor revoked",
}


@dataclass(frozen=True, slots=True)
class PeerLook:
    """One own peer: the channels it has joined, or why it did not answer."""

    name: str
    address: str
    channels: tuple[str, ...] = ()
    problem: str = ""
    problem_reason: Reason | None = None
    source: PeerSource = PeerSource.EXPLICIT

    @property
    def reachable(self) -> bool:
        """Whether the peer answered."""
        return not self.problem


Reach = frozenset[tuple[str, tuple[str, ...]]]
"""Names of the peers that answer, each with its channels."""


def reach_of(looks: Sequence[PeerLook]) -> Reach:
    """What can be worked on through the own peers."""
    return frozenset((look.name, look.channels) for look in looks if look.reachable)


def judge_peers(looks: Sequence[PeerLook], notes: Sequence[str] = ()) -> Verdict:
    """All own peers answer; one silent peer is reported although the others carry on.

    ``notes`` say what keeps peers from being found.
    """
    note = "; ".join(notes)
    if not looks:
        hint = f"label its Service {PEER_LABEL}=true, or list the peers in spec.peers.explicit"
        return no(Reason.NO_PEERS, note or f"no own peer is found; {hint}")
    silent = sorted((look for look in looks if not look.reachable), key=lambda look: look.name)
    if not silent:
        answer = f"{len(looks)} of {len(looks)} peers answer"
        return yes(Reason.PEERS_REACHABLE, f"{answer}; {note}" if note else answer)
    first = silent[0]
    names = ", ".join(look.name for look in silent)
    reason = first.problem_reason or Reason.PEER_UNREACHABLE
    # What to do comes first: a message that is too long loses its end.
    return no(reason, f"peer {names} {_NEXT_STEPS.get(reason, 'refuses')} ({first.problem})")


def summarize(identity: Verdict, peers: Verdict, governance: Verdict) -> Mapping[ConditionType, Verdict]:
    """All conditions: Ready is the first look that fails, and any failure is being worked on."""
    failing = next((verdict for verdict in (identity, peers, governance) if not verdict.holds), None)
    conditions = {
        ConditionType.IDENTITY_READY: identity,
        ConditionType.PEERS_READY: peers,
        ConditionType.GOVERNANCE_READY: governance,
    }
    if failing is None:
        return {**conditions, ConditionType.READY: yes(Reason.READY, "identities, peers and governance are ready")}
    ready = no(failing.reason, failing.message)
    return {
        **conditions,
        ConditionType.READY: ready,
        ConditionType.RECONCILING: yes(failing.reason, failing.message),
    }


NOT_LOOKED: Verdict = unknown(Reason.PENDING, "not looked at yet")

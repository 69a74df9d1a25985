"""Where a proposal stands and what follows from it; each kind says so of its own work once it is accepted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.proposal import Phase
from opssc_operator.domain.actions import LedgerAction, ObjectAction
from opssc_operator.domain.observation import NOTHING_YET, ProposalObserved
from opssc_operator.domain.report import ReportWish
from opssc_operator.domain.verdict import Verdict

VERIFY_AGAIN_SECONDS: Final = {
    Reason.AWAITING_VERIFICATION: 5.0,
    Reason.CHANNEL_NOT_FOUND: 30.0,
    Reason.PEER_TOO_OLD: 30.0,
}
"""How soon to look again for what the own peers do not show yet, or are not yet; no event tells that it changed."""

STALE_AGAIN_SECONDS: Final = 10.0
"""How soon to look whether somebody has proposed anew what is stale; no event of this proposal tells."""

Conditions = Mapping[ConditionType, Verdict]


@dataclass(frozen=True, slots=True)
class Stage:
    """What one stage found: conditions so far, actions, and whether a person is needed.

    ``waiting`` says that Ready may still come; ``follows`` is the channel whose blocks are news for this proposal
    until it is ready; ``reports`` are true and untold; ``vote_problems`` is what is wrong with the local choices of a
    Vote, by its name.
    """

    conditions: Conditions
    phase: Phase
    actions: tuple[LedgerAction, ...] = ()
    stalled: bool = False
    ready: Verdict = NOTHING_YET
    waiting: bool = True
    follows: str | None = None
    reports: tuple[ReportWish, ...] = ()
    vote_problems: Mapping[str, Verdict] = field(default_factory=dict)
    requeue_seconds: float | None = None


class Work(Protocol):
    """What was seen of carrying out an accepted proposal; every kind has its own."""

    def decide(self, observed: ProposalObserved, conditions: Conditions) -> Stage:
        """The stage of a proposal that is accepted, verified and for this organization to carry out.

        ``conditions`` are those that every accepted proposal has, to be added to.
        """
        ...


@dataclass(frozen=True, slots=True)
class ProposalDecision:
    """Actions for the ledger and for objects, conditions by type, and when to look again without an event."""

    ledger_actions: tuple[LedgerAction, ...]
    object_actions: tuple[ObjectAction, ...]
    conditions: Conditions
    phase: Phase
    vote_outcomes: Mapping[str, Verdict]
    follows: str | None = None
    reports: tuple[ReportWish, ...] = ()
    vote_problems: Mapping[str, Verdict] = field(default_factory=dict)
    requeue_seconds: float | None = None


def closed(observed: ProposalObserved, phase: Phase, accepted: Verdict) -> Stage:
    """A proposal that came to nothing and asks for a person."""
    conditions = {ConditionType.VERIFIED: observed.verified, ConditionType.ACCEPTED: accepted}
    return Stage(conditions, phase, stalled=True, ready=accepted)

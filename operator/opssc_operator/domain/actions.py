"""What can be done next about a proposal, on the ledger, on networks and with its objects."""

from __future__ import annotations

from dataclasses import dataclass

from opssc_operator.domain.planning import Plan
from opssc_operator.domain.voting import CastVote
from opssc_operator.domain.work_action import WorkAction


@dataclass(frozen=True, slots=True)
class Propose:
    """Submit the planned document."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Close:
    """Close the proposal on the ledger."""

    cause: str
    reason: str


@dataclass(frozen=True, slots=True)
class CreateMirror:
    """Make an object for another organization's proposal."""


@dataclass(frozen=True, slots=True)
class DeleteMirror:
    """Remove the operator's own object: a manifest of the same proposal exists, or it is no longer wanted."""


@dataclass(frozen=True, slots=True)
class SetFinalizer:
    """Hold the manifest until it was withdrawn, or let it go."""

    present: bool


LedgerAction = Propose | CastVote | Close | WorkAction
ObjectAction = CreateMirror | DeleteMirror | SetFinalizer

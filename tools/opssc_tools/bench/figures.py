"""The figures of the benchmark and the arithmetic on them. Measures nothing."""

from __future__ import annotations

import math
import statistics
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opssc_tools.bench.atonce import AtOnceFigures

UNAVOIDABLE_BLOCKS: Final = 4
"""Propose, votes, approvals, commit: each needs what the block before it says."""


@dataclass(frozen=True, slots=True)
class Phases:
    """Seconds of one proposal's way, each phase from the end of the one before.

    `kubectl` ends when the API server tells of the object; `propose`, `votes`, `approvals` and `commit` when the
    creator's peer delivers the block that decides the phase; `read_back` when the last organization shows Ready.
    """

    kubectl: float
    propose: float
    votes: float
    approvals: float
    commit: float
    read_back: float

    @property
    def accepted_to_ready(self) -> float:
        """Seconds from the API server having the manifest to Ready in every organization."""
        return self.applied_to_ready - self.kubectl

    @property
    def applied_to_ready(self) -> float:
        """The same from the start of kubectl."""
        return math.fsum(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True, slots=True)
class ProposalFigures:
    """One proposal: its phases, fact-to-status seconds by kind of fact, and what all operators spent on it."""

    phases: Phases
    lags: dict[str, list[float]]
    operator_cpu_seconds: float
    load_average: float


@dataclass(frozen=True, slots=True)
class OperatorFigures:
    """One operator at the end: resident bytes, and the share of one core it took while nothing happened."""

    name: str
    resident_bytes: int
    idle_share: float


@dataclass(frozen=True, slots=True)
class Figures:
    """One consortium: block latencies through the Gateway, proposals, operators."""

    organizations: int
    backend: str
    api_servers: int
    batch_timeout: str
    latencies: tuple[float, ...]
    proposals: tuple[ProposalFigures, ...]
    operators: tuple[OperatorFigures, ...]
    idle_seconds: float
    at_once: AtOnceFigures | None = None
    script: tuple[float, ...] = ()
    """Seconds of a script of the `peer` program that does the same; empty without one."""

    @property
    def latency(self) -> float:
        """Median seconds of one block through the Gateway: endorse, submit, commit status."""
        return statistics.median(self.latencies)

    @property
    def phases(self) -> Phases:
        """Medians of each phase; their sum is not exactly the median of the sum."""
        return Phases(
            **{
                field.name: statistics.median(getattr(proposal.phases, field.name) for proposal in self.proposals)
                for field in fields(Phases)
            }
        )

    @property
    def accepted_to_ready(self) -> float:
        """Median seconds from the API server having the manifest to Ready in every organization."""
        return statistics.median(proposal.phases.accepted_to_ready for proposal in self.proposals)

    @property
    def applied_to_ready(self) -> float:
        """The same from the start of kubectl."""
        return statistics.median(proposal.phases.applied_to_ready for proposal in self.proposals)

    @property
    def ratio(self) -> float:
        """How many times the four unavoidable blocks it takes from the accepted manifest to Ready everywhere."""
        return self.accepted_to_ready / (UNAVOIDABLE_BLOCKS * self.latency)

    @property
    def operator_cpu_seconds(self) -> float:
        """Median processor seconds one operator spent on one proposal."""
        return statistics.median(proposal.operator_cpu_seconds for proposal in self.proposals) / self.organizations

    def lags(self, kind: str = "") -> list[float]:
        """Fact-to-status seconds of all proposals and organizations; of one kind of fact if given."""
        return sorted(
            lag
            for proposal in self.proposals
            for name, lags in proposal.lags.items()
            if kind in {"", name}
            for lag in lags
        )

    @property
    def lag_kinds(self) -> tuple[str, ...]:
        """Kinds of facts that were seen."""
        return tuple(dict.fromkeys(name for proposal in self.proposals for name in proposal.lags))

    def to_json(self) -> dict[str, Any]:
        """All of it, with the medians people read first."""
        every = self.lags()
        return {
            "organizations": self.organizations,
            "backend": self.backend,
            "apiServers": self.api_servers,
            "batchTimeout": self.batch_timeout,
            "blockLatencySeconds": self.latency,
            "acceptedToReadySeconds": self.accepted_to_ready,
            "appliedToReadySeconds": self.applied_to_ready,
            "ratioToFourBlocks": self.ratio,
            "operatorCpuSecondsPerProposal": self.operator_cpu_seconds,
            "phases": asdict(self.phases),
            "factToStatusSeconds": {
                "p50": quantile(every, 0.5),
                "p99": quantile(every, 0.99),
                "byKind": {kind: quantile(self.lags(kind), 0.5) for kind in self.lag_kinds},
            },
            "operators": [asdict(operator) for operator in self.operators],
            "idleSeconds": self.idle_seconds,
            "proposals": [asdict(proposal) for proposal in self.proposals],
            "blockLatencies": list(self.latencies),
            "atOnceSeconds": list(self.at_once.seconds) if self.at_once else [],
            "peerScriptSeconds": list(self.script),
        }


def straight_line(all_figures: Sequence[Figures]) -> list[float]:
    """What accepted-to-Ready would be if it grew as the number of organizations does, from the smallest measured."""
    first = min(all_figures, key=lambda figures: figures.organizations)
    return [first.accepted_to_ready / first.organizations * figures.organizations for figures in all_figures]


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that `share` of the ascending values do not exceed; not a number without values."""
    if not ordered:
        return math.nan
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]

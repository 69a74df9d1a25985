"""The benchmark's figures for people."""

from __future__ import annotations

import statistics
from dataclasses import fields
from typing import TYPE_CHECKING, Final

from rich.table import Table

from opssc_tools.bench.figures import Phases, quantile, straight_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opssc_tools.bench.figures import Figures

_MEBIBYTE: Final = 1024 * 1024


def build_table(all_figures: Sequence[Figures]) -> Table:
    """One column for each consortium."""
    table = Table(title="From kubectl apply to Ready in every organization (medians)")
    table.add_column("")
    for figures in all_figures:
        table.add_column(f"{figures.organizations} organizations\n{figures.backend}", justify="right")
    for label, cells in _rows(all_figures):
        table.add_row(label, *cells)
    return table


def _rows(all_figures: Sequence[Figures]) -> list[tuple[str, list[str]]]:
    rows = [("one block through the Gateway", [_seconds(f.latency) for f in all_figures])]
    for field in fields(Phases):
        name = field.name.replace("_", "-")
        rows.append((f"  {name}", [_seconds(getattr(f.phases, field.name)) for f in all_figures]))
    rows += [
        ("accepted by the API server to Ready", [_seconds(f.accepted_to_ready) for f in all_figures]),
        ("  times four blocks", [f"{f.ratio:.2f}" for f in all_figures]),
        ("  straight line from the smallest", [_seconds(value) for value in straight_line(all_figures)]),
        ("start of kubectl to Ready", [_seconds(f.applied_to_ready) for f in all_figures]),
        ("fact to status p50", [_seconds(quantile(f.lags(), 0.5)) for f in all_figures]),
        ("fact to status p99", [_seconds(quantile(f.lags(), 0.99)) for f in all_figures]),
    ]
    kinds = dict.fromkeys(kind for figures in all_figures for kind in figures.lag_kinds)
    rows += [(f"  {kind} p50", [_seconds(quantile(f.lags(kind), 0.5)) for f in all_figures]) for kind in kinds]
    rows += [
        ("several at once, the last Ready", [_at_once(f) for f in all_figures]),
        ("the same by a script of `peer`", [_script(f) for f in all_figures]),
    ]
    rows += [
        (
            "operator CPU per proposal, each",
            [_seconds(f.operator_cpu_seconds) for f in all_figures],
        ),
        (
            "operator memory, largest",
            [f"{max(o.resident_bytes for o in f.operators) / _MEBIBYTE:.0f} MiB" for f in all_figures],
        ),
        ("operator idle, busiest", [f"{max(o.idle_share for o in f.operators):.2%}" for f in all_figures]),
        ("load average while proposing", [f"{max(p.load_average for p in f.proposals):.1f}" for f in all_figures]),
        ("proposals", [str(len(f.proposals)) for f in all_figures]),
        ("API servers", [str(f.api_servers) for f in all_figures]),
    ]
    return rows


def _at_once(figures: Figures) -> str:
    found = figures.at_once
    return f"{len(found.seconds)}: {_seconds(found.last)}" if found else "not measured"


def _script(figures: Figures) -> str:
    return _seconds(statistics.median(figures.script)) if figures.script else "no FABRIC_HOME"


def _seconds(value: float) -> str:
    return f"{value:.3f} s"

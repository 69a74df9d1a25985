"""Command `scale`: start-up and memory of networks by the number of organizations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from fabric_devnet.spec import BackendName
from opssc_tools.bench.commands.counts import parse_counts
from opssc_tools.bench.running import run, write_json
from opssc_tools.bench.scale import ScaleFigures, measure_scale
from opssc_tools.demo.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Sequence

TOTAL_SECONDS: Final = 900.0
_MEBIBYTE: Final = 1024 * 1024


def scale(
    organizations: Annotated[str, typer.Option("--orgs", help="numbers of organizations, as in 3,20")] = "3,10,20",
    backend: Annotated[BackendName, typer.Option(help="who plays peers and orderer")] = BackendName.EMBEDDED,
    directory: Annotated[Path, typer.Option(help="where everything is written")] = Path(".bench"),
    json_file: Annotated[Path | None, typer.Option("--json", help="also write every figure to this file")] = None,
) -> None:
    """Start networks with one peer for each organization; say how long it takes and how much memory they hold."""
    screen = Screen()
    counts = parse_counts(organizations, smallest=1)
    figures = run(_measure(directory.resolve(), counts, backend, screen), screen, total_seconds=TOTAL_SECONDS)
    Console().print(build_table(figures))
    write_json(json_file, "scale", [each.to_json() for each in figures])


async def _measure(directory: Path, counts: Sequence[int], backend: BackendName, screen: Screen) -> list[ScaleFigures]:
    return [await measure_scale(directory / f"scale-{count}", count, backend, screen.step) for count in counts]


def build_table(all_figures: Sequence[ScaleFigures]) -> Table:
    """One row for each size."""
    table = Table("organizations", "start", "processor time", "memory", "load average", title="Starting a network")
    for figures in all_figures:
        table.add_row(
            f"{figures.organizations} ({figures.backend})",
            f"{figures.seconds:.1f} s",
            f"{figures.processor_seconds:.1f} s",
            f"{figures.resident_bytes / _MEBIBYTE:.0f} MiB",
            f"{figures.load_average:.1f}",
        )
    return table

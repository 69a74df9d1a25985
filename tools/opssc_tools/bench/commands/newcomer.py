"""Command `newcomer`: an organization joins, from its manifest to its first deploy cycle."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from fabric_devnet.spec import BackendName, ChannelSpec
from opssc_tools.bench.commands.counts import parse_counts
from opssc_tools.bench.consortia import CONSORTIUM_SECONDS, measure_each
from opssc_tools.bench.newcomer import NewcomerPhases, measure_newcomer
from opssc_tools.bench.running import run, write_json
from opssc_tools.demo.screen import Screen
from opssc_tools.environment import EnvironmentSpec
from opssc_tools.environment.spec import APPLICATION_CHANNEL, GOVERNANCE_CHANNEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opssc_tools.bench.newcomer import NewcomerFigures


def newcomer(  # noqa: PLR0917 - typer reads options from parameters; nobody calls it by position
    organizations: Annotated[str, typer.Option("--orgs", help="members before it joins, as in 2,5")] = "2",
    backend: Annotated[BackendName, typer.Option(help="who plays peers and orderer")] = BackendName.EMBEDDED,
    batch_timeout: Annotated[str, typer.Option(help="of the orderer")] = "200ms",
    resync_period: Annotated[str, typer.Option(help="of the operators, as in production")] = "5m",
    directory: Annotated[Path, typer.Option(help="where everything is written")] = Path(".bench"),
    json_file: Annotated[Path | None, typer.Option("--json", help="also write every figure to this file")] = None,
) -> None:
    """Measure a new organization, from its applied manifest to its first deploy cycle, on this machine alone."""
    screen = Screen()
    counts = parse_counts(organizations, smallest=2)
    specs = (_spec(directory, count, backend, batch_timeout, resync_period) for count in counts)
    work = measure_each(specs, lambda consortium: measure_newcomer(consortium, screen.step), screen, _describe)
    figures = run(work, screen, total_seconds=CONSORTIUM_SECONDS * len(counts))
    Console().print(_build_table(figures))
    write_json(json_file, "newcomers", [found.to_json() for found in figures])


def _spec(directory: Path, count: int, backend: BackendName, batch_timeout: str, resync_period: str) -> EnvironmentSpec:
    members = tuple(f"Org{number}MSP" for number in range(1, count + 1))
    return EnvironmentSpec(
        directory=directory.resolve() / f"newcomer-of-{count}",
        organizations=count + 1,
        backend=backend,
        channels=tuple(ChannelSpec(name, members=members) for name in (GOVERNANCE_CHANNEL, APPLICATION_CHANNEL)),
        batch_timeout=batch_timeout,
        resync_period=resync_period,
        log_level="WARNING",
    )


def _describe(spec: EnvironmentSpec) -> str:
    return f"an organization joins {spec.organizations - 1} on {spec.backend}"


def _build_table(all_figures: Sequence[NewcomerFigures]) -> Table:
    table = Table(title="From the newcomer's manifest to its first deploy cycle")
    table.add_column("")
    for figures in all_figures:
        table.add_column(f"{figures.organizations} members\n{figures.backend}", justify="right")
    for field in fields(NewcomerPhases):
        cells = [f"{getattr(figures.phases, field.name):.2f} s" for figures in all_figures]
        table.add_row(field.name.replace("_", "-"), *cells)
    table.add_row("together", *(f"{figures.phases.total:.2f} s" for figures in all_figures))
    table.add_row("load average", *(f"{figures.load_average:.1f}" for figures in all_figures))
    return table

"""Commands `channel` and `create`: changes of a channel and new channels, by phase."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from fabric_devnet.spec import BackendName
from opssc_tools.bench.changes import measure_changes, measure_creations
from opssc_tools.bench.commands.counts import parse_counts
from opssc_tools.bench.consortia import CONSORTIUM_SECONDS, measure_each
from opssc_tools.bench.running import run, write_json
from opssc_tools.demo.screen import Screen
from opssc_tools.environment import EnvironmentSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opssc_tools.bench.changes import ChannelFigures

ORDERERS: Final = 3

Organizations = Annotated[str, typer.Option("--orgs", help="numbers of organizations, as in 3,10")]
Backend = Annotated[BackendName, typer.Option(help="who plays peers and orderers")]
Runs = Annotated[int, typer.Option(min=1, max=50, help="counted proposals for each number")]
ApiServers = Annotated[int, typer.Option(help="1: a namespace for each organization; 0: as many as sensible")]
BatchTimeout = Annotated[str, typer.Option(help="of the orderers")]
Directory = Annotated[Path, typer.Option(help="where everything is written")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="also write every figure to this file")]


def channel(  # noqa: PLR0917 - typer reads options from parameters; nobody calls it by position
    organizations: Organizations = "3",
    backend: Backend = BackendName.EMBEDDED,
    runs: Runs = 5,
    api_servers: ApiServers = 0,
    batch_timeout: BatchTimeout = "200ms",
    directory: Directory = Path(".bench"),
    json_file: JsonFile = None,
) -> None:
    """Change a channel by a majority's votes, from kubectl apply to the config block verified everywhere."""
    screen = Screen()
    counts = parse_counts(organizations, smallest=2)
    root = directory.resolve()
    specs = (_spec(root / f"channel-{count}", count, backend, api_servers, batch_timeout) for count in counts)
    work = measure_each(specs, lambda consortium: measure_changes(consortium, runs, screen.step), screen)
    figures = run(work, screen, total_seconds=CONSORTIUM_SECONDS * len(counts))
    Console().print(build_table("From kubectl apply to the config block verified everywhere (medians)", figures))
    write_json(json_file, "channel", [each.to_json() for each in figures])


def create(  # noqa: PLR0917 - typer reads options from parameters; nobody calls it by position
    organizations: Organizations = "3",
    backend: Backend = BackendName.EMBEDDED,
    runs: Runs = 3,
    api_servers: ApiServers = 0,
    batch_timeout: BatchTimeout = "200ms",
    directory: Directory = Path(".bench"),
    json_file: JsonFile = None,
) -> None:
    """Create channels of all organizations; the first ones, three at most, run an orderer each."""
    screen = Screen()
    counts = parse_counts(organizations, smallest=2)
    root = directory.resolve()
    specs = (
        _with_orderers(_spec(root / f"create-{count}", count, backend, api_servers, batch_timeout)) for count in counts
    )
    work = measure_each(specs, lambda consortium: measure_creations(consortium, runs, screen.step), screen)
    figures = run(work, screen, total_seconds=CONSORTIUM_SECONDS * len(counts))
    Console().print(build_table("From kubectl apply to a new channel in every organization (medians)", figures))
    write_json(json_file, "create", [each.to_json() for each in figures])


def _spec(directory: Path, count: int, backend: BackendName, api_servers: int, batch_timeout: str) -> EnvironmentSpec:
    return EnvironmentSpec(
        directory=directory,
        organizations=count,
        backend=backend,
        api_servers=api_servers,
        batch_timeout=batch_timeout,
        resync_period="5m",
        log_level="WARNING",
    )


def _with_orderers(spec: EnvironmentSpec) -> EnvironmentSpec:
    owners = tuple(f"Org{number}MSP" for number in range(1, min(spec.organizations, ORDERERS) + 1))
    return replace(spec, orderers=len(owners), orderer_owners=owners)


def build_table(title: str, all_figures: Sequence[ChannelFigures]) -> Table:
    """One column for each consortium."""
    table = Table("", title=title)
    for figures in all_figures:
        table.add_column(f"{figures.organizations} organizations\n{figures.backend}", justify="right")
    for name in all_figures[0].phases:
        table.add_row(name, *(f"{figures.phases[name]:.3f} s" for figures in all_figures))
    table.add_row("start of kubectl to everywhere", *(f"{figures.total:.3f} s" for figures in all_figures))
    table.add_row("load average", *(f"{figures.load_average:.1f}" for figures in all_figures))
    return table

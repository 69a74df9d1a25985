"""Command `backlog`: many proposals on the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from fabric_devnet.spec import BackendName
from opssc_tools.bench.backlog import BacklogFigures, BacklogPlan, measure_backlog
from opssc_tools.bench.running import MAX_ORGANIZATIONS, run, write_json
from opssc_tools.demo.screen import Screen
from opssc_tools.environment import Consortium, EnvironmentSpec

TOTAL_SECONDS: Final = 1800.0
_MEBIBYTE: Final = 1024 * 1024


def backlog(  # noqa: PLR0917 - typer reads options from parameters; nobody calls it by position
    organizations: Annotated[
        int, typer.Option("--orgs", min=2, max=MAX_ORGANIZATIONS, help="how many organizations")
    ] = 3,
    proposals: Annotated[int, typer.Option(min=1, help="how many proposals, of which 20 stay open")] = 1000,
    backend: Annotated[BackendName, typer.Option(help="who plays peers and orderer")] = BackendName.EMBEDDED,
    api_servers: Annotated[int, typer.Option(help="1: a namespace for each organization; 0: as many as sensible")] = 0,
    idle_seconds: Annotated[float, typer.Option(min=0, max=300, help="how long idleness is watched")] = 60.0,
    resync_seconds: Annotated[int, typer.Option(min=10, max=600, help="how often operators resync")] = 180,
    directory: Annotated[Path, typer.Option(help="where everything is written")] = Path(".bench"),
    json_file: Annotated[Path | None, typer.Option("--json", help="also write every figure to this file")] = None,
) -> None:
    """Fill the ledger with proposals that nobody votes on; look at resync, memory and idleness of operators."""
    screen = Screen()

    async def measure() -> BacklogFigures:
        spec = EnvironmentSpec(
            directory=directory.resolve() / "backlog",
            organizations=organizations,
            backend=backend,
            api_servers=api_servers,
            resync_period=f"{resync_seconds}s",
        )
        async with Consortium.start(spec, announce=screen.step) as consortium:
            return await measure_backlog(consortium, BacklogPlan(proposals, idle_seconds, resync_seconds), screen.step)

    figures = run(measure(), screen, total_seconds=TOTAL_SECONDS)
    Console().print(build_table(figures))
    write_json(json_file, "backlog", figures.to_json())


def build_table(figures: BacklogFigures) -> Table:
    """The figures for people."""
    title = f"{figures.proposals} proposals on the ledger, {figures.organizations} organizations on {figures.backend}"
    table = Table("", "", title=title, show_header=False)
    rows = [
        ("proposing all", f"{figures.propose_seconds:.1f} s"),
        ("mirrored in every organization", f"{figures.mirror_seconds:.1f} s"),
        ("resync of an operator", f"{figures.resync_seconds:.1f} s"),
        ("an operator's start, until all are looked at", f"{figures.restart_seconds:.1f} s"),
        ("operator memory, largest", f"{figures.resident_bytes / _MEBIBYTE:.0f} MiB"),
        ("operator idle, busiest", f"{figures.idle_share:.2%}"),
        ("API calls in an idle minute, all operators, watches left out", f"{figures.calls_per_minute:.0f}"),
        *((f"  {name}", str(number)) for name, number in figures.calls.items()),
        ("load average", f"{figures.load_average:.1f}"),
    ]
    for row in rows:
        table.add_row(*row)
    return table

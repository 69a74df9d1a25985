"""Command `deploy`: the main job, from kubectl apply to Ready everywhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from fabric_devnet.official.home import VARIABLE, FabricHome
from fabric_devnet.spec import BackendName
from opssc_tools.bench.commands.counts import parse_counts
from opssc_tools.bench.consortia import CONSORTIUM_SECONDS, measure_each
from opssc_tools.bench.measure import Plan, measure
from opssc_tools.bench.report import build_table
from opssc_tools.bench.running import run, write_json
from opssc_tools.demo.screen import Screen
from opssc_tools.environment import EnvironmentSpec

if TYPE_CHECKING:
    from opssc_tools.bench.figures import Figures


def deploy(  # noqa: PLR0917 - typer reads options from parameters; nobody calls it by position
    organizations: Annotated[str, typer.Option("--orgs", help="numbers of organizations, as in 3,10")] = "3",
    backend: Annotated[BackendName, typer.Option(help="who plays peers and orderer")] = BackendName.EMBEDDED,
    runs: Annotated[int, typer.Option(min=1, max=50, help="counted proposals for each number")] = 5,
    api_servers: Annotated[int, typer.Option(help="1: a namespace for each organization; 0: as many as sensible")] = 0,
    idle_seconds: Annotated[float, typer.Option(min=0, max=300, help="how long idleness is watched")] = 30.0,
    at_once: Annotated[int, typer.Option(min=0, max=100, help="how many proposals at once; 0: none")] = 10,
    batch_timeout: Annotated[str, typer.Option(help="of the orderer")] = "200ms",
    resync_period: Annotated[str, typer.Option(help="of the operators, as in production")] = "5m",
    directory: Annotated[Path, typer.Option(help="where everything is written")] = Path(".bench"),
    json_file: Annotated[Path | None, typer.Option("--json", help="also write every figure to this file")] = None,
) -> None:
    """Measure the main job, from kubectl apply to Ready everywhere, on this machine alone.

    With FABRIC_HOME set, a script of its `peer` program does the same on the same network, to compare.
    """
    screen = Screen()
    counts = parse_counts(organizations, smallest=2)  # one organization has nobody to ask

    async def measure_all() -> list[Figures]:
        specs = [
            EnvironmentSpec(
                directory=directory.resolve() / f"{count}-organizations",
                organizations=count,
                backend=backend,
                api_servers=api_servers,
                batch_timeout=batch_timeout,
                resync_period=resync_period,
                log_level="WARNING",
            )
            for count in counts
        ]
        plan = Plan(runs, idle_seconds, at_once, FabricHome.find() if os.environ.get(VARIABLE) else None)
        return await measure_each(specs, lambda consortium: measure(consortium, plan, screen.step), screen)

    figures = run(measure_all(), screen, total_seconds=CONSORTIUM_SECONDS * len(counts))
    Console().print(build_table(figures))
    write_json(json_file, "consortia", [found.to_json() for found in figures])

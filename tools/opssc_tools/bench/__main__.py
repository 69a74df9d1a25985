"""Command: run the benchmark."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from fabric_admin.errors import FabricError
from fabric_devnet.errors import DevnetError
from fabric_devnet.spec import BackendName
from opssc_tools.bench.measure import Plan, measure
from opssc_tools.bench.report import build_table
from opssc_tools.demo.screen import Screen
from opssc_tools.environment import Consortium, EnvironmentSpec
from opssc_tools.errors import EnvironmentSpecError, ToolsError

if TYPE_CHECKING:
    from opssc_tools.bench.figures import Figures

INTERRUPTED: Final = 130
MAX_ORGANIZATIONS: Final = 20
TOTAL_SECONDS: Final = 900.0
"""No consortium is measured for longer, whatever happens."""


def main(  # noqa: PLR0917 - typer reads options from parameters; nobody calls it by position
    organizations: Annotated[str, typer.Option("--orgs", help="numbers of organizations, as in 3,10")] = "3",
    backend: Annotated[BackendName, typer.Option(help="who plays peers and orderer")] = BackendName.EMBEDDED,
    runs: Annotated[int, typer.Option(min=1, max=50, help="counted proposals for each number")] = 5,
    api_servers: Annotated[int, typer.Option(help="1: a namespace for each organization; 0: as many as sensible")] = 0,
    idle_seconds: Annotated[float, typer.Option(min=0, max=300, help="how long idleness is watched")] = 30.0,
    batch_timeout: Annotated[str, typer.Option(help="of the orderer")] = "200ms",
    resync_period: Annotated[str, typer.Option(help="of the operators, as in production")] = "5m",
    directory: Annotated[Path, typer.Option(help="where everything is written")] = Path(".bench"),
    json_file: Annotated[Path | None, typer.Option("--json", help="also write every figure to this file")] = None,
) -> None:
    """Measure the main job, from kubectl apply to Ready everywhere, on this machine alone."""
    screen = Screen()
    try:
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
            for count in _counts(organizations)
        ]
        figures = asyncio.run(_run(specs, Plan(runs, idle_seconds), screen))
    except (KeyboardInterrupt, asyncio.CancelledError):
        screen.verdict("interrupted; everything is stopped", good=False)
        sys.exit(INTERRUPTED)
    except TimeoutError:
        screen.verdict(f"the benchmark failed: a consortium took more than {TOTAL_SECONDS:.0f} s", good=False)
        sys.exit(1)
    except (ToolsError, DevnetError, FabricError) as exc:
        screen.verdict(f"the benchmark failed: {exc}", good=False)
        sys.exit(1)
    Console().print(build_table(figures))
    if json_file is not None:
        json_file.write_text(json.dumps(_document(figures), indent=2) + "\n", encoding="utf-8")


def _counts(text: str) -> list[int]:
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError as exc:
        raise EnvironmentSpecError(f"--orgs is a list of numbers such as 3,10, not {text}") from exc
    if not all(2 <= count <= MAX_ORGANIZATIONS for count in counts):  # noqa: PLR2004 - one organization has nobody to ask
        raise EnvironmentSpecError(f"--orgs takes numbers from 2 to {MAX_ORGANIZATIONS}, not {text}")
    return counts


async def _run(specs: list[EnvironmentSpec], plan: Plan, screen: Screen) -> list[Figures]:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    found: list[Figures] = []
    for spec in specs:
        screen.title(f"{spec.organizations} organizations on {spec.backend}")
        async with asyncio.timeout(TOTAL_SECONDS), Consortium.start(spec, announce=screen.step) as consortium:
            found.append(await measure(consortium, plan, screen.step))
    return found


def _document(figures: list[Figures]) -> dict[str, object]:
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processors": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "consortia": [found.to_json() for found in figures],
    }


if __name__ == "__main__":
    typer.run(main)

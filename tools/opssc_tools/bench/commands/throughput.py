"""Command `throughput`: transactions a second of a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from fabric_devnet.spec import BackendName
from opssc_tools.bench.figures import quantile
from opssc_tools.bench.running import MAX_ORGANIZATIONS, run, write_json
from opssc_tools.bench.throughput import Load, ThroughputFigures, measure_throughput
from opssc_tools.demo.screen import Screen

TOTAL_SECONDS: Final = 900.0
_MEBIBYTE: Final = 1024 * 1024


def throughput(  # noqa: PLR0917 - typer reads options from parameters; nobody calls it by position
    organizations: Annotated[
        int, typer.Option("--orgs", min=1, max=MAX_ORGANIZATIONS, help="how many organizations")
    ] = 3,
    backend: Annotated[BackendName, typer.Option(help="who plays peers and orderer")] = BackendName.EMBEDDED,
    transactions: Annotated[int, typer.Option(min=1, help="how many are measured")] = 3000,
    warm_up: Annotated[int, typer.Option(min=0, help="how many before, not counted")] = 200,
    concurrency: Annotated[int, typer.Option(min=1, help="how many are under way at a time")] = 120,
    batch_timeout: Annotated[str, typer.Option(help="of the orderer")] = "200ms",
    directory: Annotated[Path, typer.Option(help="where everything is written")] = Path(".bench"),
    json_file: Annotated[Path | None, typer.Option("--json", help="also write every figure to this file")] = None,
) -> None:
    """Endorse and commit transactions as fast as a network takes them, with the default policies."""
    screen = Screen()
    load = Load(organizations, backend, transactions, warm_up, concurrency, batch_timeout)
    work = measure_throughput(directory.resolve() / "throughput", load, screen.step)
    figures = run(work, screen, total_seconds=TOTAL_SECONDS)
    Console().print(build_table(figures))
    write_json(json_file, "throughput", figures.to_json())


def build_table(figures: ThroughputFigures) -> Table:
    """The figures for people."""
    load = figures.load
    table = Table(
        "",
        f"{load.organizations} organizations\n{load.backend}",
        title="Transactions through the gateways, endorsed by a majority and committed everywhere",
    )
    rows = [
        ("transactions a second", f"{figures.per_second:.0f}"),
        ("limited by", figures.limit),
        ("latency p50", f"{quantile(figures.latencies, 0.5):.3f} s"),
        ("latency p99", f"{quantile(figures.latencies, 0.99):.3f} s"),
        ("committed, invalid", f"{figures.committed}, {figures.conflicts}"),
        ("transactions in a block", f"{figures.committed / max(figures.blocks, 1):.0f}"),
        ("under way at a time", str(load.concurrency)),
    ]
    rows += [
        (f"processor time each: {share.name}", f"{share.processor_seconds / figures.committed * 1000:.2f} ms")
        for share in figures.shares
    ]
    rows += [
        ("memory of the network", f"{figures.network_bytes / _MEBIBYTE:.0f} MiB"),
        ("load average", f"{figures.load_average:.1f}"),
    ]
    for row in rows:
        table.add_row(*row)
    return table

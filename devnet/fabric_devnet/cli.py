"""The command `fabric-devnet`: run a network in the foreground, or describe the one in a directory."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from fabric_admin.errors import FabricError
from fabric_devnet.errors import DevnetError
from fabric_devnet.network import DESCRIPTION_FILE, Network
from fabric_devnet.spec import BackendName, ChannelSpec, NetworkSpec

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
_console = Console(soft_wrap=True)
_errors = Console(stderr=True, soft_wrap=True)

_YOUNG_OBJECTS: Final = 50_000
"""New objects that start a garbage collection: ledgers stay in memory, and searching them finds nothing to free."""

_Directory = Annotated[Path, typer.Option("--dir", help="Where the network keeps its files.")]


@app.command()
def up(
    *,
    directory: _Directory = Path(".devnet"),
    organizations: Annotated[int, typer.Option("--orgs", help="Peer organizations.")] = 3,
    peers: Annotated[int, typer.Option(help="Peers of each organization.")] = 1,
    orderers: Annotated[int, typer.Option(help="Orderers.")] = 1,
    channels: Annotated[list[str] | None, typer.Option("--channel", help="A channel of all; repeat for more.")] = None,
    backend: Annotated[BackendName, typer.Option(help="Who plays the nodes.")] = BackendName.EMBEDDED,
    batch_timeout: Annotated[str, typer.Option(help="How long an orderer waits for more transactions.")] = "200ms",
) -> None:
    """Run a network until Ctrl-C."""
    try:
        spec = NetworkSpec(
            directory=directory,
            organizations=organizations,
            peers=peers,
            orderers=orderers,
            channels=tuple(ChannelSpec(name) for name in channels or ("ops-channel", "mychannel")),
            backend=backend,
            batch_timeout=batch_timeout,
        )
        asyncio.run(_run(spec))
    except (DevnetError, FabricError) as exc:
        _errors.print(f"fabric-devnet: {exc}", style="red", markup=False, highlight=False)
        raise typer.Exit(1) from exc


@app.command()
def describe(*, directory: _Directory = Path(".devnet")) -> None:
    """Print MSPs, endpoints, certificate and key files and channels as JSON."""
    path = directory / DESCRIPTION_FILE
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        _errors.print(f"fabric-devnet: no network in {directory}: start one with fabric-devnet up", markup=False)
        raise typer.Exit(1) from None
    typer.echo(json.dumps(description, indent=2))


async def _run(spec: NetworkSpec) -> None:
    stopping = _cancel_on_signal()
    try:
        async with Network.start(spec) as network:
            gc.freeze()
            gc.set_threshold(_YOUNG_OBJECTS)
            _print_network(network)
            await asyncio.Event().wait()
    except asyncio.CancelledError:
        if not stopping.is_set():
            raise
        _console.print("stopped")


def _cancel_on_signal() -> asyncio.Event:
    """End the current task at the first SIGINT or SIGTERM; later ones must not disturb the stopping of nodes."""
    loop, task, stopping = asyncio.get_running_loop(), asyncio.current_task(), asyncio.Event()

    def stop() -> None:
        if task is not None and not stopping.is_set():
            stopping.set()
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    return stopping


def _print_network(network: Network) -> None:
    rows = [("node", "MSP", "address", "log")]
    rows += [(node.name, node.node.msp_id, node.address, str(node.node.log_file)) for node in network.orderers]
    rows += [(node.name, node.msp_id, node.address, str(node.node.log_file)) for node in network.peers]
    # No table of rich: on a narrow terminal it cuts paths, which are there to be copied.
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        _console.print(line.rstrip(), markup=False, highlight=False)
    names = ", ".join(channel.name for channel in network.spec.channels)
    _console.print(
        f"channels: {names}; directory: {network.spec.directory}; Ctrl-C stops", markup=False, highlight=False
    )

"""Command: run the benchmark."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import typer

from opssc_tools.bench.commands.backlog import backlog
from opssc_tools.bench.commands.channel import channel, create
from opssc_tools.bench.commands.deploy import deploy
from opssc_tools.bench.commands.newcomer import newcomer
from opssc_tools.bench.commands.scale import scale
from opssc_tools.bench.commands.throughput import throughput

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT: Final = "deploy"

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Benchmarks on this machine alone; without a command it is `deploy`. docs/performance.md has figures.",
)
app.command()(deploy)
app.command()(throughput)
app.command()(scale)
app.command()(backlog)
app.command()(newcomer)
app.command()(channel)
app.command()(create)


def with_command(arguments: Sequence[str]) -> list[str]:
    """Name the command that options alone mean."""
    if arguments and (not arguments[0].startswith("-") or arguments[0] == "--help"):
        return list(arguments)
    return [DEFAULT, *arguments]


if __name__ == "__main__":
    app(with_command(sys.argv[1:]))

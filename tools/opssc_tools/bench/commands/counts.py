"""Numbers of organizations as somebody types them."""

from __future__ import annotations

import typer

from opssc_tools.bench.running import MAX_ORGANIZATIONS


def parse_counts(text: str, *, smallest: int) -> list[int]:
    """Read a list such as `3,10`; raises typer.BadParameter for anything else."""
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError as exc:
        raise typer.BadParameter(f"--orgs is a list of numbers such as 3,10, not {text}") from exc
    if not all(smallest <= count <= MAX_ORGANIZATIONS for count in counts):
        raise typer.BadParameter(f"--orgs takes numbers from {smallest} to {MAX_ORGANIZATIONS}, not {text}")
    return counts

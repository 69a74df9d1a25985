"""Runs a short command of the machine to its end: no shell, a deadline, and its own words when it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opssc_tools.cluster.kubectl import run
from opssc_tools.errors import ClusterError

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 60.0


async def carry_out(*command: str | Path, seconds: float = SECONDS) -> str:
    """Run a command; return its standard output.

    Raises:
        ClusterError: when it fails, or has not ended in time.
    """
    words = tuple(str(word) for word in command)
    code, out, err = await run(words, timeout_seconds=seconds)
    if code != 0:
        raise ClusterError(f"{' '.join(words)} ended with code {code}: {err.strip()}")
    return out

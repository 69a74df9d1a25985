"""How long a network of many organizations takes to start, and how much memory it holds."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from opssc_tools.bench.devnet import Devnet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fabric_devnet.spec import BackendName


@dataclass(frozen=True, slots=True)
class ScaleFigures:
    """One network, from the start of its process to a channel that every peer has joined."""

    organizations: int
    backend: str
    seconds: float
    processor_seconds: float
    resident_bytes: int
    load_average: float

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)


async def measure_scale(
    directory: Path, organizations: int, backend: BackendName, announce: Callable[[str], None]
) -> ScaleFigures:
    """Start a network of this size, with one peer each, and look at it; raises ToolsError when it does not start."""
    async with Devnet.start(directory, organizations, backend, "200ms") as devnet:
        usage = devnet.usage
        announce(f"{organizations} organizations run after {devnet.start_seconds:.1f} s")
        return ScaleFigures(
            organizations=organizations,
            backend=str(backend),
            seconds=devnet.start_seconds,
            processor_seconds=usage.processor_seconds,
            resident_bytes=usage.resident_bytes,
            load_average=os.getloadavg()[0],
        )

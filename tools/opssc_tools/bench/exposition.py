"""Numbers that a program shows under `/metrics`, in Prometheus' text format."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import aiohttp

from opssc_tools.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SAMPLE: Final = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_SERVED: Final = re.compile(r"serving metrics and probes port=(\d+)")
_LIMIT: Final = aiohttp.ClientTimeout(total=10)


@dataclass(frozen=True, slots=True)
class Sample:
    """One number under a name with labels."""

    name: str
    labels: Mapping[str, str]
    value: float


def parse_samples(text: str, prefix: str) -> list[Sample]:
    """Read the samples whose names begin so."""
    return [
        Sample(found["name"], dict(_LABEL.findall(found["labels"] or "")), float(found["value"]))
        for line in text.splitlines()
        if line.startswith(prefix) and (found := _SAMPLE.fullmatch(line)) is not None
    ]


def served_port(log: Path) -> int | None:
    """Where an operator said last that it serves its metrics; None before it has."""
    found = _SERVED.findall(log.read_text(encoding="utf-8", errors="replace"))
    return int(found[-1]) if found else None


async def fetch_work(session: aiohttp.ClientSession, port: int) -> Work:
    """Ask an operator what it has done and has to do; raises ClusterError when it does not answer."""
    try:
        async with session.get(f"http://127.0.0.1:{port}/metrics", timeout=_LIMIT) as response:
            samples = parse_samples(await response.text(), "opssc_")
    except (aiohttp.ClientError, TimeoutError) as exc:
        raise ClusterError(f"the operator's metrics on port {port} cannot be read: {exc}") from exc
    proposals = [s.value for s in samples if s.name == "opssc_reconcile_total" and s.labels["kind"] == "proposal"]
    waiting = [s.value for s in samples if s.name == "opssc_queue_keys" and s.labels["state"] != "delayed"]
    return Work(int(sum(proposals)), int(sum(waiting)))


@dataclass(frozen=True, slots=True)
class Work:
    """Runs for proposals that an operator has ended, and keys that are ready or being worked on."""

    done: int
    waiting: int

"""Every command of the benchmark runs to its end, with as little as it can be asked for; no figure is judged."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

RUN_SECONDS = 240


async def bench(directory: Path, *arguments: str) -> dict[str, Any]:
    """Run a command without FABRIC_HOME and return what it wrote as JSON."""
    environment = {name: value for name, value in os.environ.items() if name != "FABRIC_HOME"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "opssc_tools.bench",
        *arguments,
        f"--directory={directory}",
        f"--json={directory / 'figures.json'}",
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), RUN_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output.decode()
    figures: dict[str, Any] = json.loads((directory / "figures.json").read_text(encoding="utf-8"))
    return figures


@pytest.mark.timeout(RUN_SECONDS)
async def test_throughput_counts_what_was_committed(tmp_path: Path) -> None:
    arguments = ("--orgs=2", "--transactions=20", "--warm-up=2", "--concurrency=10", "--batch-timeout=50ms")

    figures = await bench(tmp_path, "throughput", *arguments)

    found = figures["throughput"]
    assert (found["committed"], found["conflicts"]) == (20, 0)
    assert found["blocks"] >= 1
    assert set(found["processorSeconds"]) == {"network", "chaincode servers", "client"}
    assert found["networkBytes"] > 0


@pytest.mark.timeout(RUN_SECONDS)
async def test_scale_starts_a_network_of_each_size(tmp_path: Path) -> None:
    figures = await bench(tmp_path, "scale", "--orgs=1,2")

    assert [found["organizations"] for found in figures["scale"]] == [1, 2]
    assert all(found["resident_bytes"] > 0 and found["seconds"] > 0 for found in figures["scale"])


@pytest.mark.timeout(RUN_SECONDS)
async def test_deploy_follows_proposals_one_by_one_and_at_once(tmp_path: Path) -> None:
    arguments = ("--orgs=2", "--runs=1", "--at-once=2", "--idle-seconds=1", "--api-servers=1", "--batch-timeout=50ms")

    figures = await bench(tmp_path, *arguments)

    (found,) = figures["consortia"]
    assert len(found["proposals"]) == 1
    assert len(found["atOnceSeconds"]) == 2
    assert found["peerScriptSeconds"] == []
    assert found["acceptedToReadySeconds"] > 0
    assert len(found["operators"]) == 2


@pytest.mark.timeout(RUN_SECONDS)
@pytest.mark.parametrize(
    ("command", "phases"),
    [
        pytest.param("channel", ["kubectl", "propose", "votes", "signatures", "submission", "everywhere"], id="change"),
        pytest.param("create", ["kubectl", "propose", "votes", "first", "everywhere"], id="new channel"),
    ],
)
async def test_channels_are_changed_and_created_phase_by_phase(tmp_path: Path, command: str, phases: list[str]) -> None:
    arguments = ("--orgs=2", "--runs=1", "--api-servers=1", "--batch-timeout=50ms")

    figures = await bench(tmp_path, command, *arguments)

    (found,) = figures[command]
    assert list(found["phases"]) == phases
    assert len(found["proposals"]) == 1
    assert found["totalSeconds"] > 0


@pytest.mark.timeout(RUN_SECONDS)
async def test_backlog_fills_the_ledger_and_looks_at_it_again(tmp_path: Path) -> None:
    arguments = ("--orgs=2", "--proposals=3", "--idle-seconds=1", "--api-servers=1", "--resync-seconds=10")

    figures = await bench(tmp_path, "backlog", *arguments)

    found = figures["backlog"]
    assert found["proposals"] == 3
    assert min(found[f"{phase}_seconds"] for phase in ("propose", "mirror", "restart", "resync")) > 0
    assert found["resident_bytes"] > 0


@pytest.mark.timeout(RUN_SECONDS)
async def test_newcomer_joins_and_deploys(tmp_path: Path) -> None:
    figures = await bench(tmp_path, "newcomer", "--orgs=2", "--batch-timeout=50ms")

    (found,) = figures["newcomers"]
    assert (found["organizations"], found["backend"]) == (2, "embedded")
    assert all(seconds > 0 for seconds in found["phases"].values())
    assert found["totalSeconds"] == pytest.approx(sum(found["phases"].values()))

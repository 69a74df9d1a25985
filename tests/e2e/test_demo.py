"""The demo as a stranger runs it: a process of its own, its exit code, and nothing left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DEMO_SECONDS = 200.0
COMMAND = (sys.executable, "-m", "opssc_tools.demo")


def processes_of(directory: Path) -> Iterator[str]:
    """Command lines of running processes that name the directory."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\x00", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(directory) in command:
            yield command


async def test_the_demo_ends_with_0_because_everything_it_claims_is_true(tmp_path: Path) -> None:
    # When
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "--json", "--directory", str(tmp_path), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(DEMO_SECONDS):
        output, story = await process.communicate()

    # Then
    assert process.returncode == 0, story.decode()
    result = json.loads(output)
    assert result["verdict"] is True
    assert {finding["holds"] for finding in result["findings"]} == {True}
    assert set(result["reached"]) == {"org1", "org2", "org3"}
    assert b"TRUE: one manifest became a committed, usable chaincode in 3 organizations" in story
    assert not list(processes_of(tmp_path))


async def test_ctrl_c_stops_everything_the_demo_started(tmp_path: Path) -> None:
    # Given: a demo whose operators run
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "--orgs", "2", "--api-servers", "1", "--directory", str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(DEMO_SECONDS):
        async for line in process.stdout:
            if b"operators run" in line:
                break
    assert list(processes_of(tmp_path))

    # When
    process.send_signal(signal.SIGINT)

    # Then
    async with asyncio.timeout(30.0):
        rest, _ = await process.communicate()
    assert process.returncode == 130
    assert b"interrupted; everything is stopped" in rest
    assert not list(processes_of(tmp_path))

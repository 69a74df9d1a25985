"""The demo as a stranger runs it: a process of its own, its exit code, and nothing left behind."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from opssc_tools.environment.spec import PROJECT_ROOT

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


def readme_commands(heading: str) -> str:
    """What the README shows in shells below a heading, as one script."""
    text = (PROJECT_ROOT / "README.md").read_text(encoding="utf-8")
    part = text.partition(f"### {heading}\n")[2].partition("\n## ")[0]
    return "".join(re.findall(r"^```sh\n(.*?)^```$", part, re.MULTILINE | re.DOTALL))


async def run_pasted(script: str, home: Path) -> tuple[int | None, str]:
    """Run commands one after the other, without any kubectl but what they bring along; the first failure ends them."""
    process = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-e",
        "-c",
        script,
        cwd=PROJECT_ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(DEMO_SECONDS):
        output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_the_demo_ends_with_0_because_everything_it_claims_is_true(tmp_path: Path) -> None:
    # Given
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        "--json",
        "--keep",
        "--directory",
        str(tmp_path),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    story = b""
    async with asyncio.timeout(DEMO_SECONDS):
        async for line in process.stderr:
            story += line
            if b"org3.env" in line:
                break

    # When: somebody looks around as the README says, and ends it
    code, said = await run_pasted(readme_commands("Look around").replace(".demo/", f"{tmp_path}/"), tmp_path)
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(DEMO_SECONDS):
        output, rest = await process.communicate()

    # Then
    assert code == 0, said
    assert "chaincodeproposal.opssc.dev/asset-2.org1msp condition met" in said.splitlines()[-1]
    assert process.returncode == 0, (story + rest).decode()
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

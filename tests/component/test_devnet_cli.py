"""The command `fabric-devnet`, as somebody types it."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fabric_admin.identity import SigningIdentity
from fabric_admin.system import System
from fabric_admin.transport import Connection, Endpoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

UP_SECONDS = 60.0
UNSET = {"PATH": "/usr/bin"}


@asynccontextmanager
async def command(*arguments: str, columns: int = 80) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "fabric_devnet",
        *arguments,
        env={**UNSET, "COLUMNS": str(columns)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_network_runs_until_it_is_interrupted_and_describes_itself(tmp_path: Path) -> None:
    directory = str(tmp_path / "net")
    async with command("up", "--orgs", "2", "--channel", "ops-channel", "--dir", directory) as network:
        await said(network, "Ctrl-C stops")
        async with command("describe", "--dir", directory) as describing:
            output, _ = await describing.communicate()
        described = json.loads(output)
        channels = await ask(described["organizations"][1])

        network.send_signal(signal.SIGINT)
        rest, _ = await asyncio.wait_for(network.communicate(), UP_SECONDS)

    assert channels == ("ops-channel",)
    assert [each["msp_id"] for each in described["organizations"]] == ["Org1MSP", "Org2MSP"]
    assert described["channels"][0]["members"] == ["Org1MSP", "Org2MSP"]
    assert network.returncode == 0
    assert rest.decode().strip().endswith("stopped")


async def test_paths_are_whole_on_a_narrow_terminal(tmp_path: Path) -> None:
    directory = tmp_path / "net"
    async with command("up", "--orgs", "1", "--channel", "c", "--dir", str(directory), columns=40) as network:
        printed = await said(network, "Ctrl-C stops")
        described = json.loads((directory / "network.json").read_text(encoding="utf-8"))

    logs = [described["orderers"][0]["log"], described["organizations"][0]["peers"][0]["log"]]
    ends = [line.split()[-1] for line in printed if line.strip()]
    assert [log for log in logs if log not in ends] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(("up", "--orgs", "0"), "organizations must be between 1 and 100, not 0", id="no-organization"),
        pytest.param(("up", "--backend", "fabric"), "FABRIC_HOME is not set", id="no-release"),
        pytest.param(("describe",), "no network in", id="nothing-to-describe"),
    ],
)
async def test_what_cannot_be_done_is_said_in_one_line(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    async with command(*arguments, "--dir", str(tmp_path / "net")) as process:
        output, errors = await asyncio.wait_for(process.communicate(), UP_SECONDS)

    lines = errors.decode().strip().splitlines()
    assert (process.returncode, output) == (1, b"")
    assert len(lines) == 1
    assert lines[0].startswith(f"fabric-devnet: {message}")


async def said(process: asyncio.subprocess.Process, words: str) -> list[str]:
    """Read the command's lines up to the one with these words, and return them."""
    assert process.stdout is not None
    lines: list[str] = []
    async with asyncio.timeout(UP_SECONDS):
        async for line in process.stdout:
            lines.append(line.decode())
            if words in lines[-1]:
                return lines
    pytest.fail(f"the command ended without saying {words!r}")


async def ask(organization: dict[str, object]) -> tuple[str, ...]:
    """Use what the description says, as an administrator of that organization."""
    peers, admin_msp, tls_ca = organization["peers"], organization["admin_msp"], organization["tls_ca"]
    assert isinstance(peers, list)
    identity = SigningIdentity.from_directory(str(organization["msp_id"]), Path(str(admin_msp)))
    endpoint = Endpoint(peers[0]["address"], Path(str(tls_ca)).read_bytes())
    async with Connection(endpoint) as connection:
        return await System(connection, identity).channels()

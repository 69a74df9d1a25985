"""The contract's server as a process: how it starts, what it says, how it ends."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio
import pytest
from unit.chaincode.identities import server_tls
from unit.chaincode.peer import DEADLINE_SECONDS, connected

from opssc_chaincode.model import Info
from opssc_chaincode.shim.server import Server
from opssc_tools.asset.chaincode import AssetChaincode

PACKAGE_ID = "opssc-1:" + "0" * 64


@pytest.fixture
async def address() -> str:
    """A free address; the server that found it is gone."""
    async with Server(AssetChaincode(), address="127.0.0.1:0", package_id="probe:0") as probe:
        return f"127.0.0.1:{probe.port}"


@asynccontextmanager
async def running(args: Sequence[str], environment: Mapping[str, str]) -> AsyncIterator[Process]:
    """A server process, killed at the latest on leaving."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *args, env={"PATH": os.defpath, **environment}, stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def first_line(process: Process) -> str:
    assert process.stderr is not None
    return (await asyncio.wait_for(process.stderr.readline(), DEADLINE_SECONDS)).decode()


async def ended(process: Process) -> tuple[int, str]:
    _, errors = await asyncio.wait_for(process.communicate(), DEADLINE_SECONDS)
    assert process.returncode is not None
    return process.returncode, errors.decode()


@pytest.mark.parametrize("module", ["opssc_chaincode", "opssc_tools.asset"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
async def test_a_signal_ends_the_server_cleanly_while_peers_are_connected(
    address: str, module: str, number: signal.Signals
) -> None:
    options = {"CHAINCODE_SERVER_ADDRESS": address, "CHAINCODE_ID": PACKAGE_ID}
    async with running([module], options) as process:
        assert "started" in await first_line(process)
        async with grpc.aio.insecure_channel(address) as channel, connected(channel, PACKAGE_ID):
            process.send_signal(number)
            code, errors = await ended(process)

    assert code == 0
    assert "stopped" in errors
    assert "Traceback" not in errors


async def test_options_win_over_the_environment(address: str) -> None:
    args = ["opssc_chaincode", "--address", address, "--package-id", PACKAGE_ID]
    other = {"CHAINCODE_SERVER_ADDRESS": "127.0.0.1:1", "CHAINCODE_ID": "other:1"}
    async with running(args, other) as process:
        await first_line(process)
        async with grpc.aio.insecure_channel(address) as channel, connected(channel, PACKAGE_ID) as peer:
            answer = await peer.invoke("a" * 64, "GetInfo")

    assert Info.from_state(answer.payload).schema_version == 1


@pytest.mark.parametrize("by_environment", [False, True], ids=["options", "environment"])
async def test_tls_is_asked_for_by_files(tmp_path: Path, address: str, *, by_environment: bool) -> None:
    tls = server_tls()
    (tmp_path / "cert.pem").write_bytes(tls.certificate)
    (tmp_path / "key.pem").write_bytes(tls.private_key)
    certificate, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    options = [] if by_environment else ["--tls-cert", certificate, "--tls-key", key]
    variables = {"CHAINCODE_TLS_CERT": certificate, "CHAINCODE_TLS_KEY": key} if by_environment else {}
    args = ["opssc_chaincode", "--address", address, "--package-id", PACKAGE_ID, *options]
    async with running(args, variables) as process:
        await first_line(process)
        target = address.replace("127.0.0.1", "localhost")
        credentials = grpc.ssl_channel_credentials(tls.certificate)
        async with grpc.aio.secure_channel(target, credentials) as channel, connected(channel, PACKAGE_ID) as peer:
            assert (await peer.invoke("a" * 64, "GetInfo")).status == 200


@pytest.mark.parametrize(
    ("args", "said"),
    [
        pytest.param([], "--package-id are needed", id="nothing given"),
        pytest.param(["--address", "127.0.0.1:0"], "CHAINCODE_ID", id="no package ID"),
        pytest.param(["--address", "nowhere.invalid:1", "--package-id", "a:1"], "cannot listen", id="bad address"),
        pytest.param(
            ["--address", "127.0.0.1:0", "--package-id", "a:1", "--tls-cert", "c.pem"], "together", id="half of TLS"
        ),
        pytest.param(
            ["--address", "127.0.0.1:0", "--package-id", "a:1", "--tls-cert", "no.pem", "--tls-key", "no.pem"],
            "cannot read no.pem",
            id="no such file",
        ),
    ],
)
async def test_what_is_wrong_is_said_in_a_line(args: list[str], said: str) -> None:
    async with running(["opssc_chaincode", *args], {}) as process:
        code, errors = await ended(process)

    assert code == 2
    assert said in errors
    assert "Traceback" not in errors


async def test_an_address_in_use_is_said(address: str) -> None:
    args = ["opssc_chaincode", "--address", address, "--package-id", PACKAGE_ID]
    async with Server(AssetChaincode(), address=address, package_id=PACKAGE_ID), running(args, {}) as process:
        code, errors = await ended(process)

    assert code == 2
    assert f"cannot listen on {address}" in errors


async def test_help_names_the_environment() -> None:
    async with running(["opssc_chaincode", "--help"], {}) as process:
        output, _ = await asyncio.wait_for(process.communicate(), DEADLINE_SECONDS)

    assert process.returncode == 0
    assert b"CHAINCODE_SERVER_ADDRESS" in output

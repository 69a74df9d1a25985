"""Node processes say why they failed, stop when told, and never outlive the one that started them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fabric_devnet.errors import BackendUnavailable, NodeFailed
from fabric_devnet.official.home import FabricHome
from fabric_devnet.official.process import NodeCommand, NodeProcess

if TYPE_CHECKING:
    from collections.abc import Callable

LISTEN = "import socket,sys,time; s=socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(60)"
STARTER = """
import asyncio, sys
from pathlib import Path
from fabric_devnet.official.process import NodeCommand, NodeProcess
async def main():
    log = Path(sys.argv[1])
    command = NodeCommand("node", Path(sys.executable), ("-c", "import os,time; print(os.getpid(), flush=True); time.sleep(60)"), {}, log, ())
    await NodeProcess.start(command, ready_seconds=5)
    await asyncio.sleep(60)
asyncio.run(main())
"""  # noqa: E501 - a program in one string


def command(log: Path, code: str, port: int) -> NodeCommand:
    return NodeCommand("node", Path(sys.executable), ("-c", code, str(port)), {}, log, (f"127.0.0.1:{port}",))


async def test_a_node_is_ready_when_it_listens_and_gone_when_stopped(tmp_path: Path, unused_tcp_port: int) -> None:
    node = await NodeProcess.start(command(tmp_path / "log", LISTEN, unused_tcp_port), ready_seconds=20)
    running = node.running

    await node.stop()

    assert running
    assert not node.running
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", unused_tcp_port)


async def test_a_node_that_ends_at_once_is_reported_with_the_end_of_its_log(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    code = "import sys; sys.exit('no such MSP directory')"

    with pytest.raises(NodeFailed) as failure:
        await NodeProcess.start(command(tmp_path / "log", code, unused_tcp_port), ready_seconds=20)

    assert str(failure.value).startswith("node ended with 1; the log")
    assert str(failure.value).endswith("no such MSP directory")


async def test_a_node_that_never_listens_is_stopped_and_reported(tmp_path: Path, unused_tcp_port: int) -> None:
    code = "import time; time.sleep(60)"

    with pytest.raises(NodeFailed) as failure:
        await NodeProcess.start(command(tmp_path / "log", code, unused_tcp_port), ready_seconds=0.5)

    assert str(failure.value).startswith("node did not listen within 0.5 s")


async def test_a_node_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    starter = await asyncio.create_subprocess_exec(sys.executable, "-c", STARTER, str(log))
    pid = await poll(lambda: int(log.read_text(encoding="utf-8")) if log.exists() and log.stat().st_size else None)

    starter.send_signal(signal.SIGKILL)
    await starter.wait()

    await poll(lambda: None if alive(pid) else pid)


async def poll(read: Callable[[], int | None], *, timeout_seconds: float = 20.0) -> int:
    deadline = time.monotonic() + timeout_seconds
    while (value := read()) is None:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    return value


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/status")
    return "State:\tZ" not in status.read_text(encoding="utf-8") if status.exists() else True


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        pytest.param({}, "FABRIC_HOME is not set", id="unset"),
        pytest.param({"FABRIC_HOME": "/nonexistent"}, "bin/peer is not an executable file", id="empty"),
    ],
)
def test_a_missing_release_is_said_plainly(environment: dict[str, str], said: str) -> None:
    with pytest.raises(BackendUnavailable) as refusal:
        FabricHome.find(environment)

    assert said in str(refusal.value)

"""A cluster's processes are gone after its block, and after any death of the process that started them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from opssc_tools.cluster import LocalCluster, leftovers
from opssc_tools.cluster.ports import ReservedPort
from opssc_tools.cluster.process import ServerProcess
from opssc_tools.errors import ClusterError

HOLDER = """
import asyncio, sys
from pathlib import Path
from opssc_tools.cluster import LocalCluster

async def hold():
    async with LocalCluster.start("held", Path(sys.argv[1])) as cluster:
        print(*(process.pid for process in cluster.processes), flush=True)
        await asyncio.Event().wait()

asyncio.run(hold())
"""
SLEEP = Path("/usr/bin/sleep")


def is_running(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


async def until_gone(pids: list[int], *, within_seconds: float) -> None:
    deadline = time.monotonic() + within_seconds
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < deadline, f"still running: {[pid for pid in pids if is_running(pid)]}"
        await asyncio.sleep(0.05)


async def test_nothing_runs_after_the_block(tmp_path: Path) -> None:
    async with LocalCluster.start("short", tmp_path) as cluster:
        pids = [process.pid for process in cluster.processes]
        assert len(pids) == 3
        assert all(is_running(pid) for pid in pids)

    assert not any(is_running(pid) for pid in pids)


async def test_an_error_inside_the_block_ends_the_cluster_too(tmp_path: Path) -> None:
    pids: list[int] = []

    with pytest.raises(ZeroDivisionError):
        async with LocalCluster.start("failing", tmp_path) as cluster:
            pids = [process.pid for process in cluster.processes]
            raise ZeroDivisionError

    assert pids
    assert not any(is_running(pid) for pid in pids)


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda sent: sent.name)
async def test_nothing_outlives_the_process_that_started_it(tmp_path: Path, sent: signal.Signals) -> None:
    holder = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        HOLDER,
        str(tmp_path),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert holder.stdout is not None
    try:
        async with asyncio.timeout(60):
            pids = [int(word) for word in (await holder.stdout.readline()).split()]
        assert len(pids) == 3
        assert all(is_running(pid) for pid in pids)

        holder.send_signal(sent)
        async with asyncio.timeout(20):
            await holder.wait()

        await until_gone(pids, within_seconds=5)
    finally:
        if holder.returncode is None:
            holder.kill()
            await holder.wait()


def test_a_process_that_ended_by_itself_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    process = ServerProcess([SLEEP, "not-a-duration"], tmp_path)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    with pytest.raises(ClusterError, match="sleep ended by itself with code 1") as ended:
        process.check()

    assert "invalid time interval" in str(ended.value)


def test_what_an_earlier_run_left_in_the_directory_is_ended(tmp_path: Path) -> None:
    with subprocess.Popen([SLEEP, "300"]) as left:
        leftovers.record(tmp_path, [left.pid])

        leftovers.clear(tmp_path)

        assert left.wait(timeout=5) == -signal.SIGKILL


def test_a_process_number_used_again_by_somebody_else_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen([SLEEP, "300"]) as other:
        (tmp_path / leftovers.RECORD).write_text(f'{{"{other.pid}": "1"}}', encoding="utf-8")

        leftovers.clear(tmp_path)

        assert other.poll() is None
        other.kill()


def test_a_reserved_port_is_given_to_nobody_else_until_it_is_released() -> None:
    port = ReservedPort()
    with socket.socket() as stranger, pytest.raises(OSError, match="Address already in use"):
        stranger.bind(("127.0.0.1", port.number))

    port.release()

    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", port.number))

"""What a node leaves behind: nothing, however the program that started it ends."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from opssc_tools.errors import ClusterError
from opssc_tools.node import cable, cgroups
from opssc_tools.node.real import RealNode

if TYPE_CHECKING:
    from collections.abc import Iterator

HOLDER = """
import asyncio, os, sys
from pathlib import Path
from opssc_tools.node.real import RealNode

async def hold():
    async with RealNode.start_node("held", Path(sys.argv[1])) as node:
        print(node.namespaces.first, flush=True)
        await asyncio.Event().wait()

asyncio.run(hold())
"""
START_SECONDS = 90.0
GONE_SECONDS = 30.0


def namespace(process: int) -> str:
    """What tells a process namespace from another."""
    return str(Path(f"/proc/{process}/ns/pid").readlink())


def inhabitants(wanted: str) -> Iterator[int]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                if namespace(int(folder.name)) == wanted:
                    yield int(folder.name)
            except (FileNotFoundError, PermissionError, ProcessLookupError):
                continue


def cable_lies() -> bool:
    return Path("/sys/class/net", cable.HOST_END).exists()


def groups_of(process: int) -> list[Path]:
    return [
        group for hierarchy in cgroups.hierarchies() if (group := hierarchy / f"{cgroups.PREFIX}{process}").is_dir()
    ]


async def until_gone(wanted: str) -> None:
    deadline = time.monotonic() + GONE_SECONDS
    while cable_lies() or any(inhabitants(wanted)):
        assert time.monotonic() < deadline, f"still there: {list(inhabitants(wanted))}, cable {cable_lies()}"
        await asyncio.sleep(0.1)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A program of its own that holds a Ready node."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "held")], stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()
    deadline = time.monotonic() + GONE_SECONDS
    while cable_lies() and time.monotonic() < deadline:
        time.sleep(0.1)


async def first_process(holder: subprocess.Popen[str]) -> int:
    assert holder.stdout is not None
    async with asyncio.timeout(START_SECONDS):
        return int(await asyncio.to_thread(holder.stdout.readline))


async def test_nothing_of_a_node_outlives_the_program_that_was_killed_and_the_next_one_tidies_up(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    first = await first_process(holder)
    lived_in = namespace(first)
    assert cable_lies()
    assert len(list(inhabitants(lived_in))) > 4

    holder.kill()

    await until_gone(lived_in)
    assert groups_of(holder.pid), "an empty control group is all that a killed program cannot remove"
    async with RealNode.start_node("next", tmp_path / "next"):
        assert not groups_of(holder.pid)


async def test_ctrl_c_ends_a_node_in_order(holder: subprocess.Popen[str]) -> None:
    lived_in = namespace(await first_process(holder))

    holder.send_signal(signal.SIGINT)
    await asyncio.to_thread(holder.wait, GONE_SECONDS)

    assert not cable_lies()
    assert not any(inhabitants(lived_in))
    assert not groups_of(holder.pid)


async def test_a_second_node_is_refused_while_one_runs(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    lived_in = namespace(await first_process(holder))

    with pytest.raises(ClusterError, match=r"10\.199\.0\.0/16 is needed for a node, but opssc-node uses"):
        async with RealNode.start_node("second", tmp_path / "second"):
            pytest.fail("two nodes run with the same addresses")

    assert cable_lies()
    assert any(inhabitants(lived_in))

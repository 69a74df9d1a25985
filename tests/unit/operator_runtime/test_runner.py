"""The reconcile runner: what becomes of a key after each kind of ending."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from opssc_operator.errors import TerminalError, TransientError
from opssc_operator.observability.metrics import METRICS
from opssc_operator.reconcile.keys import Key, KeyKind, organization_key, proposal_key
from opssc_operator.reconcile.queue import WorkQueue
from opssc_operator.reconcile.runner import Result, Runner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

KEY = proposal_key("org1", "Org1MSP/basic")
OTHER = proposal_key("org1", "Org2MSP/basic")


class Script:
    """A reconciler that does what it is told per key and run, and remembers what happened."""

    def __init__(self, behaviour: Callable[[Key, int], Result]) -> None:
        self.behaviour = behaviour
        self.runs: list[Key] = []
        self.active: set[Key] = set()
        self.overlaps = 0

    async def reconcile(self, key: Key) -> Result:
        self.overlaps += key in self.active
        self.active.add(key)
        self.runs.append(key)
        try:
            await asyncio.sleep(0)
            return self.behaviour(key, self.runs.count(key))
        finally:
            self.active.discard(key)


@asynccontextmanager
async def running(script: Script, *, workers: int = 4) -> AsyncIterator[WorkQueue]:
    queue = WorkQueue(jitter=lambda: 0.9)
    runner = Runner(queue, dict.fromkeys(KeyKind, script), workers=workers)
    task = asyncio.create_task(runner.run())
    try:
        yield queue
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the condition is other code's state, which signals nothing
            await asyncio.sleep(0.001)


async def test_a_transient_failure_is_tried_again_after_the_delay_it_asks_for() -> None:
    def fail_once(_key: Key, run: int) -> Result:
        if run == 1:
            raise TransientError("the peer is away", retry_after=0.01)
        return Result()

    script = Script(fail_once)
    async with running(script) as queue:
        queue.add(KEY)
        await until(lambda: len(script.runs) == 2 and not queue.running)

        assert queue.delayed == 0


async def test_a_terminal_failure_is_not_tried_again_until_something_changes() -> None:
    def fail(_key: Key, _run: int) -> Result:
        raise TerminalError("ContentConflict", "another proposal has this name")

    script = Script(fail)
    async with running(script) as queue:
        queue.add(KEY)
        await until(lambda: script.runs == [KEY] and not queue.running)
        assert queue.delayed == 0

        queue.add(KEY)
        await until(lambda: script.runs == [KEY, KEY])


async def test_an_unexpected_failure_is_logged_with_its_traceback_and_hurts_no_other_key(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail_one(key: Key, _run: int) -> Result:
        if key == KEY:
            raise ZeroDivisionError("broken reconciler")
        return Result()

    script = Script(fail_one)
    with caplog.at_level(logging.ERROR):
        async with running(script, workers=1) as queue:
            queue.add(KEY)
            queue.add(OTHER)
            await until(lambda: OTHER in script.runs and queue.delayed == 1)

    [record] = caplog.records
    assert record.exc_info is not None
    assert record.__dict__["object"] == "Org1MSP/basic"


async def test_a_result_may_ask_for_the_next_run() -> None:
    script = Script(lambda _key, run: Result(0.01 if run < 3 else None))
    async with running(script) as queue:
        queue.add(KEY)
        await until(lambda: len(script.runs) == 3 and not queue.running)

        assert (queue.ready, queue.delayed) == (0, 0)


async def test_runs_of_one_key_never_overlap_however_often_it_is_added() -> None:
    script = Script(lambda _key, _run: Result())
    async with running(script, workers=16) as queue:
        for _ in range(300):
            queue.add(KEY)
            queue.add(OTHER)
            await asyncio.sleep(0)
        await until(lambda: not queue.ready and not queue.running)

    assert script.overlaps == 0
    assert set(script.runs) == {KEY, OTHER}


async def test_a_slow_key_holds_up_only_its_own_worker() -> None:
    blocked = asyncio.Event()

    class Slow:
        async def reconcile(self, key: Key) -> Result:
            if key == KEY:
                await blocked.wait()
            return Result()

    queue = WorkQueue()
    task = asyncio.create_task(Runner(queue, dict.fromkeys(KeyKind, Slow()), workers=2).run())
    for key in (KEY, OTHER, organization_key("org1", "org1")):
        queue.add(key)
    await until(lambda: queue.ready == 0 and queue.running == 1)

    blocked.set()
    await until(lambda: queue.running == 0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_stopping_cancels_the_reconciles_in_progress_at_once() -> None:
    cancelled = asyncio.Event()
    begun = asyncio.Event()

    class Endless:
        async def reconcile(self, _key: Key) -> Result:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            return Result()

    queue = WorkQueue()
    task = asyncio.create_task(Runner(queue, dict.fromkeys(KeyKind, Endless())).run())
    queue.add(KEY)
    await asyncio.wait_for(begun.wait(), 1)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 1)

    assert cancelled.is_set()


async def test_every_ending_is_counted() -> None:
    def count(result: str) -> float:
        return METRICS.registry.get_sample_value("opssc_reconcile_total", {"kind": "proposal", "result": result}) or 0.0

    before = count("done")
    script = Script(lambda _key, _run: Result())
    async with running(script) as queue:
        queue.add(KEY)
        await until(lambda: count("done") == before + 1)

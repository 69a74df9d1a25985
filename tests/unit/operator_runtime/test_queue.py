"""The work queue on a real event loop."""

from __future__ import annotations

import asyncio

import pytest

from opssc_operator.reconcile.keys import Key, proposal_key
from opssc_operator.reconcile.queue import WorkQueue

KEY = proposal_key("org1", "Org1MSP/basic")
OTHER = proposal_key("org1", "Org2MSP/basic")


async def test_a_key_added_many_times_runs_once() -> None:
    queue = WorkQueue()
    for _ in range(5):
        queue.add(KEY)

    assert await queue.get() == KEY
    assert queue.ready == 0


async def test_a_key_added_while_it_runs_runs_once_more_after_it_is_done() -> None:
    queue = WorkQueue()
    queue.add(KEY)
    await queue.get()
    queue.add(KEY)
    assert queue.ready == 0

    queue.done(KEY)

    assert await queue.get() == KEY


async def test_a_waiting_worker_is_woken_by_an_add() -> None:
    queue = WorkQueue()
    worker = asyncio.create_task(queue.get())
    await asyncio.sleep(0)

    queue.add(KEY)

    assert await asyncio.wait_for(worker, 1) == KEY


async def test_a_worker_that_gives_up_waiting_takes_no_key_with_it() -> None:
    queue = WorkQueue()
    impatient = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add(KEY)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient

    assert await asyncio.wait_for(queue.get(), 1) == KEY


async def test_delayed_keys_come_in_the_order_of_their_time() -> None:
    queue = WorkQueue()
    queue.add_after(KEY, 0.05)
    queue.add_after(OTHER, 0.01)

    first, second = [await asyncio.wait_for(queue.get(), 1) for _ in range(2)]

    assert (first, second) == (OTHER, KEY)


async def test_an_earlier_wish_stands_against_a_later_one() -> None:
    queue = WorkQueue()
    queue.add_after(KEY, 0.01)
    queue.add_after(KEY, 3600)

    assert await asyncio.wait_for(queue.get(), 1) == KEY
    assert queue.delayed == 0


async def test_an_earlier_wish_that_comes_later_moves_the_timer() -> None:
    queue = WorkQueue()
    queue.add_after(KEY, 3600)
    queue.add_after(OTHER, 0.01)

    assert await asyncio.wait_for(queue.get(), 1) == OTHER
    assert queue.delayed == 1


@pytest.mark.parametrize(
    ("jitter", "expected"),
    [pytest.param(0.0, [0.25, 0.5, 1.0], id="no jitter"), pytest.param(0.5, [0.1875, 0.375, 0.75], id="a quarter off")],
)
async def test_failures_in_a_row_wait_longer_each_time(jitter: float, expected: list[float]) -> None:
    queue = WorkQueue(jitter=lambda: jitter)

    assert [queue.retry(KEY) for _ in range(3)] == expected
    assert queue.delayed == 1


async def test_a_success_starts_the_backoff_anew() -> None:
    queue = WorkQueue(jitter=lambda: 0.0)
    queue.retry(KEY)
    queue.retry(KEY)

    queue.forget(KEY)

    assert queue.retry(KEY) == 0.25


async def test_many_workers_share_many_keys_without_losing_or_doubling_one() -> None:
    queue = WorkQueue()
    keys = {proposal_key("org1", f"Org1MSP/p{number}") for number in range(200)}
    seen: list[Key] = []

    async def work() -> None:
        while True:
            key = await queue.get()
            await asyncio.sleep(0)
            seen.append(key)
            queue.done(key)

    workers = [asyncio.create_task(work()) for _ in range(16)]
    for key in keys:
        queue.add(key)
    async with asyncio.timeout(5):
        while queue.ready or queue.running:  # noqa: ASYNC110 - a drained queue signals nothing
            await asyncio.sleep(0)
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)

    assert sorted(seen) == sorted(keys)

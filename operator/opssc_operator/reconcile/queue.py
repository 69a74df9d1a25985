"""The work queue: one place where every wish to reconcile arrives, and from where workers take keys.

Owns waiting and the one timer; which key runs next is decided by `schedule`. All calls belong to one event loop.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from opssc_operator.errors import Bug
from opssc_operator.reconcile.schedule import Schedule, backoff_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from opssc_operator.reconcile.keys import Key


class WorkQueue:
    """Deduplicating keyed queue with delays and per-key backoff; no two runs of one key overlap.

    Build it inside a running event loop. `clock` must be the clock of that loop; `jitter` gives numbers in [0, 1).
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] | None = None,
        # Spreads retries; nothing secret depends on it.
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._clock = clock or self._loop.time
        self._jitter = jitter
        self._schedule = Schedule()
        # One permit per ready key; asyncio gives a permit back when its waiter is cancelled.
        self._permits = asyncio.Semaphore(0)
        self._permitted = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def ready(self) -> int:
        """How many keys wait for a worker."""
        return self._schedule.ready

    @property
    def running(self) -> int:
        """How many keys are being reconciled."""
        return self._schedule.running

    @property
    def delayed(self) -> int:
        """How many keys wait for their time."""
        return self._schedule.delayed

    def add(self, key: Key) -> None:
        """Asks for a run of `key` as soon as a worker is free; once more if it is running now."""
        self._schedule.add(key)
        self._release()

    def add_after(self, key: Key, seconds: float) -> None:
        """Asks for a run of `key` no later than `seconds` from now; an earlier wish stands."""
        self._schedule.add_at(key, self._clock() + max(seconds, 0.0))
        self._arm()

    async def get(self) -> Key:
        """Waits for the next key; the caller owes `done` for it."""
        await self._permits.acquire()
        self._permitted -= 1
        key = self._schedule.take()
        if key is None:
            raise Bug("the work queue gave a permit without a ready key")
        return key

    def done(self, key: Key) -> None:
        """Ends the run of `key`; it becomes ready again if it was added meanwhile."""
        self._schedule.done(key)
        self._release()

    def absorb(self, key: Key) -> None:
        """Takes back what asked for another run of `key`, which is running: it looks at everything anew from here."""
        self._schedule.absorb(key)

    def retry(self, key: Key, retry_after: float | None = None) -> float:
        """Counts a failure of `key`, asks for the next try, and says in how many seconds."""
        seconds = backoff_seconds(self._schedule.failed(key), retry_after, self._jitter())
        self.add_after(key, seconds)
        return seconds

    def forget(self, key: Key) -> None:
        """Starts the backoff of `key` anew after a success."""
        self._schedule.succeeded(key)

    def _release(self) -> None:
        while self._permitted < self._schedule.ready:
            self._permitted += 1
            self._permits.release()

    def _arm(self) -> None:
        due = self._schedule.next_due()
        if self._timer is not None:
            if due is not None and self._timer.when() <= self._deadline(due):
                return
            self._timer.cancel()
            self._timer = None
        if due is not None:
            self._timer = self._loop.call_at(self._deadline(due), self._ring)

    def _deadline(self, due: float) -> float:
        return self._loop.time() + max(due - self._clock(), 0.0)

    def _ring(self) -> None:
        self._timer = None
        self._schedule.promote(self._clock())
        self._release()
        self._arm()

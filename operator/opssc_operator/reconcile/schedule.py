"""Which key runs next: the pure core of the work queue. Time and randomness are arguments; nothing here waits.

A key is at any moment at most once ready and at most once running. A key added while it runs becomes ready again when
the run is done. A delayed key runs no later than its earliest due time; a run before that does not cancel it.
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import TYPE_CHECKING

from opssc_operator.errors import Bug
from opssc_operator.reconcile.keys import KeyKind

if TYPE_CHECKING:
    from opssc_operator.reconcile.keys import Key

FIRST_BACKOFF_SECONDS = 0.25
MAX_BACKOFF_SECONDS = 60.0
PROMPT_FAILURES = 10
PATIENT_SECONDS = 1.0
_PATIENT = frozenset({KeyKind.REPORT, KeyKind.SWEEP, KeyKind.CHANNEL})
_LONGEST_USEFUL_EXPONENT = 32


def backoff_seconds(failures: int, retry_after: float | None, jitter: float) -> float:
    """Seconds until the next try after `failures` failures in a row (at least 1).

    Doubles from a quarter of a second up to a minute, of which `jitter` in [0, 1) takes away at most half.
    `retry_after` wins, but never beyond the same minute: it comes from somebody else. After `PROMPT_FAILURES` in a row
    it no longer shortens the wait: what was to heal at once does not, and would be tried ten times a second for ever.
    """
    exponent = min(max(failures, 1) - 1, _LONGEST_USEFUL_EXPONENT)
    if retry_after is None:
        return float(min(MAX_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2**exponent) * (1 - jitter / 2))
    asked = min(max(retry_after, 0.0), MAX_BACKOFF_SECONDS)
    if failures <= PROMPT_FAILURES or asked >= PATIENT_SECONDS:
        return asked
    return max(asked, backoff_seconds(failures - PROMPT_FAILURES, None, jitter))


class Schedule:
    """Ready, running and delayed keys, and how often each failed in a row."""

    def __init__(self) -> None:
        self._urgent: deque[Key] = deque()
        self._patient: deque[Key] = deque()
        self._ready: set[Key] = set()
        self._running: set[Key] = set()
        self._again: set[Key] = set()
        self._due: dict[Key, float] = {}
        self._alarms: list[tuple[float, Key]] = []
        self._failures: dict[Key, int] = {}

    @property
    def ready(self) -> int:
        """How many keys wait for a worker."""
        return len(self._ready)

    @property
    def running(self) -> int:
        """How many keys are being reconciled."""
        return len(self._running)

    @property
    def delayed(self) -> int:
        """How many keys wait for their time."""
        return len(self._due)

    def add(self, key: Key) -> None:
        """Makes `key` ready, or marks it to run once more if it is running."""
        if key in self._running:
            self._again.add(key)
        elif key not in self._ready:
            self._ready.add(key)
            (self._patient if key.kind in _PATIENT else self._urgent).append(key)

    def add_at(self, key: Key, due: float) -> None:
        """Makes `key` ready at the time `due`, unless it is due earlier anyway."""
        if due < self._due.get(key, float("inf")):
            self._due[key] = due
            heapq.heappush(self._alarms, (due, key))

    def promote(self, now: float) -> None:
        """Makes every key ready whose time has come."""
        while self._alarms and self._alarms[0][0] <= now:
            due, key = heapq.heappop(self._alarms)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)

    def next_due(self) -> float | None:
        """When the next delayed key is due; None when there is none."""
        while self._alarms and self._due.get(self._alarms[0][1]) != self._alarms[0][0]:
            heapq.heappop(self._alarms)
        return self._alarms[0][0] if self._alarms else None

    def take(self) -> Key | None:
        """The key to run now, urgent ones first; None when nothing is ready."""
        lane = self._urgent or self._patient
        if not lane:
            return None
        key = lane.popleft()
        self._ready.remove(key)
        self._running.add(key)
        return key

    def done(self, key: Key) -> None:
        """Ends the run of `key`.

        Raises:
            Bug: `key` is not running.
        """
        if key not in self._running:
            raise Bug(f"{key} was reported done but is not running")
        self._running.remove(key)
        if key in self._again:
            self._again.remove(key)
            self.add(key)

    def absorb(self, key: Key) -> None:
        """Lets the run of `key` that goes on now stand for the one that was asked for meanwhile."""
        self._again.discard(key)

    def failed(self, key: Key) -> int:
        """Counts one more failure of `key` and says how many there are in a row."""
        self._failures[key] = self._failures.get(key, 0) + 1
        return self._failures[key]

    def succeeded(self, key: Key) -> None:
        """Forgets the failures of `key`."""
        self._failures.pop(key, None)

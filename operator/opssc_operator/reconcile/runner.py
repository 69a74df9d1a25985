"""The reconcile runner: workers that take keys, run the reconciler of their kind, and decide when to run again.

Owns the only `except Exception` of the program, so that nothing bad in one object touches another.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from opssc_operator.errors import TerminalError, TransientError
from opssc_operator.observability.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from opssc_operator.reconcile.keys import Key, KeyKind
    from opssc_operator.reconcile.queue import WorkQueue

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Result:
    """What a reconcile that went well asks for: the next run no later than this many seconds from now, or no date."""

    requeue_after_seconds: float | None = None


class Reconciler(Protocol):
    """Brings one key closer to what is wanted; observes everything, acts idempotently, may be cancelled at any await.

    Raises:
        TransientError: try again after its delay or the backoff.
        TerminalError: no use in trying again before something changes.
    """

    async def reconcile(self, key: Key) -> Result:
        """Runs once for `key`."""
        ...


@dataclass(frozen=True, slots=True)
class Reconcilers:
    """One reconciler per kind of key, and how to let go of what they hold."""

    by_kind: Mapping[KeyKind, Reconciler]
    close: Callable[[], Awaitable[None]]


class Runner:
    """Runs `workers` reconciles at a time, never two of one key."""

    def __init__(self, queue: WorkQueue, reconcilers: Mapping[KeyKind, Reconciler], *, workers: int = 16) -> None:
        self._queue = queue
        self._reconcilers = reconcilers
        self._workers = workers

    async def run(self) -> None:
        """Works until cancelled; a reconcile in progress is cancelled with it."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._workers):
                group.create_task(self._work(), name=f"reconcile worker {number}")

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            try:
                await self._run_one(key)
            finally:
                self._queue.done(key)

    async def _run_one(self, key: Key) -> None:
        started = time.monotonic()
        outcome = "cancelled"
        try:
            outcome = await self._outcome(key)
        finally:
            METRICS.reconciles.labels(key.kind, outcome).inc()
            METRICS.reconcile_seconds.labels(key.kind).observe(time.monotonic() - started)

    async def _outcome(self, key: Key) -> str:
        try:
            result = await self._reconcilers[key.kind].reconcile(key)
        except TransientError as error:
            seconds = self._queue.retry(key, error.retry_after)
            logger.info("reconcile will be tried again", extra=_fields(key, error=error.message, retry_seconds=seconds))
            return "transient"
        except TerminalError as error:
            self._queue.forget(key)
            logger.warning("reconcile is stuck", extra=_fields(key, reason=error.reason, error=error.message))
            return "terminal"
        except Exception:
            seconds = self._queue.retry(key)
            logger.exception("reconcile failed unexpectedly", extra=_fields(key, retry_seconds=seconds))
            return "error"
        self._queue.forget(key)
        if result.requeue_after_seconds is not None:
            self._queue.add_after(key, result.requeue_after_seconds)
        return "done"


def _fields(key: Key, **fields: object) -> dict[str, object]:
    return {"kind": str(key.kind), "namespace": key.namespace, "object": key.name, **fields}

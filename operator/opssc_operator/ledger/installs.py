"""Installing packages on one own peer: one install of a package at a time, and what the last one that failed said.

Owns the tasks that go on while their reconcile has ended, because a peer may build a package for minutes. When to try
again is decided by `domain.installation`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fabric_admin.errors import ChaincodeError, FabricError
from fabric_admin.lifecycle import Lifecycle
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.installation import install_pause_seconds
from opssc_operator.errors import PartialError
from opssc_operator.ledger.translate import explain, reason_of

ALREADY_INSTALLED: Final = "chaincode already successfully installed"
INSTALL_SECONDS: Final = 300.0
PATIENCE_SECONDS: Final = 2.0
"""How long a reconcile waits for an install before it goes on with what else there is to do."""


@dataclass(frozen=True, slots=True)
class Setback:
    """Installs of one package that failed in a row; ``due`` is the loop time of the next try."""

    reason: Reason
    problem: str
    attempts: int
    due: float


class Installs:
    """Installs on one peer."""

    def __init__(self, peer: str, lifecycle: Lifecycle) -> None:
        self._peer = peer
        self._lifecycle = lifecycle
        self._running: dict[str, asyncio.Task[PartialError | None]] = {}
        self._setbacks: dict[str, Setback] = {}

    def running(self, package_id: str) -> bool:
        """Whether an install of this package has not ended yet."""
        return package_id in self._running

    def setback(self, package_id: str) -> Setback | None:
        """What the last install of this package failed with, if it did."""
        return self._setbacks.get(package_id)

    def retry_now(self) -> None:
        """Try everything that failed again without waiting any longer, as after the peer was away."""
        self._setbacks.clear()

    async def install(self, package: bytes, package_id: str, ended: Callable[[], None]) -> bool:
        """Install a package, already installed being success; False when it goes on, and ``ended`` is called then.

        Raises PartialError with the peer's own words.
        """
        task = self._running.get(package_id)
        if task is None:
            task = self._running[package_id] = asyncio.create_task(
                self._install(package, package_id), name=f"install {package_id} on {self._peer}"
            )
            task.add_done_callback(lambda _: self._running.pop(package_id, None))
        done, _ = await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
        if not done:
            task.add_done_callback(lambda over: None if over.cancelled() else ended())
            return False
        failure = await task
        if failure is not None:
            raise failure
        return True

    async def _install(self, package: bytes, package_id: str) -> PartialError | None:
        try:
            await self._lifecycle.install(package, timeout_seconds=INSTALL_SECONDS)
        except ChaincodeError as exc:
            if ALREADY_INSTALLED not in exc.message:
                return self._failed(package_id, install_reason(exc.message), exc)
        except FabricError as exc:
            return self._failed(package_id, reason_of(exc, Reason.INSTALL_FAILED), exc)
        self._setbacks.pop(package_id, None)
        return None

    def _failed(self, package_id: str, reason: Reason, exc: FabricError) -> PartialError:
        before = self._setbacks.get(package_id)
        attempts = 1 if before is None else before.attempts + 1
        due = asyncio.get_running_loop().time() + install_pause_seconds(attempts)
        problem = explain(exc)
        self._setbacks[package_id] = Setback(reason, problem, attempts, due)
        failure = PartialError(f"installing {package_id} on peer {self._peer}: {problem}", reason=reason)
        failure.__cause__ = exc
        return failure

    async def close(self) -> None:
        """Leave what is going on to the peer."""
        running = tuple(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def install_reason(message: str) -> Reason:
    """Tell a peer without a builder for the package type from any other failed install."""
    missing = ("docker build is disabled", "docker build failed", "Unknown chaincodeType")
    return Reason.EXTERNAL_BUILDER_MISSING if any(text in message for text in missing) else Reason.INSTALL_FAILED

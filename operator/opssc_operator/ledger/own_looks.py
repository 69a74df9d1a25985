"""What own nodes show of channels that are proposed, looked at beside everything else.

Members can name any number of channels, and own nodes may hang: who asks gets the last answer, and is woken by a newer
one. Owns the looks under way; a failed one is a bug and is told to whoever waits for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.kinds.creation_work import OrdererSeen, PeerSeen
from opssc_operator.domain.newest import Newest

KEPT_SECONDS: Final = 10.0
"""How long an answer holds."""
PATIENCE_SECONDS: Final = 1.0
"""How long who begins a look waits for it: nodes that are well answer sooner."""
LOOKS_AT_ONCE: Final = 4
KEPT_CHANNELS: Final = 4096
"""Channels whose answers are kept."""

OwnNodes = tuple[tuple[OrdererSeen, ...], tuple[PeerSeen, ...]]


@dataclass(slots=True)
class _Kept:
    """The last answer about a channel, and until when it holds (clock seconds)."""

    nodes: OwnNodes
    until: float


class OwnLooks:
    """Asks own nodes once per channel and pause, about few channels at a time, and keeps what they say.

    ``see`` looks at all own nodes; ``wake`` has a proposal looked at anew that did not get the newest answer.
    """

    def __init__(
        self,
        see: Callable[[str], Awaitable[OwnNodes]],
        wake: Callable[[ProposalRef], None],
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._see = see
        self._wake = wake
        self._patience = patience_seconds
        self._clock = clock
        self._turns = asyncio.Semaphore(LOOKS_AT_ONCE)
        self._kept: Newest[str, _Kept] = Newest(KEPT_CHANNELS)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._waiting: dict[str, set[ProposalRef]] = {}
        self._closed = False

    async def look(self, channel: str, ref: ProposalRef) -> OwnNodes | None:
        """What own nodes show of a channel, or showed last; None when they have not answered yet.

        When that is not the newest answer, the proposal is woken once that has come.
        """
        kept = self._kept.get(channel)
        if self._closed or (kept is not None and self._clock() < kept.until):
            return None if kept is None else kept.nodes
        under_way = self._tasks.get(channel)
        task = under_way or self._begin(channel)
        if under_way is None and len(self._tasks) <= LOOKS_AT_ONCE:
            await asyncio.wait([task], timeout=self._patience)
        if not task.done():
            self._waiting.setdefault(channel, set()).add(ref)
        elif not task.cancelled():
            task.result()
        kept = self._kept.get(channel)
        return None if kept is None else kept.nodes

    def forget(self) -> None:
        """Ask about every channel again; until then the last answers stand."""
        for kept in self._kept.values():
            kept.until = 0.0

    async def close(self) -> None:
        """End every look."""
        self._closed = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, channel: str) -> asyncio.Task[None]:
        task = self._tasks[channel] = asyncio.create_task(self._run(channel), name=f"look at own nodes in {channel}")
        task.add_done_callback(lambda _: self._tasks.pop(channel, None))
        return task

    async def _run(self, channel: str) -> None:
        async with self._turns:
            nodes = await self._see(channel)
        self._kept[channel] = _Kept(nodes, self._clock() + KEPT_SECONDS)
        for ref in self._waiting.pop(channel, ()):
            self._wake(ref)

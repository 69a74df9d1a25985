"""Block streams of the own peers that wake reconciles: full blocks of the governance channel, filtered ones elsewhere.

Owns reconnecting. Losing a stream loses no fact: after a gap everything is listed again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Final, Literal, Protocol, TypeVar

from fabric_protos.common import common_pb2
from fabric_protos.peer import events_pb2

from fabric_admin.errors import FabricError
from opssc_operator.errors import OperatorError
from opssc_operator.ledger.peers import OwnPeers

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 5.0
RESTART_SECONDS: Final = 1.0
"""How soon a stream that ended with a bug begins again."""

Start = int | Literal["newest", "next"]
B = TypeVar("B", common_pb2.Block, events_pb2.FilteredBlock)
B_co = TypeVar("B_co", covariant=True)


class OpenStream(Protocol[B_co]):
    """Opens one stream at a start position; ends with a FabricError when it breaks."""

    def __call__(self, start: Start) -> AsyncIterator[B_co]:
        """Blocks from ``start`` on, without end."""


class Streams:
    """The streams of one session by name, each running once; one that ended by itself is told of and begins again."""

    def __init__(self, ended: Callable[[], None]) -> None:
        self._ended = ended
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closed = False

    def __len__(self) -> int:
        """How many streams there are."""
        return len(self._tasks)

    def ensure(self, name: str, stream: Callable[[], Coroutine[None, None, None]]) -> None:
        """Begin a stream unless it runs, or is about to begin again."""
        if name not in self._tasks:
            self._begin(name, stream)

    def _begin(self, name: str, stream: Callable[[], Coroutine[None, None, None]]) -> None:
        task = self._tasks[name] = asyncio.create_task(stream(), name=f"blocks of {name}")
        task.add_done_callback(lambda over: self._over(name, stream, over))

    def _over(self, name: str, stream: Callable[[], Coroutine[None, None, None]], task: asyncio.Task[None]) -> None:
        if task.cancelled() or self._closed:
            return
        # Streams go on for ever, so this is a bug; without a stream nothing would be noticed before the next look.
        logger.error("a block stream ended by itself", extra={"channel": name}, exc_info=task.exception())
        asyncio.get_running_loop().call_later(RESTART_SECONDS, self._again, name, stream)
        self._ended()

    def _again(self, name: str, stream: Callable[[], Coroutine[None, None, None]]) -> None:
        if not self._closed and name in self._tasks and self._tasks[name].done():
            self._begin(name, stream)

    def end(self, name: str) -> None:
        """End one stream, if it runs; it may begin anew at any time."""
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """End every stream."""
        self._closed = True
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


async def follow(
    channel: str,
    open_stream: OpenStream[B],
    *,
    number_of: Callable[[B], int],
    take: Callable[[B], None],
    resumed: Callable[[], Awaitable[None]],
    interrupted: Callable[[], None],
) -> None:
    """Feed every block to ``take`` for ever.

    ``resumed`` runs after each (re)connection, before its second block; ``interrupted`` when a stream that ran broke.
    """
    upcoming: Start = "newest"
    pause = FIRST_PAUSE_SECONDS
    while True:
        fresh = True
        try:
            async for block in open_stream(upcoming):
                take(block)
                upcoming = number_of(block) + 1
                if fresh:
                    await resumed()
                    fresh, pause = False, FIRST_PAUSE_SECONDS
        except FabricError as exc:
            logger.info("block stream interrupted", extra={"channel": channel, "cause": str(exc)[:200]})
            upcoming = "newest"
        except OperatorError as exc:
            logger.info("catching up after a block stream failed", extra={"channel": channel, "cause": str(exc)[:200]})
            upcoming = "newest"
        if not fresh:
            interrupted()
        await asyncio.sleep(pause)
        pause = min(LONGEST_PAUSE_SECONDS, pause * 2)


def full_blocks(peers: OwnPeers, channel: str) -> OpenStream[common_pb2.Block]:
    """Full blocks of a channel from the first own peer that has joined it."""

    async def stream(start: Start) -> AsyncIterator[common_pb2.Block]:
        async for block in (await peers.on(channel)).deliver.blocks(channel, start=start):
            yield block

    return stream


def filtered_blocks(peers: OwnPeers, channel: str) -> OpenStream[events_pb2.FilteredBlock]:
    """Filtered blocks of a channel from the first own peer that has joined it."""

    async def stream(start: Start) -> AsyncIterator[events_pb2.FilteredBlock]:
        async for block in (await peers.on(channel)).deliver.filtered(channel, start=start):
            yield block

    return stream

"""Block streams of the own peers that wake reconciles: full blocks of the governance channel, filtered ones elsewhere.

Owns reconnecting. Losing a stream loses no fact: after a gap everything is listed again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, Literal, Protocol, TypeVar

from fabric_protos.common import common_pb2
from fabric_protos.peer import events_pb2

from fabric_admin.errors import FabricError
from opssc_operator.errors import OperatorError
from opssc_operator.ledger.peers import OwnPeers

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 5.0

Start = int | Literal["newest", "next"]
B = TypeVar("B", common_pb2.Block, events_pb2.FilteredBlock)
B_co = TypeVar("B_co", covariant=True)


class OpenStream(Protocol[B_co]):
    """Opens one stream at a start position; ends with a FabricError when it breaks."""

    def __call__(self, start: Start) -> AsyncIterator[B_co]:
        """Blocks from ``start`` on, without end."""


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

"""What the peers deliver, seen by streams of the benchmark's own: when each fact reached each organization's peer."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from fabric_admin.blocks import transactions
from opssc_chaincode.ranking import LedgerPosition
from opssc_tools.environment.readback import commits_of, facts_of
from opssc_tools.environment.spec import APPLICATION_CHANNEL, GOVERNANCE_CHANNEL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fabric_admin.blocks import TransactionView
    from opssc_operator.api.refs import ProposalRef
    from opssc_tools.environment import Member

COMMIT: Final = "commit"
"""The fact that the definition is committed; all others are those of `facts_of`."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A block as one peer delivered it; `at` is the event loop's time."""

    at: float
    number: int
    transactions: tuple[TransactionView, ...]


@dataclass(slots=True)
class BlockLog:
    """Every block one organization's peer delivered since `follow`, by channel."""

    blocks: dict[str, list[Delivered]] = field(default_factory=dict)

    def forget(self) -> None:
        """Keep nothing of what was delivered so far."""
        self.blocks.clear()

    def facts(self, ref: ProposalRef, chaincode: str) -> dict[str, float]:
        """When each fact about a proposal was delivered first."""
        found: dict[str, float] = {}
        for block in self.blocks.get(GOVERNANCE_CHANNEL, ()):
            for fact in facts_of(list(block.transactions), ref.creator, ref.id):
                found.setdefault(fact, block.at)
        for block in self.blocks.get(APPLICATION_CHANNEL, ()):
            if commits_of(list(block.transactions), chaincode, 1):
                found.setdefault(COMMIT, block.at)
        return found

    def positions(self) -> dict[str, LedgerPosition]:
        """Where each transaction of the governance channel stands."""
        return {
            view.tx_id: LedgerPosition(block.number, view.index)
            for block in self.blocks.get(GOVERNANCE_CHANNEL, ())
            for view in block.transactions
        }

    def block_at(self, number: int) -> float:
        """When a block of the governance channel was delivered; raises KeyError."""
        return {block.number: block.at for block in self.blocks[GOVERNANCE_CHANNEL]}[number]

    def approvals(self) -> dict[str, float]:
        """When the first valid lifecycle transaction of each organization on the application channel was delivered."""
        found: dict[str, float] = {}
        for block in self.blocks.get(APPLICATION_CHANNEL, ()):
            for view in block.transactions:
                if view.valid and view.chaincode == "_lifecycle":
                    found.setdefault(view.creator_msp_id, block.at)
        return found


@asynccontextmanager
async def follow(member: Member) -> AsyncIterator[BlockLog]:
    """Log the blocks of both channels inside the block; its end raises what broke a stream."""
    log = BlockLog()
    running = [
        asyncio.create_task(_stream(member, channel, log)) for channel in (GOVERNANCE_CHANNEL, APPLICATION_CHANNEL)
    ]
    try:
        yield log
    finally:
        for task in running:
            task.cancel()
        for end in await asyncio.gather(*running, return_exceptions=True):
            if isinstance(end, Exception):
                raise end


async def _stream(member: Member, channel: str, log: BlockLog) -> None:
    loop = asyncio.get_running_loop()
    async for block in member.reader.deliver.blocks(channel, start="next"):
        at = loop.time()
        log.blocks.setdefault(channel, []).append(Delivered(at, int(block.header.number), tuple(transactions(block))))

"""When a transaction is committed by every organization's own peer, read from one stream of filtered blocks each."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from fabric_admin.blocks import code_name
from fabric_admin.errors import CommitFailed
from fabric_admin.gateway import VALID

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from opssc_tools.bench.devnet import DevnetOrganization

COMMIT_SECONDS: Final = 60.0

_Verdict = tuple[str, int]
"""Validation code and block number."""


class Receipts:
    """The verdicts on transactions that all peers have committed."""

    def __init__(self, peers: int) -> None:
        self._peers = peers
        self._seen: Counter[str] = Counter()
        self._verdicts: dict[str, asyncio.Future[_Verdict]] = {}

    def note(self, transaction_id: str, code: str, block: int) -> None:
        """Count one peer's commit of a transaction."""
        self._seen[transaction_id] += 1
        if self._seen[transaction_id] == self._peers:
            del self._seen[transaction_id]
            self._verdict(transaction_id).set_result((code, block))

    async def everywhere(self, transaction_id: str) -> None:
        """Wait until every peer has committed it; raises CommitFailed when it is not VALID, TimeoutError."""
        async with asyncio.timeout(COMMIT_SECONDS):
            code, block = await self._verdict(transaction_id)
        del self._verdicts[transaction_id]
        if code != VALID:
            raise CommitFailed(transaction_id, code, block)

    def _verdict(self, transaction_id: str) -> asyncio.Future[_Verdict]:
        return self._verdicts.setdefault(transaction_id, asyncio.get_running_loop().create_future())


@asynccontextmanager
async def follow(organizations: Sequence[DevnetOrganization], channel: str) -> AsyncIterator[Receipts]:
    """Read what each organization's peer commits inside the block; raises what breaks a stream."""
    receipts = Receipts(len(organizations))
    heights = [(await each.system.chain_info(channel)).height for each in organizations]

    async def read(organization: DevnetOrganization, start: int) -> None:
        async for block in organization.deliver.filtered(channel, start=start):
            for transaction in block.filtered_transactions:
                receipts.note(transaction.txid, code_name(transaction.tx_validation_code), block.number)

    async with asyncio.TaskGroup() as streams:
        readers = [streams.create_task(read(*each)) for each in zip(organizations, heights, strict=True)]
        yield receipts
        for reader in readers:
            reader.cancel()

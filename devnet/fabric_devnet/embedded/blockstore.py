"""The chain of blocks of one channel on one node, found by number, header hash and transaction ID.

A chain that began with a snapshot lacks the blocks before it, and knows only the identifiers of their transactions.

Used by peers (through `Ledger`) and by the ordering service alike. Blocks handed out are shared: never change them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from fabric_protos.common import common_pb2, ledger_pb2

from fabric_admin import blocks
from fabric_devnet.embedded.errors import BadBlock, NotInLedger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fabric_devnet.embedded.snapshotfiles import LedgerSnapshot

LAST_BLOCK = 2**64 - 1  # what Fabric's queries take for "the last one"


@dataclass(frozen=True, slots=True)
class CommitStatus:
    """How a transaction ended: validation code (`TxValidationCode`) and the block that holds it."""

    transaction_id: str
    code: int
    block_number: int


@dataclass(frozen=True, slots=True)
class _Place:
    block_number: int
    position: int
    code: int


class BlockStore:
    """Blocks in order; height is their count."""

    def __init__(self, first: int = 0, last_hash: bytes = b"") -> None:
        self._first = first
        self._previous_hash = b""
        self._old: frozenset[str] = frozenset()
        self._blocks: list[common_pb2.Block] = []
        self._numbers: dict[bytes, int] = {}
        self._transactions: dict[str, _Place] = {}
        self._last_hash = last_hash
        self._grown = asyncio.Event()

    @classmethod
    def after(cls, snapshot: LedgerSnapshot) -> Self:
        """Begin with the block after a snapshot."""
        store = cls(snapshot.last_block_number + 1, snapshot.last_block_hash)
        store._previous_hash = snapshot.previous_block_hash
        store._old = frozenset(snapshot.transaction_ids)
        return store

    @property
    def height(self) -> int:
        """The number of blocks, which is the next block's number."""
        return self._first + len(self._blocks)

    @property
    def whole(self) -> bool:
        """Whether it began with the genesis block and not with a snapshot."""
        return self._first == 0

    @property
    def transaction_ids(self) -> tuple[str, ...]:
        """Every transaction ID in the chain, sorted."""
        return tuple(sorted(self._old | self._transactions.keys()))

    @property
    def last_hash(self) -> bytes:
        """The header hash of the last block, empty while there is none."""
        return self._last_hash

    def append(self, block: common_pb2.Block, transactions: Sequence[tuple[str, int]] = ()) -> None:
        """Add the next block; `transactions` are its (transaction ID or "", validation code) in order.

        Raises BadBlock when number or previous hash do not continue the chain.
        """
        if block.header.number != self.height:
            raise BadBlock(f"expected block number={self.height}, received block number={block.header.number}")
        if block.header.previous_hash != self._last_hash:
            raise BadBlock(f"block [{self.height}] does not carry the hash of the block before it")
        for position, (transaction_id, code) in enumerate(transactions):
            # A transaction ID names its first occurrence for good: a duplicate later changes nothing.
            if transaction_id:
                self._transactions.setdefault(transaction_id, _Place(self.height, position, code))
        self._last_hash = blocks.header_hash(block.header)
        self._numbers[self._last_hash] = self.height
        self._blocks.append(block)
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()

    def block(self, number: int) -> common_pb2.Block:
        """Return a block by number (2**64-1: the last one); raises NotInLedger."""
        if number == LAST_BLOCK and self._blocks:
            return self._blocks[-1]
        if 0 <= number < self._first:
            raise NotInLedger(
                f"cannot serve block [{number}]. The ledger is bootstrapped from a snapshot. "
                f"First available block = [{self._first}]"
            )
        if not self._first <= number < self.height:
            raise NotInLedger(f"no such block number [{number}] in index")
        return self._blocks[number - self._first]

    def block_by_hash(self, header_hash: bytes) -> common_pb2.Block:
        """Return a block by its header hash; raises NotInLedger."""
        number = self._numbers.get(header_hash)
        if number is None:
            raise NotInLedger(f"no such block hash [{header_hash.hex()}] in index")
        return self.block(number)

    def block_by_tx_id(self, transaction_id: str) -> common_pb2.Block:
        """Return the block that holds a transaction first; raises NotInLedger."""
        return self.block(self._place(transaction_id).block_number)

    def transaction(self, transaction_id: str) -> tuple[common_pb2.Envelope, int]:
        """Return a transaction's envelope and validation code; raises NotInLedger."""
        place = self._place(transaction_id)
        data = self.block(place.block_number).data.data[place.position]
        return common_pb2.Envelope.FromString(data), place.code

    def has_transaction(self, transaction_id: str) -> bool:
        """Tell whether the transaction ID occurs in any block, valid or not."""
        return transaction_id in self._transactions or transaction_id in self._old

    def commit_status(self, transaction_id: str) -> CommitStatus | None:
        """Return how a transaction ended, None while it is not in the chain."""
        place = self._transactions.get(transaction_id)
        return CommitStatus(transaction_id, place.code, place.block_number) if place else None

    def chain_info(self) -> ledger_pb2.BlockchainInfo:
        """Describe the chain as `qscc` GetChainInfo does."""
        info = ledger_pb2.BlockchainInfo(
            height=self.height,
            currentBlockHash=self._last_hash,
            previousBlockHash=self._blocks[-1].header.previous_hash if self._blocks else self._previous_hash,
        )
        if self._first:
            info.bootstrappingSnapshotInfo.lastBlockInSnapshot = self._first - 1
        return info

    async def wait_for_height(self, height: int) -> None:
        """Return once the chain has at least this many blocks."""
        while self.height < height:
            await self._grown.wait()

    async def wait_for_transaction(self, transaction_id: str) -> CommitStatus:
        """Return how a transaction ended, as soon as it is in the chain."""
        while (status := self.commit_status(transaction_id)) is None:
            await self._grown.wait()
        return status

    def _place(self, transaction_id: str) -> _Place:
        place = self._transactions.get(transaction_id)
        if place is None and transaction_id in self._old:
            raise NotInLedger(
                f"details for the TXID [{transaction_id}] not available. Ledger bootstrapped from a snapshot. "
                f"First available block = [{self._first}]"
            )
        if place is None:
            raise NotInLedger(f"no such transaction ID [{transaction_id}] in index")
        return place

"""What a block means to every peer that holds the same chain before it, worked out once for all peers of the process.

Each peer of Fabric judges each block by itself and they all come to the same result, because it follows from the blocks
before. So the result is shared between ledgers that began with the genesis block, have the same last block, the same
commit hash and the same config object, and are given the very same block object. Nothing private is part of it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fabric_protos.common import common_pb2

from fabric_admin import blocks
from fabric_devnet.embedded.commithash import commit_hash
from fabric_devnet.embedded.configtransactions import follow_config
from fabric_devnet.embedded.errors import BadBlock
from fabric_devnet.embedded.validation import Validator

if TYPE_CHECKING:
    from collections.abc import Callable

    from fabric_admin.channelconfig import ChannelConfig
    from fabric_devnet.embedded.statedb import Snapshot
    from fabric_devnet.embedded.validation import Verdict

_KEPT: Final = 64  # blocks of all channels, as peers are at most a few blocks apart


@dataclass(frozen=True, slots=True)
class Before:
    """A ledger before a block; `whole` tells that it began with the genesis block and not with a snapshot."""

    config: ChannelConfig
    snapshot: Snapshot
    has_transaction: Callable[[str], bool]
    last_hash: bytes
    commit_hash: bytes
    whole: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    """A block's outcome: codes and updates, the block as stored with them, its commit hash, the config it brings."""

    verdict: Verdict
    stored: common_pb2.Block
    commit_hash: bytes
    config: ChannelConfig | None


@dataclass(frozen=True, slots=True)
class _Entry:
    block: common_pb2.Block
    config: ChannelConfig
    judgement: Judgement


_shared: OrderedDict[tuple[int, bytes, bytes], _Entry] = OrderedDict()


def judge(block: common_pb2.Block, before: Before) -> Judgement:
    """Judge the next block of a ledger; raises BadBlock for data or a config that cannot be."""
    if not before.whole:
        return _judge(block, before)
    key = (id(block), before.last_hash, before.commit_hash)
    entry = _shared.get(key)
    # The entry holds the block, so its id cannot be given to another one meanwhile.
    if entry is None or entry.config is not before.config:
        entry = _shared[key] = _Entry(block, before.config, _judge(block, before))
        while len(_shared) > _KEPT:
            _shared.popitem(last=False)
    return entry.judgement


def _judge(block: common_pb2.Block, before: Before) -> Judgement:
    if block.header.data_hash != blocks.data_hash(block.data):
        raise BadBlock(f"block [{block.header.number}]: Header.DataHash is different from Hash(block.Data)")
    verdict = Validator(before.config, before.snapshot, before.has_transaction).validate(block)
    # Fabric stops the channel when a valid config transaction cannot be applied.
    config = follow_config(before.config, block) if verdict.has_config else None
    hashed = commit_hash(before.commit_hash, verdict.filter, [update for _, update in verdict.applied])
    return Judgement(verdict, _stamped(block, verdict, hashed), hashed, config)


def _stamped(block: common_pb2.Block, verdict: Verdict, hashed: bytes) -> common_pb2.Block:
    stored = common_pb2.Block()
    stored.CopyFrom(block)
    set_metadata(stored, common_pb2.BlockMetadataIndex.TRANSACTIONS_FILTER, verdict.filter)
    value = common_pb2.Metadata(value=hashed).SerializeToString()
    set_metadata(stored, common_pb2.BlockMetadataIndex.COMMIT_HASH, value)
    return stored


def set_metadata(block: common_pb2.Block, index: int, value: bytes) -> None:
    """Set one entry of a block's metadata, making room for it."""
    while len(block.metadata.metadata) <= index:
        block.metadata.metadata.append(b"")
    block.metadata.metadata[index] = value

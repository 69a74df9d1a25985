"""One channel as the ordering service keeps it: the log of blocks, the messages waiting for one, the current config.

There is one chain per channel however many orderers serve it. Whether a message may be ordered is decided before.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from fabric_protos.common import common_pb2
from fabric_protos.orderer.etcdraft import metadata_pb2

from fabric_admin import blocks
from fabric_devnet.embedded.blockcutter import BatchLimits, BlockCutter
from fabric_devnet.embedded.blockstore import BlockStore
from fabric_devnet.embedded.channelconfigs import read_config
from fabric_devnet.embedded.errors import BadBlock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fabric_admin.batch import Batch
    from fabric_admin.channelconfig import ChannelConfig
    from fabric_admin.identity import SigningIdentity

    Signers = Sequence[tuple[int | None, SigningIdentity]]

_METADATA_ENTRIES = 5
_NONCE_BYTES = 24


class Chain:
    """A channel's log; `signers` names the identities that sign the next block, with their numbers where it is BFT.

    Raises InvalidInput for a genesis block whose config makes no sense.
    """

    def __init__(self, genesis: common_pb2.Block, signers: Callable[[], Signers]) -> None:
        self._signers = signers
        self._config = read_config(genesis)
        self._last_config = genesis.header.number
        self._cutter = BlockCutter()
        self._timer: asyncio.TimerHandle | None = None
        self.blocks = BlockStore()
        self.blocks.append(genesis)

    @property
    def channel_id(self) -> str:
        """The channel's name."""
        return self._config.channel_id

    @property
    def config(self) -> ChannelConfig:
        """The channel's current config."""
        return self._config

    @property
    def batch(self) -> Batch:
        """When the channel's blocks are cut."""
        if self._config.batch is None:
            raise BadBlock(f"channel {self.channel_id}: config does not contain orderer config")
        return self._config.batch

    @property
    def last_config(self) -> int:
        """The number of the block that holds the current config."""
        return self._last_config

    @property
    def height(self) -> int:
        """The number of blocks."""
        return self.blocks.height

    def order(self, envelope: common_pb2.Envelope) -> None:
        """Put a message in line; its block is cut by count, by bytes, or when the batch timeout is over."""
        limits = BatchLimits(self.batch.max_message_count, self.batch.preferred_max_bytes)
        for messages in self._cutter.add(envelope, limits):
            self._write(messages)
        self._set_timer()

    def order_config(self, envelope: common_pb2.Envelope) -> None:
        """Cut what waits, then put a config transaction in a block of its own and take up its config."""
        self.flush()
        block = self._write([envelope], last_config=self.height)
        self._config = read_config(block)
        self._last_config = block.header.number

    def flush(self) -> None:
        """Cut a block of what waits, if anything does."""
        if self._cutter.pending:
            self._write(self._cutter.cut())
        self._set_timer()

    def _set_timer(self) -> None:
        if self._cutter.pending and self._timer is None:
            timeout = self.batch.timeout_seconds
            self._timer = asyncio.get_running_loop().call_later(timeout, self._time_out)
        elif not self._cutter.pending and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_out(self) -> None:
        self._timer = None
        self.flush()

    def _write(self, messages: Sequence[common_pb2.Envelope], last_config: int | None = None) -> common_pb2.Block:
        block = build_block(self.height, self.blocks.last_hash, messages)
        sign_block(block, self._signers(), self._last_config if last_config is None else last_config)
        self.blocks.append(block)
        return block


def build_block(number: int, previous_hash: bytes, messages: Sequence[common_pb2.Envelope]) -> common_pb2.Block:
    """Make an unsigned block of these messages."""
    data = common_pb2.BlockData(data=[message.SerializeToString() for message in messages])
    header = common_pb2.BlockHeader(number=number, previous_hash=previous_hash, data_hash=blocks.data_hash(data))
    metadata = common_pb2.BlockMetadata(metadata=[b""] * _METADATA_ENTRIES)
    return common_pb2.Block(header=header, data=data, metadata=metadata)


def sign_block(block: common_pb2.Block, signers: Signers, last_config: int) -> None:
    """Set the orderers' metadata of a block, and their signatures over metadata and header."""
    index = common_pb2.LastConfig(index=last_config)
    raft = metadata_pb2.BlockMetadata(consenter_ids=[1], next_consenter_id=2, raft_index=block.header.number + 1)
    value = common_pb2.OrdererBlockMetadata(
        last_config=index,
        consenter_metadata=common_pb2.Metadata(value=raft.SerializeToString()).SerializeToString(),
    ).SerializeToString()
    made = [_signature(value, blocks.header_bytes(block.header), number, signer) for number, signer in signers]
    signatures = common_pb2.Metadata(value=value, signatures=made)
    last = common_pb2.Metadata(value=index.SerializeToString())
    entries = block.metadata.metadata
    entries[common_pb2.BlockMetadataIndex.SIGNATURES] = signatures.SerializeToString()
    entries[common_pb2.BlockMetadataIndex.LAST_CONFIG] = last.SerializeToString()


def _signature(value: bytes, block: bytes, number: int | None, signer: SigningIdentity) -> common_pb2.MetadataSignature:
    """Sign as an orderer does, which BFT names by its number instead of its certificate."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    if number is None:
        header = common_pb2.SignatureHeader(creator=signer.creator, nonce=nonce).SerializeToString()
        return common_pb2.MetadataSignature(signature_header=header, signature=signer.sign(value + header + block))
    header = common_pb2.IdentifierHeader(identifier=number, nonce=nonce).SerializeToString()
    return common_pb2.MetadataSignature(identifier_header=header, signature=signer.sign(value + header + block))

"""The system chaincodes `cscc` and `qscc` of one peer: channels, configuration, blocks and transactions.

All calls are channel-less, which the peer answers only to its own organization.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from fabric_protos.common import common_pb2, configtx_pb2, ledger_pb2
from fabric_protos.peer import query_pb2, transaction_pb2
from google.protobuf.message import Message

from fabric_admin.endorser import Endorser
from fabric_admin.errors import InvalidInput
from fabric_admin.wire import decode

if TYPE_CHECKING:
    from fabric_admin.identity import SigningIdentity
    from fabric_admin.transport import Connection

CONFIGURATION: Final = "cscc"
QUERIES: Final = "qscc"
_ResultT = TypeVar("_ResultT", bound=Message)


@dataclass(frozen=True, slots=True)
class ChainInfo:
    """How long a peer's chain is; `height` counts blocks, `current_hash` is the last block's header hash."""

    height: int
    current_hash: bytes
    previous_hash: bytes


class System:
    """What one peer knows about its channels.

    A peer's refusal is ChaincodeError with Fabric's text; every call may raise RequestRefused, TransportError and
    DeadlineExceeded, and InvalidInput when the answer cannot be read.
    """

    __slots__ = ("_endorser",)

    def __init__(self, connection: Connection, identity: SigningIdentity) -> None:
        self._endorser = Endorser(connection, identity)

    async def channels(self, *, timeout_seconds: float = 30.0) -> tuple[str, ...]:
        """Return the IDs of the channels the peer joined, sorted."""
        result = await self._read(CONFIGURATION, query_pb2.ChannelQueryResponse, "GetChannels", (), timeout_seconds)
        return tuple(sorted(channel.channel_id for channel in result.channels))

    async def join(self, block: common_pb2.Block, *, timeout_seconds: float = 60.0) -> None:
        """Make the peer join the channel of a genesis block."""
        args = (b"JoinChain", block.SerializeToString())
        await self._endorser.call(CONFIGURATION, args, timeout_seconds=timeout_seconds)

    async def config_block(self, channel: str, *, timeout_seconds: float = 30.0) -> common_pb2.Block:
        """Return the channel's latest configuration block."""
        return await self._read(CONFIGURATION, common_pb2.Block, "GetConfigBlock", (channel.encode(),), timeout_seconds)

    async def channel_config(self, channel: str, *, timeout_seconds: float = 30.0) -> configtx_pb2.Config:
        """Return the channel's current configuration, also where its block is not kept (peers made from a snapshot)."""
        args = (channel.encode(),)
        return await self._read(CONFIGURATION, configtx_pb2.Config, "GetChannelConfig", args, timeout_seconds)

    async def chain_info(self, channel: str, *, timeout_seconds: float = 30.0) -> ChainInfo:
        """Return the height and hashes of the peer's chain."""
        args = (channel.encode(),)
        info = await self._read(QUERIES, ledger_pb2.BlockchainInfo, "GetChainInfo", args, timeout_seconds)
        return ChainInfo(info.height, info.currentBlockHash, info.previousBlockHash)

    async def block_by_number(self, channel: str, number: int, *, timeout_seconds: float = 30.0) -> common_pb2.Block:
        """Return block `number`."""
        args = (channel.encode(), str(number).encode())
        return await self._read(QUERIES, common_pb2.Block, "GetBlockByNumber", args, timeout_seconds)

    async def block_by_transaction(
        self, channel: str, transaction_id: str, *, timeout_seconds: float = 30.0
    ) -> common_pb2.Block:
        """Return the block that holds a transaction."""
        args = (channel.encode(), transaction_id.encode())
        return await self._read(QUERIES, common_pb2.Block, "GetBlockByTxID", args, timeout_seconds)

    async def transaction(
        self, channel: str, transaction_id: str, *, timeout_seconds: float = 30.0
    ) -> transaction_pb2.ProcessedTransaction:
        """Return a transaction's envelope with its validation code."""
        args = (channel.encode(), transaction_id.encode())
        result = transaction_pb2.ProcessedTransaction
        return await self._read(QUERIES, result, "GetTransactionByID", args, timeout_seconds)

    async def _read(
        self, chaincode: str, result: type[_ResultT], function: str, args: tuple[bytes, ...], timeout_seconds: float
    ) -> _ResultT:
        answer = await self._endorser.call(chaincode, (function.encode(), *args), timeout_seconds=timeout_seconds)
        return decode(result, answer.payload, InvalidInput, f"answer of {function}")

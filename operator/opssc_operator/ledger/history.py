"""Config blocks that no own peer keeps, because it joined by a snapshot: fetched from the listed orderers, and proved.

Nothing is believed because an orderer sent it: a block counts when its hashes are right, when its transactions are of
the channel that was asked for, and when signatures satisfy the BlockValidation policy of the configuration that the own
peer shows. Signatures alone do not say of which channel a block is, and the same orderers may serve several. What
orderers signed that were replaced since is proved by the hashes that lead to it from a block of today's orderers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, Literal

from fabric_protos.common import common_pb2, configtx_pb2

from fabric_admin import blocks
from fabric_admin.channelconfig import ChannelConfig
from fabric_admin.errors import BlockError, FabricError, PolicyNotSatisfied
from fabric_admin.identity import SigningIdentity
from fabric_admin.orderer import Orderer
from fabric_admin.transport import Connection, Endpoint

FETCH_SECONDS: Final = 10.0
CHAIN_BLOCKS: Final = 200
"""How many blocks after one are looked at for a block that today's orderers signed."""
CHAIN_SECONDS: Final = 30.0

Fetch = Callable[[int], Awaitable[common_pb2.Block]]
"""Gives a block of one channel, which nothing has proved; raises FabricError."""


class ConfigHistory:
    """Asks the orderers of the FabricOrganization in their order; connects only while it asks."""

    def __init__(self, orderers: Sequence[Endpoint], identity: SigningIdentity) -> None:
        self._orderers = tuple(orderers)
        self._identity = identity

    @property
    def available(self) -> bool:
        """Whether any orderer is listed."""
        return bool(self._orderers)

    async def block(self, number: int, current: ChannelConfig) -> common_pb2.Block:
        """Block ``number`` of a channel, proved by its ``current`` configuration; raises FabricError.

        The genesis block is signed by nobody: it is proved by the block that follows it.
        """
        found = await self.fetch(current.channel_id, number)
        if number > 0:
            blocks.verify_signed(found, current)
        else:
            check_genesis(found, await self.fetch(current.channel_id, 1), current)
        return found

    async def content(self, number: int, current: ChannelConfig) -> common_pb2.Block:
        """Header and data of block ``number``, proved as by ``block``, or by the hashes of those after it.

        The metadata is left out: no hash covers it. Raises FabricError.
        """
        found = await self.fetch(current.channel_id, number)
        check_data(found)
        try:
            blocks.verify_signed(found, current)
        except (PolicyNotSatisfied, BlockError) as exc:
            await self._check_followed(found.header, current, exc)
        return common_pb2.Block(header=found.header, data=found.data)

    async def _check_followed(
        self, header: common_pb2.BlockHeader, current: ChannelConfig, otherwise: FabricError
    ) -> None:
        """Check that an unbroken chain leads from a signed block to ``header``; raises ``otherwise`` when none is near.

        Raises FabricError.
        """
        last, number = header, header.number
        with suppress(TimeoutError):
            async with asyncio.timeout(CHAIN_SECONDS):
                for later in range(number + 1, number + 1 + CHAIN_BLOCKS):
                    follower = await self._fetch(current.channel_id, later)
                    if follower.header.previous_hash != blocks.header_hash(last):
                        raise BlockError(f"block {later - 1} is not the one that block {later} follows")
                    with suppress(PolicyNotSatisfied):
                        check_channel(follower, current.channel_id)
                        blocks.verify_signed(follower, current)
                        return
                    last = follower.header
        raise otherwise

    async def config_block(self, tip: int, current: ChannelConfig) -> common_pb2.Block:
        """The block that holds the ``current`` configuration of a chain that ends in ``tip``; raises FabricError."""
        number = blocks.last_config_index(await self.block(tip, current))
        found = await self.content(number, current)
        if _configuration(found) != current.config:
            raise BlockError(f"config block {number} does not hold the configuration that the own peer shows")
        return found

    async def fetch(self, channel: str, number: int) -> common_pb2.Block:
        """Block ``number`` of a channel, proved by nothing yet; raises FabricError."""
        found = await self._fetch(channel, number)
        check_channel(found, channel)
        return found

    async def newest(self, channel: str) -> common_pb2.Block:
        """The last block of the orderer that is ahead of the others, proved by nothing; raises FabricError.

        One may lag behind for ever, such as a consenter that was removed.
        """
        answers = await asyncio.gather(
            *(self._ask(endpoint, channel, "newest") for endpoint in self._orderers), return_exceptions=True
        )
        found = [answer for answer in answers if isinstance(answer, common_pb2.Block)]
        for answer in answers:
            if isinstance(answer, BaseException) and not (found and isinstance(answer, FabricError)):
                raise answer
        newest = max(found, key=lambda block: int(block.header.number))
        check_channel(newest, channel)
        return newest

    async def _ask(self, endpoint: Endpoint, channel: str, number: int | Literal["newest"]) -> common_pb2.Block:
        async with Connection(endpoint) as connection:
            orderer = Orderer(connection, self._identity)
            # Blocks do not change, so that one without a leader is as good as any.
            return await orderer.fetch(channel, number, best_effort=True, timeout_seconds=FETCH_SECONDS)

    async def _fetch(self, channel: str, number: int) -> common_pb2.Block:
        """Ask one orderer after the other; raises the last one's FabricError."""
        failure: FabricError = BlockError("no orderer is listed")
        for endpoint in self._orderers:
            try:
                found = await self._ask(endpoint, channel, number)
            except FabricError as exc:
                failure = exc
                continue
            if found.header.number == number:
                return found
            failure = BlockError(f"{endpoint.address} sent block {found.header.number} for block {number}")
        raise failure


def check_channel(block: common_pb2.Block, channel: str) -> None:
    """Check that a block holds transactions, all of one channel; raises BlockError."""
    channels = {transaction.channel_id for transaction in blocks.transactions(block)}
    if channels != {channel}:
        raise BlockError(f"the orderer's block {block.header.number} is not of channel {channel}")


def check_data(block: common_pb2.Block) -> None:
    """Check that the header of a block speaks of its data; raises BlockError."""
    if blocks.data_hash(block.data) != block.header.data_hash:
        raise BlockError(f"the data of block {block.header.number} is not what its header says")


def check_genesis(genesis: common_pb2.Block, follower: common_pb2.Block, config: ChannelConfig) -> None:
    """Check a genesis block, which nobody signs, by block 1, signed as ``config`` demands; raises FabricError."""
    check_data(genesis)
    blocks.verify_signed(follower, config)
    if follower.header.previous_hash != blocks.header_hash(genesis.header):
        raise BlockError("the genesis block is not the one that block 1 follows")


async def prove_config(fetch: Fetch, genesis: common_pb2.Block, number: int) -> tuple[common_pb2.Block, ChannelConfig]:
    """Config block ``number`` of a channel of which nothing else is known; raises FabricError.

    The genesis block is signed by nobody: it counts when block 1, signed by the orderers that it names, follows it. A
    later one counts when the orderers that it names, or those before them, signed it.
    """
    first = ChannelConfig.from_block(genesis)
    if number == 0:
        check_data(genesis)
        return genesis, first
    check_genesis(genesis, await fetch(1), first)
    found = await fetch(number)
    config = ChannelConfig.from_block(found)
    try:
        blocks.verify_signed(found, config)
    except PolicyNotSatisfied:
        # This very block may have replaced the orderers that signed it.
        before = blocks.last_config_index(await fetch(number - 1))
        blocks.verify_signed(found, ChannelConfig.from_block(await fetch(before)))
    return found, config


def _configuration(block: common_pb2.Block) -> configtx_pb2.Config:
    _, envelope = blocks.config_envelope(block)
    return envelope.config

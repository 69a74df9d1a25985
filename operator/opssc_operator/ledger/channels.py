"""Channel configurations as the organization's own peers show them, or its own orderers where it has no peer.

Owns a cache of config blocks. A config block never changes, so blocks by number are kept; the current one is asked
for again after ``forget``.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from fabric_protos.common import common_pb2

from fabric_admin import blocks
from fabric_admin.channelconfig import ChannelConfig
from fabric_admin.errors import BlockError, ChaincodeError, ConfigError, FabricError
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.channel import BlockNotKept, ChannelView, NoConfiguration
from opssc_operator.domain.newest import Newest
from opssc_operator.errors import NotProved, TransientError
from opssc_operator.ledger.history import ConfigHistory
from opssc_operator.ledger.orderer_chains import Head, OrdererChains
from opssc_operator.ledger.peers import CHANNEL_RETRY_SECONDS, OwnPeer, OwnPeers
from opssc_operator.ledger.translate import explain, translated

LIFECYCLE_ENDORSEMENT: Final = "/Channel/Application/LifecycleEndorsement"
QUERY_SECONDS: Final = 10.0
KEPT_BLOCKS: Final = 256
FROM_SNAPSHOT: Final = "bootstrapped from a snapshot"
"""In what a peer says of a block from before the snapshot it joined by (Fabric: common/ledger/blkstorage)."""


def decode_config_block(block: common_pb2.Block) -> ChannelView:
    """Read a config block; raises BlockError when it is none, ConfigError when its config makes no sense."""
    return view_of(ChannelConfig.from_block(block), block)


def view_of(config: ChannelConfig, block: common_pb2.Block) -> ChannelView:
    """What proposals pin of a configuration and the block that holds it."""
    rule, problem = None, ""
    try:
        rule = config.organization_rule(LIFECYCLE_ENDORSEMENT)
    except ConfigError as exc:
        problem = str(exc)
    return ChannelView(
        channel=config.channel_id,
        config_block=block.header.number,
        config_sequence=config.sequence,
        config_hash=blocks.header_hash(block.header).hex(),
        members=config.members,
        rule=rule,
        rule_problem=problem,
    )


class ChannelReader:
    """Reads channel configurations from the own peers, and what those do not keep from the listed orderers.

    A channel that no own peer is in is read from the ``chains`` of the own orderers.
    """

    def __init__(self, peers: OwnPeers, history: ConfigHistory, chains: OrdererChains | None = None) -> None:
        self._peers = peers
        self._history = history
        self._chains = chains
        self._current: dict[str, tuple[ChannelView, float]] = {}
        """By channel: the configuration in force and when it was asked for (loop time)."""
        self._numbered: Newest[tuple[str, int], ChannelView] = Newest(KEPT_BLOCKS)

    def forget(self, channel: str | None = None) -> None:
        """Ask again for the current configuration of one channel, or of all."""
        if channel is None:
            self._current.clear()
        else:
            self._current.pop(channel, None)

    async def current(self, channel: str, *, max_age_seconds: float = math.inf) -> ChannelView:
        """The configuration in force on the own nodes; raises TransientError or TerminalError.

        Config blocks of channels that are followed are noticed at once; others may be ``max_age_seconds`` old.
        """
        now = asyncio.get_running_loop().time()
        known, read_at = self._current.get(channel, (None, -math.inf))
        if known is None or now - read_at >= max_age_seconds:
            block = await self.config_block(channel)
            with translated(f"reading the configuration of channel {channel}", reason=Reason.CHANNEL_NOT_FOUND):
                known = decode_config_block(block)
            self._current[channel] = known, now
            self._keep(known)
        return known

    async def config(self, channel: str) -> ChannelConfig:
        """The decoded configuration in force; raises TransientError or TerminalError."""
        block = await self.config_block(channel)
        with translated(f"reading the configuration of channel {channel}", reason=Reason.CHANNEL_NOT_FOUND):
            return ChannelConfig.from_block(block)

    async def config_block(self, channel: str) -> common_pb2.Block:
        """The block of the configuration in force; a peer that joined by a snapshot has it only after the next change.

        Raises TransientError or TerminalError.
        """
        served = await self._served(channel)
        if served is not None:
            return served[1].block
        with translated(f"reading the configuration of channel {channel}", reason=Reason.CHANNEL_NOT_FOUND):
            try:
                return await self._peers.ask(
                    channel, lambda peer: peer.system.config_block(channel, timeout_seconds=QUERY_SECONDS)
                )
            except ChaincodeError as exc:
                if FROM_SNAPSHOT not in exc.message or not self._history.available:
                    raise
            peer = await self._peers.on(channel)
            info = await peer.system.chain_info(channel, timeout_seconds=QUERY_SECONDS)
            return await self._history.config_block(info.height - 1, await _shown(peer, channel))

    async def at(self, channel: str, number: int) -> ChannelView | NoConfiguration | BlockNotKept | None:
        """The configuration in block ``number``; None while the own nodes' chain is not that long."""
        known = self._numbered.get((channel, number))
        if known is not None:
            return known
        with translated(f"reading block {number} of channel {channel}", reason=Reason.CHANNEL_NOT_FOUND):
            block = await self.block(channel, number, content_alone=True)
            if block is None or isinstance(block, BlockNotKept):
                return block
            try:
                known = decode_config_block(block)
            except (BlockError, ConfigError):
                return NoConfiguration(number)
        self._keep(known)
        return known

    async def changes(self, channel: str, *, after: int, until: int) -> tuple[ChannelView, ...]:
        """The configurations of blocks after number ``after`` up to ``until``, newest first.

        Raises TransientError; NotProved when no own peer has those blocks and no orderer proves them.
        """
        found: list[ChannelView] = []
        number = until
        while number > after:
            number = await self._last_config(channel, number)
            if number > after:
                view = await self.at(channel, number)
                if not isinstance(view, ChannelView):
                    raise NotProved(f"config block {number} of channel {channel} cannot be read")
                found.append(view)
                number -= 1
        return tuple(found)

    async def _last_config(self, channel: str, number: int) -> int:
        """The number of the config block in force in block ``number``, which may be that block."""
        with translated(f"reading block {number} of channel {channel}"):
            block = await self.block(channel, number)
            if block is None or isinstance(block, BlockNotKept):
                message = f"no own peer has block {number} of channel {channel}; list one that has it, or an orderer"
                raise NotProved(message)
            return number if blocks.is_config_block(block) else blocks.last_config_index(block)

    async def block(
        self, channel: str, number: int, *, content_alone: bool = False
    ) -> common_pb2.Block | BlockNotKept | None:
        """Block ``number`` of any type; None while the own nodes' chain is not that long.

        ``content_alone``: its metadata, which says what config block is in force, is not needed.

        Raises FabricError, and NotProved when it has to come from the listed orderers and does not.
        """
        served = await self._served(channel)
        if served is not None:
            chains, head = served
            with _proving(channel, number, "list a peer of the channel"):
                return await chains.block(number, head, content_alone=content_alone)
        try:
            return await self._peers.ask(
                channel, lambda peer: peer.system.block_by_number(channel, number, timeout_seconds=QUERY_SECONDS)
            )
        except ChaincodeError:
            peer = await self._peers.on(channel)
            info = await peer.system.chain_info(channel, timeout_seconds=QUERY_SECONDS)
            if info.height <= number:
                return None
            if not self._history.available:
                return BlockNotKept(number)
            return await self._proved(number, await _shown(peer, channel), content_alone=content_alone)

    async def _proved(self, number: int, shown: ChannelConfig, *, content_alone: bool) -> common_pb2.Block:
        prove = self._history.content if content_alone else self._history.block
        with _proving(shown.channel_id, number, "list a peer that has it first"):
            return await prove(number, shown)

    async def _served(self, channel: str) -> tuple[OrdererChains, Head] | None:
        """The own orderers' chain of a channel where all own peers say that they are not; None where it is not theirs.

        Raises TransientError when the own orderers do not show it either.
        """
        chains = self._chains
        if chains is None or not chains.serve(channel) or not await self._peers.are_outside(channel):
            return None
        try:
            return chains, await chains.head(channel)
        except FabricError as exc:
            message = f"no own peer has joined channel {channel}, and no own orderer shows it: {explain(exc)}"
            raise TransientError(message, CHANNEL_RETRY_SECONDS, reason=Reason.CHANNEL_NOT_FOUND) from exc

    async def members(self, channel: str) -> tuple[str, ...]:
        """The members in force by the own peer's state, without any block; raises TransientError or TerminalError."""
        with translated(f"reading the members of channel {channel}", reason=Reason.CHANNEL_NOT_FOUND):
            return (await _shown(await self._peers.on(channel), channel)).members

    async def block_of(self, channel: str, transaction_id: str) -> common_pb2.Block:
        """The block of a transaction; raises TransientError, NotProved when it is from before a snapshot."""
        doing = f"finding a transaction on channel {channel}"
        with translated(doing):
            try:
                return await self._peers.ask(
                    channel, lambda peer: peer.system.block_by_transaction(channel, transaction_id)
                )
            except ChaincodeError as exc:
                if FROM_SNAPSHOT not in exc.message:
                    raise
                raise NotProved(f"{doing}: {explain(exc)}; list a peer that has all its blocks") from exc

    def _keep(self, view: ChannelView) -> None:
        self._numbered[view.channel, view.config_block] = view


@contextmanager
def _proving(channel: str, number: int, remedy: str) -> Iterator[None]:
    """Turn what keeps a block of orderers from being proved into NotProved."""
    try:
        yield
    except FabricError as exc:
        message = f"block {number} of channel {channel}, which no own peer keeps: {explain(exc)}"
        raise NotProved(f"{message}; {remedy}") from exc


async def _shown(peer: OwnPeer, channel: str) -> ChannelConfig:
    """The configuration in force as the own peer's state has it, which needs no block; raises FabricError."""
    config = await peer.system.channel_config(channel, timeout_seconds=QUERY_SECONDS)
    return ChannelConfig.from_config(config, channel)

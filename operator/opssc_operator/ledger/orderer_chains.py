"""Channels that no own peer is in, as the own orderers show them: whoever orders a channel decides about its orderers.

Only orderers with a participation endpoint in the FabricOrganization are asked, with the own identity, since those are
this organization's own: a chain that holds together proves nothing about who made it. What they show has to prove
itself all the same. The governance channel is read from peers alone, where the contract runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from fabric_protos.common import common_pb2

from fabric_admin import blocks
from fabric_admin.channelconfig import ChannelConfig
from fabric_admin.identity import SigningIdentity
from fabric_admin.transport import Endpoint
from opssc_operator.domain.newest import Newest
from opssc_operator.ledger.history import ConfigHistory, prove_config

KEPT_CHANNELS: Final = 256


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends: the number of its last block, and the proved config block that is in force there."""

    tip: int
    block: common_pb2.Block
    config: ChannelConfig


class OrdererChains:
    """Asks the own orderers about one channel; connects only while it asks, and keeps what was proved last."""

    def __init__(self, orderers: Sequence[Endpoint], identity: SigningIdentity, governance_channel: str) -> None:
        self._history = ConfigHistory(orderers, identity)
        self._governance_channel = governance_channel
        self._proved: Newest[str, Head] = Newest(KEPT_CHANNELS)

    def serve(self, channel: str) -> bool:
        """Whether a channel may be read here: an own orderer is listed, and it is not the governance channel."""
        return self._history.available and channel != self._governance_channel

    async def head(self, channel: str) -> Head:
        """The chain as the own orderer shows it that is ahead; raises FabricError."""
        newest = await self._history.newest(channel)
        tip, number = newest.header.number, blocks.last_config_index(newest)
        known = self._proved.get(channel)
        if known is None or known.block.header.number != number:
            fetch = partial(self._history.fetch, channel)
            block, config = await prove_config(fetch, await fetch(0), number)
            known = Head(tip, block, config)
        self._proved[channel] = Head(tip, known.block, known.config)
        return self._proved[channel]

    async def block(self, number: int, head: Head, *, content_alone: bool) -> common_pb2.Block | None:
        """Block ``number`` proved by the end of its chain, with its metadata or without; None beyond the end.

        Raises FabricError.
        """
        if number > head.tip:
            return None
        if number == head.block.header.number:
            return head.block
        prove = self._history.content if content_alone else self._history.block
        return await prove(number, head.config)

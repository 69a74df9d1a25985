"""Channel configurations: how old they may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from unit.fabric.authority import authority
from unit.fabric.test_channelconfig import PROFILE

from fabric_admin import genesis
from fabric_admin.errors import ChaincodeError
from fabric_admin.system import ChainInfo
from opssc_operator.domain.channel import BlockNotKept
from opssc_operator.ledger.channels import ChannelReader
from opssc_operator.ledger.history import ConfigHistory

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fabric_protos.common import common_pb2

    from opssc_operator.ledger.peers import OwnPeers


NO_HISTORY = ConfigHistory((), authority("Org1MSP").issue("client"))


class Peer:
    """An own peer whose channel's config is that of the genesis block; `height` blocks long, but none is kept."""

    def __init__(self) -> None:
        self.system, self.reads, self.height = self, 0, 1

    async def on(self, channel: str) -> Peer:
        del channel
        return self

    async def ask(self, channel: str, question: Callable[[Peer], Awaitable[Any]]) -> Any:
        del channel
        return await question(self)

    async def config_block(self, channel: str, *, timeout_seconds: float) -> common_pb2.Block:
        del channel, timeout_seconds
        self.reads += 1
        return genesis.build(PROFILE)

    async def block_by_number(self, channel: str, number: int, *, timeout_seconds: float) -> common_pb2.Block:
        del channel, timeout_seconds
        raise ChaincodeError(500, f"Failed to get block number {number}")

    async def chain_info(self, channel: str, *, timeout_seconds: float) -> ChainInfo:
        del channel, timeout_seconds
        return ChainInfo(self.height, b"", b"")


@pytest.mark.parametrize(
    ("max_age_seconds", "reads"),
    [
        pytest.param(0.0, 3, id="to-plan-by"),
        pytest.param(60.0, 1, id="to-judge-by"),
    ],
)
async def test_a_configuration_is_read_again_when_it_is_older_than_allowed(max_age_seconds: float, reads: int) -> None:
    # Given
    peer = Peer()
    reader = ChannelReader(cast("OwnPeers", peer), NO_HISTORY)

    # When
    for _ in range(3):
        await reader.current(PROFILE.channel_id, max_age_seconds=max_age_seconds)

    # Then
    assert peer.reads == reads
    await reader.current(PROFILE.channel_id)
    assert peer.reads == reads


@pytest.mark.parametrize(
    ("height", "found"),
    [
        pytest.param(3, None, id="the-chain-is-shorter"),
        pytest.param(4, BlockNotKept(3), id="joined-by-a-snapshot"),
    ],
)
async def test_a_block_that_will_never_come_is_told_from_one_that_is_late(
    height: int, found: BlockNotKept | None
) -> None:
    peer = Peer()
    peer.height = height
    assert await ChannelReader(cast("OwnPeers", peer), NO_HISTORY).at(PROFILE.channel_id, 3) == found

"""Channel configurations: how old they may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from unit.fabric.authority import authority
from unit.fabric.test_channelconfig import PROFILE

from fabric_admin import blocks, genesis
from fabric_admin.channelconfig import ChannelConfig
from fabric_admin.errors import ChaincodeError
from fabric_admin.system import ChainInfo
from fabric_admin.transport import Endpoint
from opssc_operator.domain.channel import BlockNotKept
from opssc_operator.errors import NotProved, TransientError
from opssc_operator.ledger.channels import ChannelReader
from opssc_operator.ledger.history import ConfigHistory

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fabric_protos.common import common_pb2, configtx_pb2

    from opssc_operator.ledger.peers import OwnPeers


NO_HISTORY = ConfigHistory((), authority("Org1MSP").issue("client"))


class Peer:
    """An own peer whose channel's config is that of the genesis block; `height` blocks long, but none is kept."""

    def __init__(self) -> None:
        self.system, self.reads, self.height = self, 0, 1
        self.unknown = ""

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

    async def block_by_transaction(self, channel: str, transaction_id: str) -> common_pb2.Block:
        del channel
        raise ChaincodeError(500, self.unknown.format(transaction_id))

    async def channel_config(self, channel: str, *, timeout_seconds: float) -> configtx_pb2.Config:
        del channel, timeout_seconds
        return blocks.config_envelope(genesis.build(PROFILE))[1].config

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


@pytest.mark.parametrize(
    ("said", "lost"),
    [
        pytest.param(
            "details for the TXID [{}] not available. Ledger bootstrapped from a snapshot. First available block = [7]",
            True,
            id="from-before-the-snapshot",
        ),
        pytest.param("no such transaction ID [{}] in index", False, id="not-there-yet"),
    ],
)
async def test_a_transaction_that_will_never_be_found_is_told_from_one_that_is_late(said: str, lost: bool) -> None:
    peer = Peer()
    peer.unknown = said
    with pytest.raises(TransientError) as caught:
        await ChannelReader(cast("OwnPeers", peer), NO_HISTORY).block_of(PROFILE.channel_id, "ab" * 32)
    assert isinstance(caught.value, NotProved) is lost


async def test_a_block_that_no_orderer_proves_is_told_from_trouble_with_the_own_peer() -> None:
    # Given
    peer = Peer()
    peer.height = 4
    history = ConfigHistory((Endpoint("127.0.0.1:1", None),), authority("Org1MSP").issue("client"))

    # Then
    with pytest.raises(NotProved, match="which no own peer keeps"):
        await ChannelReader(cast("OwnPeers", peer), history).at(PROFILE.channel_id, 3)


async def test_members_are_those_of_the_state_which_needs_no_block() -> None:
    peer = Peer()
    found = await ChannelReader(cast("OwnPeers", peer), NO_HISTORY).members(PROFILE.channel_id)
    assert (found, peer.reads) == (ChannelConfig.from_block(genesis.build(PROFILE)).members, 0)

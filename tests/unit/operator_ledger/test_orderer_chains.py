"""Channels that no own peer is in: read from own orderers, as far as what they show proves itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from fabric_protos.common import common_pb2
from unit.fabric.channel import CHANNEL, person
from unit.fabric_io.scripted import running
from unit.operator_ledger.sites import (
    FIRST,
    Site,
    update,
    welcome,
    with_other_data,
    with_other_genesis,
)

from fabric_admin import blocks
from fabric_admin.blocks import header_hash
from fabric_admin.channelconfig import edits
from opssc_operator.api.conditions import Reason
from opssc_operator.errors import TransientError
from opssc_operator.ledger.channels import ChannelReader
from opssc_operator.ledger.config_blocks import ConfigBlocks
from opssc_operator.ledger.history import ConfigHistory
from opssc_operator.ledger.orderer_chains import OrdererChains

if TYPE_CHECKING:
    from collections.abc import Callable

    from opssc_operator.ledger.peers import OwnPeers

OWN = person("OrdererMSP", "client")
OPS = "ops-channel"
ELSEWHERE = "no own peer that answers has joined"


class Peers:
    """Own peers that are in no channel, or do not say so."""

    def __init__(self, *, outside: bool = True) -> None:
        self.outside = outside

    async def are_outside(self, channel: str) -> bool:
        del channel
        return self.outside

    async def ask(self, channel: str, question: object) -> object:
        del question
        raise TransientError(f"{ELSEWHERE} channel {channel}", reason=Reason.CHANNEL_NOT_FOUND)


def reader_of(*sites: Site, peers: Peers | None = None, governance: str = OPS) -> ChannelReader:
    chains = OrdererChains([site.endpoint for site in sites], OWN, governance)
    return ChannelReader(cast("OwnPeers", peers or Peers()), ConfigHistory((), OWN), chains)


def longer() -> list[common_pb2.Block]:
    """A chain of three config blocks: an organization was let in, and another one after it."""
    chain = welcome()
    config = blocks.config_envelope(chain[-1])[1].config
    after = edits.set_batch(config, max_message_count=7)
    return [*chain, update(after, 2, chain[-1], "OrdererMSP")]


async def test_a_channel_without_an_own_peer_is_read_from_own_orderers() -> None:
    # Given
    chain = longer()
    site = Site(*chain)

    async with running(site):
        reader = reader_of(site)

        # When
        current, founded = await reader.current(CHANNEL), await reader.at(CHANNEL, 0)
        middle, beyond = await ConfigBlocks(reader).at(CHANNEL, 1), await reader.at(CHANNEL, 3)

    # Then
    assert (current.config_block, current.config_hash) == (2, header_hash(chain[2].header).hex())
    assert founded is not None
    assert middle is not None
    assert "Org4MSP" in middle.config.members
    assert beyond is None


async def test_a_channel_of_one_block_is_read() -> None:
    site = Site(FIRST)

    async with running(site):
        assert (await reader_of(site).current(CHANNEL)).config_block == 0


async def test_the_orderer_that_is_ahead_is_believed() -> None:
    ahead, removed, away = Site(*longer()), Site(FIRST), Site(status=common_pb2.SERVICE_UNAVAILABLE)

    async with running(ahead, removed, away):
        assert (await reader_of(removed, away, ahead).current(CHANNEL)).config_block == 2


@pytest.mark.parametrize(
    "site",
    [
        pytest.param(lambda: Site(*welcome(signer="Org1MSP")), id="signed-by-no-orderer"),
        pytest.param(lambda: Site(*with_other_genesis()), id="another-genesis-block"),
        pytest.param(lambda: Site(*with_other_data()), id="other-data"),
        pytest.param(lambda: Site(status=common_pb2.FORBIDDEN), id="may-not-read"),
        pytest.param(lambda: Site(status=common_pb2.NOT_FOUND), id="not-in-it"),
    ],
)
async def test_what_does_not_prove_itself_is_no_configuration(site: Callable[[], Site]) -> None:
    orderer = site()

    async with running(orderer):
        with pytest.raises(TransientError, match="no own orderer shows it") as failure:
            await reader_of(orderer).current(CHANNEL)

    assert failure.value.reason == Reason.CHANNEL_NOT_FOUND


@pytest.mark.parametrize(
    ("peers", "governance"),
    [
        pytest.param(Peers(outside=False), OPS, id="a-peer-may-be-in-it"),
        pytest.param(Peers(), CHANNEL, id="governance-is-for-peers"),
    ],
)
async def test_orderers_are_asked_only_where_no_own_peer_can_be(peers: Peers, governance: str) -> None:
    site = Site(*welcome())

    async with running(site):
        with pytest.raises(TransientError, match=ELSEWHERE):
            await reader_of(site, peers=peers, governance=governance).current(CHANNEL)

    assert site.questions == 0


async def test_without_own_orderers_peers_alone_are_asked() -> None:
    with pytest.raises(TransientError, match=ELSEWHERE):
        await reader_of().current(CHANNEL)

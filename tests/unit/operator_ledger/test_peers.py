"""The own peers: which of them is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from unit.fabric.authority import authority

from fabric_admin.errors import TransportError
from fabric_admin.transport import Endpoint
from opssc_operator.ledger.peers import OwnPeers, PeerAddress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CHANNEL = "mychannel"
NOBODY = "127.0.0.1:1"


@pytest_asyncio.fixture
async def peers() -> AsyncIterator[OwnPeers]:
    admin = authority("Org1MSP").issue("admin")
    peers = OwnPeers((PeerAddress(name, Endpoint(NOBODY, None)) for name in ("peer0", "peer1")), admin, admin)
    for peer in peers.all:
        peer.joined = frozenset({CHANNEL})
    yield peers
    await peers.close()


async def test_a_peer_that_gives_no_answer_is_not_asked_again_while_another_one_has_the_channel(
    peers: OwnPeers,
) -> None:
    # Given
    first = await peers.on(CHANNEL)

    # When
    with pytest.raises(TransportError):
        await first.system.chain_info(CHANNEL, timeout_seconds=5.0)

    # Then
    assert (first.name, (await peers.on(CHANNEL)).name) == ("peer0", "peer1")


async def test_a_gateway_that_gives_no_answer_counts_as_well(peers: OwnPeers) -> None:
    first = await peers.on(CHANNEL)
    with pytest.raises(TransportError):
        await first.client_gateway.evaluate(CHANNEL, "opssc", [b"GetInfo"], timeout_seconds=5.0)
    assert (await peers.on(CHANNEL)).name == "peer1"

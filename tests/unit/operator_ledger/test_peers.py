"""The own peers: which of them is asked."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
import pytest_asyncio
from fabric_protos.peer import proposal_response_pb2
from unit.fabric.authority import authority
from unit.fabric_io.scripted import ScriptedNode

from fabric_admin.capabilities import Line
from fabric_admin.definition import ApprovedDefinition, Definition
from fabric_admin.errors import ChaincodeError, NotOffered, TransportError
from fabric_admin.transport import Endpoint
from fabric_devnet.crypto import CertificateAuthority
from opssc_operator.ledger.kept import fetch_approval
from opssc_operator.ledger.peers import OwnPeer, OwnPeers, PeerAddress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

CHANNEL = "mychannel"
OFFERED = proposal_response_pb2.Response(status=200)
UNMAPPED = proposal_response_pb2.Response(
    status=500, message="Unmapped policy for _lifecycle/QueryApprovedChaincodeDefinitions"
)
NOBODY = "127.0.0.1:1"


@asynccontextmanager
async def nodes(*answers: proposal_response_pb2.Response | None) -> AsyncIterator[OwnPeers]:
    """Peers of one channel that give these answers, or none."""
    started = [ScriptedNode(CertificateAuthority.create("tlsca.test", "test")) for _ in answers]
    for node, answer in zip(started, answers, strict=True):
        if answer is None:
            node.status = (grpc.StatusCode.UNAVAILABLE, "not now")
        else:
            node.answers = (proposal_response_pb2.ProposalResponse(response=answer),)
        await node.start()
    admin = authority("Org1MSP").issue("admin")
    peers = OwnPeers((PeerAddress(f"peer{n}", node.endpoint) for n, node in enumerate(started)), admin, admin)
    for peer in peers.all:
        peer.joined = frozenset({CHANNEL})
    try:
        yield peers
    finally:
        await peers.close()
        await asyncio.gather(*(node.stop() for node in started))


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


async def test_a_peer_that_is_silent_is_not_waited_for_again_and_tells_so_once(peers: OwnPeers) -> None:
    # Given
    first, told = peers.all[0], []
    first.fell_silent = lambda: told.append(first.name)
    for _ in range(2):
        with pytest.raises(TransportError):
            await first.fetch_channels()

    # When
    state = await first.observe(CHANNEL, "basic:" + "00" * 32)

    # Then
    assert not state.reachable
    assert "cannot be reached" in state.problem
    assert told == ["peer0"]


async def test_what_one_peer_cannot_say_another_one_is_asked(peers: OwnPeers) -> None:
    # Given
    asked: list[str] = []

    async def question(peer: OwnPeer) -> str:
        asked.append(peer.name)
        if peer.name == "peer0":
            raise ChaincodeError(500, "cannot serve block [1]")
        return "block"

    # When
    answer = await peers.ask(CHANNEL, question)

    # Then
    assert (answer, asked) == ("block", ["peer0", "peer1"])


async def test_what_no_peer_can_say_is_what_the_first_one_said(peers: OwnPeers) -> None:
    async def question(peer: OwnPeer) -> str:
        raise ChaincodeError(500, f"{peer.name} does not know")

    with pytest.raises(ChaincodeError, match="peer0 does not know"):
        await peers.ask(CHANNEL, question)


async def test_an_approval_that_one_peer_lacks_the_text_of_is_read_from_another(peers: OwnPeers) -> None:
    # Given
    class Lifecycle:
        async def query_approved(self, *_: object, **__: object) -> None:
            raise ChaincodeError(500, "private data matching public hash version is not available")

    class Knowing:
        async def query_approved(self, _: str, name: str, sequence: int, **__: object) -> ApprovedDefinition:
            return ApprovedDefinition(Definition(name=name, version="1.0", sequence=sequence), "basic:" + "00" * 32)

    first, second = peers.all
    first.lifecycle, second.lifecycle = cast("Any", Lifecycle()), cast("Any", Knowing())

    # When
    found = await fetch_approval(peers, CHANNEL, "basic", 2)

    # Then
    assert found is not None
    assert found.package_id == "basic:" + "00" * 32


async def test_only_peers_that_answer_are_outside_a_channel(peers: OwnPeers) -> None:
    joined = await peers.are_outside(CHANNEL)
    for peer in peers.all:
        peer.joined = frozenset()

    assert not joined
    assert not await peers.are_outside(CHANNEL)
    # One that gave no answer is not waited for again.
    assert all(peer.silence is not None for peer in peers.all)


@pytest.mark.parametrize(
    ("answers", "lines"),
    [
        pytest.param((OFFERED, OFFERED), (Line.FABRIC_3, Line.FABRIC_3), id="new-ones"),
        pytest.param((OFFERED, UNMAPPED), (Line.FABRIC_3, Line.FABRIC_2_5), id="one-is-older"),
        pytest.param((OFFERED, None), (Line.FABRIC_3, None), id="one-is-silent"),
    ],
)
async def test_which_releases_peers_are_of_is_not_guessed(
    answers: tuple[proposal_response_pb2.Response | None, ...], lines: tuple[Line | None, ...]
) -> None:
    async with nodes(*answers) as peers:
        found = await peers.fetch_releases(CHANNEL)
    assert tuple(each.line for each in found) == lines
    assert [bool(each.problem) for each in found] == [line is None for line in lines]


class Node:
    """A peer of one channel that is of a release, or away."""

    def __init__(self) -> None:
        self.line, self.channels_joined, self.is_away, self.asked = Line.FABRIC_3, [CHANNEL], False, 0

    async def channels(self, **_: object) -> list[str]:
        self._answer()
        return self.channels_joined

    async def query_approved_all(self, *_: object, **__: object) -> None:
        self._answer()
        if self.line is Line.FABRIC_2_5:
            raise NotOffered("QueryApprovedChaincodeDefinitions", "3.0", "query each name")

    def _answer(self) -> None:
        self.asked += 1
        if self.is_away:
            raise TransportError("peer0", "gone")


def away(peer: OwnPeer) -> None:
    peer._lose(TransportError("peer0", "gone"))


@pytest.mark.parametrize("go", [pytest.param(OwnPeer.forget, id="looked-at-anew"), pytest.param(away, id="silent")])
async def test_what_a_peer_said_it_is_stands_while_it_is_away_and_is_read_when_it_is_back(
    peers: OwnPeers, go: Callable[[OwnPeer], None]
) -> None:
    # Given
    peer, node = peers.all[0], Node()
    peer.system, peer.lifecycle = cast("Any", node), cast("Any", node)
    before = await peer.fetch_release(CHANNEL)

    # When
    node.is_away = True
    go(peer)
    meanwhile = await peer.fetch_release(CHANNEL)
    node.is_away, node.line = False, Line.FABRIC_2_5
    await peer.fetch_channels()
    after = await peer.fetch_release(CHANNEL)

    # Then
    assert (before.line, meanwhile.line, after.line) == (Line.FABRIC_3, Line.FABRIC_3, Line.FABRIC_2_5)
    assert (bool(before.problem), bool(meanwhile.problem), bool(after.problem)) == (False, True, False)


async def test_a_peer_that_is_not_in_the_channel_need_not_be_of_any_release(peers: OwnPeers) -> None:
    # Given
    peer, node = peers.all[0], Node()
    peer.system, peer.lifecycle = cast("Any", node), cast("Any", node)
    node.line, node.channels_joined = Line.FABRIC_2_5, []

    # When
    peer.forget()
    found = await peer.fetch_release(CHANNEL)
    away(peer)
    gone = await peer.fetch_release(CHANNEL)

    # Then: nor while it is away
    assert (found.line, found.problem) == (Line.FABRIC_3, "")
    assert (gone.line, bool(gone.problem)) == (Line.FABRIC_3, True)


async def test_who_is_silent_is_not_waited_for_to_say_its_release(peers: OwnPeers) -> None:
    # Given
    peer, node = peers.all[0], Node()
    peer.system, peer.lifecycle = cast("Any", node), cast("Any", node)
    away(peer)

    # When
    found = await peer.fetch_release(CHANNEL)

    # Then
    assert (found.line, node.asked) == (None, 0)
    assert "gone" in found.problem

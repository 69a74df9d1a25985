"""Whether committed chaincodes run: which questions own peers are asked, and which they are spared."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import grpc
import pytest
import pytest_asyncio
from fabric_protos.peer import proposal_response_pb2
from unit.fabric.authority import authority
from unit.fabric_io.scripted import ScriptedNode

from fabric_devnet.crypto import CertificateAuthority
from opssc_chaincode.contract import OpsscChaincode
from opssc_chaincode.shim.server import Server
from opssc_operator.domain.runtime import PeerReach, Reached, RuntimeSeen
from opssc_operator.domain.server_address import ServerAddress
from opssc_operator.ledger.peers import OwnPeers, PeerAddress
from opssc_operator.ledger.runtime import Runtime, RuntimeLooks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from unit.fabric_io.scripted import Context

CHANNEL = "mychannel"
ITS_OWN = ServerAddress("{{.chaincode_host}}:9999", asked=False)
OURS, OLD = (f"asset:{digit * 64}" for digit in "ab")
RUNTIME = Runtime(CHANNEL, "asset", 1, OURS, ("peer0",), ITS_OWN)
NOT_NOW = (grpc.StatusCode.UNAVAILABLE, "not now")
HANGS = (grpc.StatusCode.DEADLINE_EXCEEDED, "waiting for a server")
DUE = "invalid invocation: chaincode 'asset' has not been initialized for this version, must call as init first"


def clock() -> datetime:
    return datetime.now(UTC)


def response(status: int, message: str = "") -> proposal_response_pb2.ProposalResponse:
    return proposal_response_pb2.ProposalResponse(
        response=proposal_response_pb2.Response(status=status, message=message)
    )


class Peer(ScriptedNode):
    """A peer that answers for itself whatever becomes of its chaincodes; `requests` are those about the chaincode."""

    async def _single(self, request: bytes, context: Context) -> bytes:
        if CHANNEL.encode() not in request and self.status == HANGS:
            return response(200).SerializeToString()
        return await super()._single(request, context)


@pytest_asyncio.fixture
async def peers() -> AsyncIterator[tuple[Peer, Peer]]:
    """Two peers that know no chaincode: a refusal is an answer all the same."""
    tls = CertificateAuthority.create("tlsca.test", "test")
    nodes = Peer(tls), Peer(tls)
    for node in nodes:
        node.status = NOT_NOW
        await node.start()
    yield nodes
    for node in nodes:
        await node.stop()


@pytest.fixture
def peer(peers: tuple[Peer, Peer]) -> Peer:
    return peers[0]


@pytest.fixture
def moment() -> list[float]:
    """What the clock says before the first question, each of which takes ten seconds; tests move it on."""
    return [1000.0]


@pytest_asyncio.fixture
async def own(peers: tuple[Peer, Peer]) -> AsyncIterator[OwnPeers]:
    admin = authority("Org1MSP").issue("admin")
    own = OwnPeers([PeerAddress(f"peer{number}", peers[number].endpoint) for number in range(2)], admin, admin)
    yield own
    await own.close()


@pytest_asyncio.fixture
async def looks(own: OwnPeers, peer: Peer, moment: list[float]) -> AsyncIterator[RuntimeLooks]:
    looks = RuntimeLooks(own, clock=lambda: moment[0] + 10.0 * len(peer.requests))
    yield looks
    await looks.close()


async def look(looks: RuntimeLooks, runtime: Runtime = RUNTIME) -> RuntimeSeen:
    """What is known after whoever is due was asked."""
    looks.look(runtime, lambda: None)
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name().startswith("asking for the server")))
    seen = looks._find(runtime).seen(runtime, 0.0)
    assert looks._find(runtime).told
    return seen


async def test_what_is_new_is_told_once(looks: RuntimeLooks) -> None:
    # Given
    told: list[str] = []
    changed = asyncio.Event()

    def tell() -> None:
        told.append("news")
        changed.set()

    # When
    assert looks.look(RUNTIME, tell) is None
    async with asyncio.timeout(20):
        await changed.wait()

    # Then
    seen = looks.look(RUNTIME, tell)
    assert seen is not None
    assert seen.reaches == (PeerReach("peer0", Reached.UNKNOWN),)
    assert told == ["news"]


async def test_no_peer_is_sent_to_a_server_that_runs_another_package(looks: RuntimeLooks, peer: Peer) -> None:
    async with Server(OpsscChaincode(clock), address="127.0.0.1:0", package_id=OLD) as server:
        address = ServerAddress(f"127.0.0.1:{server.port}", asked=True)
        seen = await look(looks, replace(RUNTIME, server=address, init_due=True))

    assert (seen.registers, seen.reaches, peer.requests) == (OLD, (), [])


async def test_no_peer_is_sent_to_where_the_server_of_another_package_was_just_now(
    looks: RuntimeLooks, peer: Peer, moment: list[float]
) -> None:
    # Given
    async with Server(OpsscChaincode(clock), address="127.0.0.1:0", package_id=OLD) as server:
        runtime = replace(RUNTIME, server=ServerAddress(f"127.0.0.1:{server.port}", asked=True))
        await look(looks, runtime)

    # When nobody listens
    moment[0] += 11.0
    seen = await look(looks, runtime)

    # Then
    assert (seen.registers, peer.requests) == (OLD, [])


async def test_peers_are_asked_once_the_server_itself_names_the_package(looks: RuntimeLooks, peer: Peer) -> None:
    async with Server(OpsscChaincode(clock), address="127.0.0.1:0", package_id=OURS) as server:
        address = ServerAddress(f"127.0.0.1:{server.port}", asked=True, shared_with="asset-2")
        seen = await look(looks, replace(RUNTIME, server=address))

    assert (seen.registers, seen.reaches) == (OURS, (PeerReach("peer0", Reached.UNKNOWN),))
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    ("shared_with", "init_due", "questions"),
    [
        pytest.param("asset-2", False, 0, id="shared"),
        pytest.param("asset-2", True, 1, id="shared-and-init-is-checked-first-by-one"),
        pytest.param("", False, 2, id="its-own"),
    ],
)
async def test_a_server_that_cannot_be_asked_spares_peers_only_where_another_package_has_its_address(
    looks: RuntimeLooks, peers: tuple[Peer, Peer], *, shared_with: str, init_due: bool, questions: int
) -> None:
    # Given
    address = ServerAddress("{{.chaincode_host}}:9999", asked=False, shared_with=shared_with)
    runtime = replace(RUNTIME, server=address, init_due=init_due, peers=("peer0", "peer1"))

    # When
    for _ in range(2):
        seen = await look(looks, runtime)

    # Then
    assert seen.registers is None
    assert sum(len(peer.requests) for peer in peers) == questions


@pytest.mark.parametrize(
    ("status", "questions"),
    [pytest.param(None, 2, id="an-answer-that-held-nobody-up"), pytest.param(NOT_NOW, 1, id="no-answer")],
)
async def test_a_resync_asks_anew_where_that_holds_nobody_up(
    looks: RuntimeLooks, peer: Peer, status: tuple[grpc.StatusCode, str] | None, questions: int
) -> None:
    # Given
    peer.status, peer.answers = status, (response(500, "no such function"),)
    await look(looks)

    # When
    looks.forget()
    await look(looks)

    # Then
    assert len(peer.requests) == questions


@pytest.mark.parametrize(
    ("seconds", "registers", "questions"),
    [
        pytest.param(11.0, False, 1, id="the-server-alone"),
        pytest.param(11.0, True, 2, id="peers-once-it-names-the-package"),
        pytest.param(301.0, False, 2, id="peers-after-thirty-times-as-long"),
    ],
)
async def test_a_peer_that_took_long_is_spared_until_the_server_names_the_package(
    looks: RuntimeLooks,
    peer: Peer,
    moment: list[float],
    unused_tcp_port: int,
    *,
    seconds: float,
    registers: bool,
    questions: int,
) -> None:
    # Given: nobody listens, and the peer takes its time
    runtime = replace(RUNTIME, server=ServerAddress(f"127.0.0.1:{unused_tcp_port}", asked=True))
    await look(looks, runtime)

    # When
    moment[0] += seconds
    server = Server(OpsscChaincode(clock), address=f"127.0.0.1:{unused_tcp_port}", package_id=OURS)
    if registers:
        await server.start()
    await look(looks, runtime)
    await server.stop(0)

    # Then
    assert len(peer.requests) == questions


async def test_a_peer_that_waits_for_a_server_is_spared_whoever_else_comes_and_goes(
    looks: RuntimeLooks, peers: tuple[Peer, Peer], own: OwnPeers, moment: list[float]
) -> None:
    # Given
    first, second = peers
    first.status, first.answers = None, (response(200),)
    second.status = HANGS
    both = replace(RUNTIME, peers=("peer0", "peer1"))
    seen = await look(looks, both)
    assert [reach.reached for reach in seen.reaches] == [Reached.YES, Reached.SILENT]

    # When it is not counted for a while, a resync is made, and the definition gets another sequence
    for runtime in (RUNTIME, both, replace(both, sequence=2)):
        moment[0] += 190.0
        looks.forget()
        seen = await look(looks, runtime)

    # Then
    assert len(second.requests) == 1
    assert {reach.peer: reach.reached for reach in seen.reaches}["peer1"] is Reached.SILENT

    # and it is no silent peer in anything else
    assert own.get("peer1").silence is None

    # When another package runs it
    await look(looks, replace(both, package_id=OLD))

    # Then
    assert len(second.requests) == 2


async def test_a_peer_that_answers_nothing_at_all_does_not_wait_for_a_server(
    looks: RuntimeLooks, peer: Peer, moment: list[float]
) -> None:
    # Given: also about itself
    peer.status = (grpc.StatusCode.DEADLINE_EXCEEDED, "not in time")

    # When
    seen = await look(looks)

    # Then it is asked again as usual
    assert seen.reaches == (PeerReach("peer0", Reached.UNKNOWN),)
    asked = len(peer.requests)
    moment[0] += 11.0
    await look(looks)
    assert len(peer.requests) == 2 * asked


async def test_a_peer_that_came_while_others_were_asked_is_asked_as_well(
    looks: RuntimeLooks, peers: tuple[Peer, Peer]
) -> None:
    # Given: a question that is under way
    first, second = peers
    first.silent, first.status, second.status = True, None, None
    first.answers = second.answers = (response(200),)
    told = asyncio.Event()
    looks.look(RUNTIME, told.set)
    async with asyncio.timeout(20):
        await first.asked.wait()

    # When
    both = replace(RUNTIME, peers=("peer0", "peer1"))
    looks.look(both, told.set)
    first.answer.set()

    # Then
    async with asyncio.timeout(20):
        await told.wait()
    seen = looks.look(both, told.set)
    assert seen is not None
    assert [reach.reached for reach in seen.reaches] == [Reached.YES, Reached.UNKNOWN]
    assert [reach.reached for reach in (await look(looks, both)).reaches] == [Reached.YES, Reached.YES]


async def test_an_answer_that_is_out_of_date_is_news_for_who_looked_meanwhile(
    looks: RuntimeLooks, peers: tuple[Peer, Peer]
) -> None:
    # Given: what a resync asks again has the same answer
    first, _ = peers
    first.status, first.answers = None, (response(200),)
    await look(looks)
    looks.forget()
    first.silent = True
    first.asked.clear()
    told = asyncio.Event()
    looks.look(RUNTIME, told.set)
    async with asyncio.timeout(20):
        await first.asked.wait()

    # When
    looks.look(replace(RUNTIME, peers=("peer0", "peer1")), told.set)
    first.answer.set()

    # Then
    async with asyncio.timeout(20):
        await told.wait()


async def test_whether_init_is_due_is_asked_whenever_something_happened(looks: RuntimeLooks, peer: Peer) -> None:
    # Given
    peer.status, peer.answers = None, (response(500, DUE),)
    runtime = replace(RUNTIME, init_due=True)
    before = await look(looks, runtime)

    # When
    peer.answers = (response(200),)
    after = await look(looks, runtime)

    # Then
    assert [reach.initialized for seen in (before, after) for reach in seen.reaches] == [False, True]

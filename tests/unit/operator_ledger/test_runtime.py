"""Whether committed chaincodes run: which questions own peers are asked, and which they are spared."""

from __future__ import annotations

import asyncio
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
from opssc_operator.domain.runtime import PeerReach, Reached, RuntimeSeen, ServerAddress
from opssc_operator.ledger.peers import OwnPeers, PeerAddress
from opssc_operator.ledger.runtime import Runtime, RuntimeLooks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ITS_OWN = ServerAddress("{{.chaincode_host}}:9999", asked=False)
OURS, OLD = (f"asset:{digit * 64}" for digit in "ab")


def clock() -> datetime:
    return datetime.now(UTC)


@pytest_asyncio.fixture
async def peer() -> AsyncIterator[ScriptedNode]:
    """A peer that knows no chaincode: its refusal is an answer all the same."""
    node = ScriptedNode(CertificateAuthority.create("tlsca.test", "test"))
    node.status = (grpc.StatusCode.UNAVAILABLE, "not now")
    await node.start()
    yield node
    await node.stop()


@pytest.fixture
def moment() -> list[float]:
    """What the clock says before the first question, each of which takes ten seconds; tests move it on."""
    return [1000.0]


@pytest_asyncio.fixture
async def looks(peer: ScriptedNode, moment: list[float]) -> AsyncIterator[RuntimeLooks]:
    admin = authority("Org1MSP").issue("admin")
    peers = OwnPeers([PeerAddress("peer0", peer.endpoint)], admin, admin)
    looks = RuntimeLooks(peers, clock=lambda: moment[0] + 10.0 * len(peer.requests))
    yield looks
    await looks.close()
    await peers.close()


async def look(looks: RuntimeLooks, server: ServerAddress) -> RuntimeSeen:
    changed = asyncio.Event()
    runtime = Runtime("mychannel", "asset", OURS, ("peer0",), server)
    assert looks.look(runtime, changed.set) is None
    async with asyncio.timeout(20):
        await changed.wait()
    seen = looks.look(runtime, changed.set)
    assert seen is not None
    return seen


async def answered() -> None:
    """Wait until nothing is being asked."""
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name().startswith("asking for the server")))
    # What hangs on the end of a task runs after it.
    await asyncio.sleep(0)


async def test_no_peer_is_sent_to_a_server_that_runs_another_package(looks: RuntimeLooks, peer: ScriptedNode) -> None:
    async with Server(OpsscChaincode(clock), address="127.0.0.1:0", package_id=OLD) as server:
        seen = await look(looks, ServerAddress(f"127.0.0.1:{server.port}", asked=True))

    assert (seen.registers, seen.reaches, peer.requests) == (OLD, (), [])


async def test_peers_are_asked_once_the_server_itself_names_the_package(
    looks: RuntimeLooks, peer: ScriptedNode
) -> None:
    async with Server(OpsscChaincode(clock), address="127.0.0.1:0", package_id=OURS) as server:
        seen = await look(looks, ServerAddress(f"127.0.0.1:{server.port}", asked=True, shared_with="asset-2"))

    assert (seen.registers, seen.reaches) == (OURS, (PeerReach("peer0", Reached.UNKNOWN),))
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    ("shared_with", "questions"), [pytest.param("asset-2", 0, id="shared"), pytest.param("", 1, id="its-own")]
)
async def test_a_server_that_cannot_be_asked_spares_peers_only_where_another_package_has_its_address(
    looks: RuntimeLooks, peer: ScriptedNode, shared_with: str, questions: int
) -> None:
    seen = await look(looks, ServerAddress("{{.chaincode_host}}:9999", asked=False, shared_with=shared_with))

    assert seen.registers is None
    assert len(peer.requests) == questions


@pytest.mark.parametrize(
    ("status", "questions"),
    [
        pytest.param(None, 2, id="an-answer-that-held-nobody-up"),
        pytest.param((grpc.StatusCode.UNAVAILABLE, "not now"), 1, id="no-answer"),
    ],
)
async def test_a_resync_asks_anew_where_that_holds_nobody_up(
    looks: RuntimeLooks, peer: ScriptedNode, status: tuple[grpc.StatusCode, str] | None, questions: int
) -> None:
    # Given
    peer.status = status
    peer.answers = (
        proposal_response_pb2.ProposalResponse(
            response=proposal_response_pb2.Response(status=500, message="no such function")
        ),
    )
    await look(looks, ITS_OWN)
    await answered()

    # When
    looks.forget()
    looks.look(Runtime("mychannel", "asset", OURS, ("peer0",), ITS_OWN), lambda: None)
    await answered()

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
    peer: ScriptedNode,
    moment: list[float],
    unused_tcp_port: int,
    *,
    seconds: float,
    registers: bool,
    questions: int,
) -> None:
    # Given: nobody listens, and the peer takes its time
    address = ServerAddress(f"127.0.0.1:{unused_tcp_port}", asked=True)
    await look(looks, address)
    await answered()

    # When
    moment[0] += seconds
    server = Server(OpsscChaincode(clock), address=address.address, package_id=OURS)
    if registers:
        await server.start()
    looks.look(Runtime("mychannel", "asset", OURS, ("peer0",), address), lambda: None)
    await answered()
    await server.stop(0)

    # Then
    assert len(peer.requests) == questions

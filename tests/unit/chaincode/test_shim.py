"""The chaincode server over real gRPC, as a peer sees it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import grpc
import grpc.aio
import pytest
from unit.chaincode.identities import server_tls
from unit.chaincode.peer import DEADLINE_SECONDS, ChaincodeMessage, Peer, connected, transaction

from opssc_chaincode.shim.errors import ServerError
from opssc_chaincode.shim.server import TLS, Server
from opssc_tools.asset.chaincode import AssetChaincode

PACKAGE_ID = "asset-1:" + "0" * 64


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server(AssetChaincode(), address="127.0.0.1:0", package_id=PACKAGE_ID) as server:
        yield server


@pytest.fixture
async def channel(server: Server) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel


@pytest.fixture
async def peer(channel: grpc.aio.Channel) -> AsyncIterator[Peer]:
    async with connected(channel, PACKAGE_ID) as peer:
        yield peer


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another task brings about."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not condition():  # noqa: ASYNC110 - the condition is the test's, nothing announces it
            await asyncio.sleep(0.005)


async def test_state_is_written_and_read(peer: Peer) -> None:
    written = await peer.invoke("t1", "Set", "car", "blue")
    read = await peer.invoke("t2", "Get", "car")
    await peer.invoke("t3", "Delete", "car")
    missing = await peer.invoke("t4", "Get", "car")

    assert (written.status, read.payload) == (200, b"blue")
    assert (missing.status, missing.message) == (404, "asset car does not exist")


async def test_fifty_transactions_run_at_the_same_time(peer: Peer) -> None:
    everyone_waits = asyncio.Event()
    peer.hold = everyone_waits.wait
    running = [asyncio.create_task(peer.invoke(f"t{number}", "Increment", f"k{number}")) for number in range(50)]

    await until(lambda: peer.waiting == 50)
    everyone_waits.set()
    answers = await asyncio.gather(*running)

    assert [answer.payload for answer in answers] == [b"1"] * 50


async def test_an_event_travels_with_the_answer(peer: Peer) -> None:
    message = await peer.send(transaction("t1", "Emit", "sold", "car"))

    assert (message.chaincode_event.event_name, message.chaincode_event.payload) == ("sold", b"car")


async def test_a_range_is_read_to_its_end_without_composite_keys(peer: Peer) -> None:
    peer.state = {f"k{number}": b"v" for number in range(8)} | {"\x00composite\x00": b"x"}

    answer = await peer.invoke("t1", "List", "", "")

    assert sorted(json.loads(answer.payload)) == [f"k{number}" for number in range(8)]
    assert peer.requests.count("QUERY_STATE_NEXT") == 2


async def test_pages_go_on_at_their_bookmark(peer: Peer) -> None:
    peer.state = {f"k{number}": b"v" for number in range(8)}

    first = json.loads((await peer.invoke("t1", "Page", "k", "l", "5", "")).payload)
    second = json.loads((await peer.invoke("t2", "Page", "k", "l", "5", first["bookmark"])).payload)

    assert (list(first["items"]), first["bookmark"]) == (["k0", "k1", "k2", "k3", "k4"], "k5")
    assert (list(second["items"]), second["bookmark"]) == (["k5", "k6", "k7"], "")


async def test_history_is_newest_first(peer: Peer) -> None:
    peer.state["car"] = b"blue"

    history = json.loads((await peer.invoke("t1", "History", "car")).payload)

    assert [(entry["value"], entry["isDelete"]) for entry in history] == [("", True), ("blue", False)]


async def test_a_failure_of_the_state_ends_the_transaction_with_fabrics_text(peer: Peer) -> None:
    peer.fail.add("car")

    message = await peer.send(transaction("t1", "Get", "car"))

    assert message.type == ChaincodeMessage.ERROR
    assert message.payload == b"GET_STATE failed: transaction ID: t1: the ledger is closed"
    assert (await peer.invoke("t2", "Set", "bike", "red")).status == 200


async def test_a_bug_in_the_chaincode_ends_its_own_transaction_only(
    peer: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    crashed = await peer.invoke("t1", "Crash")

    assert (crashed.status, crashed.message) == (500, "internal error of the chaincode")
    assert "crashed on purpose" in caplog.text
    assert (await peer.invoke("t2", "Set", "car", "blue")).status == 200


async def test_refusals_keep_status_and_message(peer: Peer) -> None:
    answer = await peer.invoke("t1", "Fail", "409", "not now")

    assert (answer.status, answer.message) == (409, "not now")


@pytest.mark.parametrize(
    "args",
    [(), ("Nothing",), ("Set", "car"), ("Get", b"\xff"), ("Get", ""), ("Page", "", "", "0", "")],
    ids=["no function", "unknown", "argument missing", "not UTF-8", "empty key", "empty page"],
)
async def test_calls_that_make_no_sense_are_refused(peer: Peer, args: tuple[str | bytes, ...]) -> None:
    assert (await peer.invoke("t1", *args)).status in {400, 404}


async def test_initialisation_is_told_apart(peer: Peer) -> None:
    assert (await peer.invoke("t1", "Init", "x", init=True)).status == 200
    assert (await peer.invoke("t2", "Init", "x")).status == 400


@pytest.mark.parametrize("damage", ["proposal", "arguments", "timestamp"])
async def test_a_transaction_that_does_not_parse_is_answered(peer: Peer, damage: str) -> None:
    message = transaction("t1", "Get", "car", seconds=2**62 if damage == "timestamp" else 0)
    if damage == "proposal":
        message.proposal.proposal_bytes = b"\xff"
    elif damage == "arguments":
        message.payload = b"\xff"

    answer = await peer.send(message)

    assert answer.type == ChaincodeMessage.ERROR
    assert (await peer.invoke("t2", "Set", "car", "blue")).status == 200


async def test_a_message_out_of_order_is_answered_by_an_error(peer: Peer) -> None:
    odd = ChaincodeMessage(type=ChaincodeMessage.REGISTER, txid="t1", channel_id="mychannel")

    answer = await peer.send(odd)

    assert answer.type == ChaincodeMessage.ERROR


async def test_keepalives_need_no_answer(peer: Peer) -> None:
    await peer.write(ChaincodeMessage(type=ChaincodeMessage.KEEPALIVE))

    assert (await peer.invoke("t1", "Set", "car", "blue")).status == 200


async def test_a_peer_that_left_in_the_middle_may_come_back(channel: grpc.aio.Channel) -> None:
    async with connected(channel, PACKAGE_ID) as peer:
        peer.hold = asyncio.Event().wait
        abandoned = asyncio.create_task(peer.invoke("t1", "Get", "car"))
        await until(lambda: peer.waiting == 1)
        abandoned.cancel()

    async with connected(channel, PACKAGE_ID) as again:
        answer = await again.invoke("t1", "Set", "car", "blue")

    assert answer.status == 200


async def test_several_peers_are_served_apart(channel: grpc.aio.Channel) -> None:
    async with connected(channel, PACKAGE_ID) as one, connected(channel, PACKAGE_ID) as other:
        one.state["car"], other.state["car"] = b"blue", b"red"

        answers = await asyncio.gather(one.invoke("t1", "Get", "car"), other.invoke("t1", "Get", "car"))

    assert [answer.payload for answer in answers] == [b"blue", b"red"]


async def test_stopping_lets_a_running_transaction_finish(server: Server, peer: Peer) -> None:
    go_on = asyncio.Event()
    peer.hold = go_on.wait
    running = asyncio.create_task(peer.invoke("t1", "Increment", "k"))
    await until(lambda: peer.waiting == 1)

    stopping = asyncio.create_task(server.stop(DEADLINE_SECONDS))
    go_on.set()

    assert (await running).payload == b"1"
    async with asyncio.timeout(DEADLINE_SECONDS):
        await stopping


async def test_stopping_does_not_wait_for_ever(server: Server, peer: Peer) -> None:
    peer.hold = asyncio.Event().wait
    stuck = asyncio.create_task(peer.invoke("t1", "Get", "car"))
    await until(lambda: peer.waiting == 1)

    async with asyncio.timeout(DEADLINE_SECONDS):
        await server.stop(0.01)

    stuck.cancel()


async def test_tls_with_client_certificates() -> None:
    tls = server_tls()
    server = Server(
        AssetChaincode(),
        address="localhost:0",
        package_id=PACKAGE_ID,
        tls=TLS(tls.certificate, tls.private_key, client_ca=tls.certificate),
    )
    credentials = grpc.ssl_channel_credentials(tls.certificate, tls.private_key, tls.certificate)

    async with (
        server,
        grpc.aio.secure_channel(f"localhost:{server.port}", credentials) as channel,
        connected(channel, PACKAGE_ID) as peer,
    ):
        assert (await peer.invoke("t1", "Set", "car", "blue")).status == 200


async def test_two_servers_never_share_an_address(server: Server) -> None:
    second = Server(AssetChaincode(), address=f"127.0.0.1:{server.port}", package_id=PACKAGE_ID)

    with pytest.raises(ServerError, match="cannot listen"):
        await second.start()


async def test_a_package_id_is_needed() -> None:
    with pytest.raises(ServerError, match="package ID"):
        Server(AssetChaincode(), address="127.0.0.1:0", package_id="")

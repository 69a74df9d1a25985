"""What a peer does with a chaincode server, message by message."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from component.rawchaincode import Kind, Refused, Transaction, ok
from component.rawdeployment import RawDeployment
from conformance.consortium import eventually
from fabric_protos.ledger.queryresult import kv_query_result_pb2
from fabric_protos.peer import chaincode_event_pb2, chaincode_pb2, proposal_response_pb2
from fabric_protos.peer import chaincode_shim_pb2 as shim
from fabric_protos.peer.lifecycle import lifecycle_pb2

from fabric_admin.errors import CommitFailed, DeadlineExceeded, GatewayError
from fabric_admin.policy import parse
from fabric_devnet.release import FABRIC_3_1

if TYPE_CHECKING:
    from conformance.consortium import Consortium

pytestmark = pytest.mark.asyncio(loop_scope="session")
EVERYBODY = ("Org1MSP", "Org2MSP", "Org3MSP")


async def put(transaction: Transaction, key: str, value: str, collection: str = "") -> None:
    await transaction.ask(Kind.PUT_STATE, shim.PutState(key=key, value=value.encode(), collection=collection))


async def get(transaction: Transaction, key: str, collection: str = "") -> bytes:
    return await transaction.ask(Kind.GET_STATE, shim.GetState(key=key, collection=collection))


async def query(
    transaction: Transaction, start: str, end: str, page: shim.QueryMetadata | None = None
) -> shim.QueryResponse:
    metadata = page.SerializeToString() if page is not None else b""
    request = shim.GetStateByRange(startKey=start, endKey=end, metadata=metadata)
    return shim.QueryResponse.FromString(await transaction.ask(Kind.GET_STATE_BY_RANGE, request))


def keys(response: shim.QueryResponse) -> list[str]:
    return [kv_query_result_pb2.KV.FromString(result.resultBytes).key for result in response.results]


async def write_everything(_msp_id: str, transaction: Transaction) -> proposal_response_pb2.Response:
    """Write each argument as key with itself as value."""
    for key in transaction.args:
        await put(transaction, key, key)
    return ok()


async def test_a_range_of_250_keys_comes_in_batches_of_100_and_without_its_end(raw: RawDeployment) -> None:  # 69
    raw.script = write_everything
    await raw.submit(*(f"k{number:03}" for number in range(251)))
    batches: list[tuple[int, bool]] = []
    seen: list[str] = []

    async def read(_msp_id: str, transaction: Transaction) -> proposal_response_pb2.Response:
        response = await query(transaction, "k000", "k250")
        while True:
            batches.append((len(response.results), response.has_more))
            seen.extend(keys(response))
            if not response.has_more:
                return ok()
            request = shim.QueryStateNext(id=response.id)
            response = shim.QueryResponse.FromString(await transaction.ask(Kind.QUERY_STATE_NEXT, request))

    raw.script = read
    await raw.evaluate()

    assert batches == [(100, True), (100, True), (50, False)]
    assert seen == [f"k{number:03}" for number in range(250)]


async def test_pages_are_continued_by_their_bookmark_and_forbid_writing(raw: RawDeployment) -> None:
    raw.script = write_everything
    await raw.submit("a", "b", "c")
    pages: list[tuple[list[str], int, str]] = []

    async def read(_msp_id: str, transaction: Transaction) -> proposal_response_pb2.Response:
        bookmark = ""
        while True:
            response = await query(transaction, "a", "", shim.QueryMetadata(pageSize=2, bookmark=bookmark))
            metadata = shim.QueryResponseMetadata.FromString(response.metadata)
            pages.append((keys(response), metadata.fetched_records_count, metadata.bookmark))
            bookmark = metadata.bookmark
            if not bookmark:
                break
        await put(transaction, "d", "d")
        return ok()

    raw.script = read
    with pytest.raises(GatewayError) as refused:
        await raw.evaluate()

    assert pages == [(["a", "b"], 2, "c"), (["c"], 1, "")]
    assert "unsuppored transaction. Transaction has already performed a paginated query. Writes are not allowed" in (
        refused.value.details[0].message
    )


async def test_a_transaction_does_not_read_what_it_wrote(raw: RawDeployment) -> None:  # 28
    raw.script = write_everything
    await raw.submit("k")

    async def overwrite(_msp_id: str, transaction: Transaction) -> proposal_response_pb2.Response:
        await put(transaction, "k", "new")
        return ok(await get(transaction, "k"))

    raw.script = overwrite
    assert await raw.evaluate() == b"k"


async def test_history_is_newest_first_and_shows_deletes(raw: RawDeployment) -> None:  # 70
    raw.script = write_everything
    first = await raw.submit("k")

    async def delete(_msp_id: str, transaction: Transaction) -> proposal_response_pb2.Response:
        await transaction.ask(Kind.DEL_STATE, shim.DelState(key="k"))
        return ok()

    raw.script = delete
    second = await raw.submit()
    found: list[tuple[str, bytes, bool]] = []

    async def read(_msp_id: str, transaction: Transaction) -> proposal_response_pb2.Response:
        payload = await transaction.ask(Kind.GET_HISTORY_FOR_KEY, shim.GetHistoryForKey(key="k"))
        for result in shim.QueryResponse.FromString(payload).results:
            entry = kv_query_result_pb2.KeyModification.FromString(result.resultBytes)
            found.append((entry.tx_id, entry.value, entry.is_delete))
        return ok()

    raw.script = read
    await raw.evaluate()

    assert found == [(second.transaction_id, b"", True), (first.transaction_id, b"k", False)]


async def test_batches_of_writes_and_reads_are_carried_out_in_order(raw: RawDeployment) -> None:
    async def write(_msp_id: str, transaction: Transaction) -> proposal_response_pb2.Response:
        kinds = shim.WriteRecord
        records = [
            shim.WriteRecord(key="a", value=b"1", type=kinds.PUT_STATE),
            shim.WriteRecord(key="a", value=b"2", type=kinds.PUT_STATE),
            shim.WriteRecord(key="b", value=b"3", type=kinds.PUT_STATE),
            shim.WriteRecord(key="b", type=kinds.DEL_STATE),
        ]
        await transaction.ask(Kind.WRITE_BATCH_STATE, shim.WriteBatchState(rec=records))
        return ok()

    raw.script = write
    if raw.consortium.network.release < FABRIC_3_1:
        # The peer said at READY that it has no batches; a shim that asks nevertheless loses its stream.
        with pytest.raises(GatewayError) as refused:
            await raw.submit()
        assert refused.value.details[0].message.endswith(": error sending: chaincode stream terminated")
        return
    await raw.submit()

    async def read(_msp_id: str, transaction: Transaction) -> proposal_response_pb2.Response:
        return ok(await transaction.ask(Kind.GET_STATE_MULTIPLE, shim.GetStateMultiple(keys=["b", "a", "nosuch"])))

    raw.script = read
    assert list(shim.GetStateMultipleResult.FromString(await raw.evaluate()).values) == [b"", b"2", b""]


async def test_rich_queries_are_refused_as_on_leveldb(raw: RawDeployment) -> None:
    async def ask(_msp_id: str, transaction: Transaction) -> proposal_response_pb2.Response:
        await transaction.ask(Kind.GET_QUERY_RESULT, shim.GetQueryResult(query="{}"))
        return ok()

    raw.script = ask
    with pytest.raises(GatewayError, match="ExecuteQuery not supported for leveldb") as refused:
        await raw.evaluate()

    assert refused.value.details[0].message.startswith(
        "error in simulation: transaction returned with failure: GET_QUERY_RESULT failed: transaction ID: "
    )


async def test_a_key_with_its_own_policy_needs_that_policy_alone(raw: RawDeployment) -> None:
    async def protect(_msp_id: str, transaction: Transaction) -> proposal_response_pb2.Response:
        await put(transaction, "k", "1")
        policy = shim.StateMetadata(
            metakey="VALIDATION_PARAMETER", value=parse("OR('Org3MSP.peer')").SerializeToString()
        )
        await transaction.ask(Kind.PUT_STATE_METADATA, shim.PutStateMetadata(key="k", metadata=policy))
        return ok()

    raw.script = protect
    await raw.submit()
    raw.script = write_everything
    raw.calls.clear()

    await raw.submit("k", organization=2)
    asked = list(raw.calls)
    with pytest.raises(CommitFailed) as failed:
        await raw.submit("k", endorsing=("Org1MSP", "Org2MSP"))

    assert asked == ["Org3MSP"]
    assert failed.value.code == "ENDORSEMENT_POLICY_FAILURE"


async def test_chaincodes_call_each_other_in_one_transaction(consortium: Consortium, raw: RawDeployment) -> None:
    async with RawDeployment.start(consortium, f"{raw.name}-other") as other:
        other.script = write_everything

        async def call(_msp_id: str, transaction: Transaction) -> proposal_response_pb2.Response:
            transaction.event = chaincode_event_pb2.ChaincodeEvent(event_name="outer")
            await put(transaction, "mine", "mine")
            reply = Kind.FromString(await transaction.ask(Kind.INVOKE_CHAINCODE, invocation(other.name, b"theirs")))
            return proposal_response_pb2.Response.FromString(reply.payload)

        raw.script = call
        await raw.submit()

        async def read(_msp_id: str, transaction: Transaction) -> proposal_response_pb2.Response:
            return ok(await get(transaction, transaction.args[0]))

        raw.script = other.script = read
        assert await raw.evaluate("mine") == b"mine"
        assert await other.evaluate("theirs") == b"theirs"
        assert await raw.evaluate("theirs") == b""


@pytest.mark.parametrize(
    ("target", "text"),
    [
        pytest.param(
            "ghost",
            "execute failed: invalid invocation: [channel mychannel] failed to get chaincode container info for ghost: "
            "chaincode ghost not found",
            id="unknown chaincode",
        ),
        pytest.param("ghost/nowhere", "Failed to get policy manager for channel [nowhere]", id="unknown channel"),
        pytest.param("", "execute failed: error sending: txid: ", id="itself"),
    ],
)
async def test_a_call_that_cannot_be_made_is_refused(raw: RawDeployment, target: str, text: str) -> None:
    async def call(_msp_id: str, transaction: Transaction) -> proposal_response_pb2.Response:
        await transaction.ask(Kind.INVOKE_CHAINCODE, invocation(target or raw.name, b"x"))
        return ok()

    raw.script = call
    with pytest.raises(GatewayError) as refused:
        await raw.evaluate()

    assert f": {text}" in refused.value.details[0].message
    assert "INVOKE_CHAINCODE failed: transaction ID: " in refused.value.details[0].message


async def test_lifecycle_can_be_asked_from_a_chaincode_but_qscc_cannot(raw: RawDeployment) -> None:
    async def call(_msp_id: str, transaction: Transaction) -> proposal_response_pb2.Response:
        query_args = lifecycle_pb2.QueryChaincodeDefinitionArgs(name=raw.name).SerializeToString()
        asked = {
            "_lifecycle": invocation("_lifecycle", b"QueryChaincodeDefinition", query_args),
            "qscc": invocation("qscc", b"GetChainInfo", b"mychannel"),
        }
        reply = Kind.FromString(await transaction.ask(Kind.INVOKE_CHAINCODE, asked[transaction.args[0]]))
        return proposal_response_pb2.Response.FromString(reply.payload)

    raw.script = call
    definition = lifecycle_pb2.QueryChaincodeDefinitionResult.FromString(await raw.evaluate("_lifecycle"))
    with pytest.raises(GatewayError) as refused:
        await raw.evaluate("qscc")

    assert definition.sequence == 1
    assert refused.value.message.endswith(
        "Rejecting invoke of QSCC from another chaincode because of potential for deadlocks, "
        f"original invocation for '{raw.name}'"
    )


async def test_a_server_that_is_down_is_named_and_tried_again_next_time(raw: RawDeployment) -> None:  # 26
    await raw.stop_server("Org1MSP")
    refusals = []

    async def dialled() -> bool:
        with pytest.raises(GatewayError) as refused:
            await raw.evaluate()
        refusals.append((refused.value.code, refused.value.details[0].message))
        # Until the peer has noticed, it uses the stream that has ended.
        return not refusals[-1][1].endswith(": error sending: chaincode stream terminated")

    await eventually(dialled)
    await raw.start_server("Org1MSP")

    code, detail = refusals[-1]
    assert code == "ABORTED"
    assert detail.startswith("error in simulation: failed to execute transaction ")
    assert f": could not launch chaincode {raw.package_id}: connection to {raw.package_id} failed: " in detail
    assert detail.endswith('connect: connection refused"')
    assert await raw.evaluate() == b""


async def test_a_server_that_dies_ends_its_transactions_and_is_dialled_again(raw: RawDeployment) -> None:  # 27
    running = asyncio.Event()

    async def hang(_msp_id: str, _transaction: Transaction) -> proposal_response_pb2.Response:
        running.set()
        await asyncio.Event().wait()
        return ok()

    raw.script = hang
    call = asyncio.create_task(raw.evaluate())
    await running.wait()
    await raw.stop_server("Org1MSP")
    with pytest.raises(GatewayError) as refused:
        await call
    server = await raw.start_server("Org1MSP")
    raw.script = write_everything

    assert refused.value.details[0].message.endswith(": error sending: chaincode stream terminated")
    assert await raw.evaluate() == b""
    batches = "080110e807180120e807" if raw.consortium.network.release >= FABRIC_3_1 else ""
    assert [payload.hex() for payload in server.ready] == [batches]


ENDED_WITH_ITS_SERVER = ("chaincode registration failed: connection to ", "chaincode stream terminated")
"""What a call is told that joined the launch, or the stream, of a server that stopped meanwhile."""


async def test_a_server_that_registers_another_package_is_never_used(raw: RawDeployment) -> None:
    client, channel = raw.consortium.first.client, raw.consortium.channel
    await raw.stop_server("Org1MSP")
    await raw.start_server("Org1MSP", "another:1")

    with pytest.raises(DeadlineExceeded):
        await client.evaluate(channel, raw.name, [b"f"], timeout_seconds=0.5)
    await raw.stop_server("Org1MSP")
    await raw.start_server("Org1MSP")

    assert raw.calls == []

    async def used() -> bool:
        try:
            return await raw.evaluate() == b""
        except GatewayError as exc:
            if not any(text in str(exc) for text in ENDED_WITH_ITS_SERVER):
                raise
            return False

    await eventually(used)


async def test_a_request_of_an_unknown_transaction_does_not_end_the_stream(raw: RawDeployment) -> None:
    async def ask(_msp_id: str, transaction: Transaction) -> proposal_response_pb2.Response:
        stranger = Kind(type=Kind.GET_STATE, txid="nosuch", channel_id="mychannel")
        await transaction.send(stranger)
        return ok(await get(transaction, "k"))

    raw.script = ask
    assert await raw.evaluate() == b""


async def test_fifty_transactions_share_one_stream(raw: RawDeployment) -> None:
    release = asyncio.Event()
    running = 0

    async def wait(_msp_id: str, transaction: Transaction) -> proposal_response_pb2.Response:
        nonlocal running
        running += 1
        if running == 50:
            release.set()
        await release.wait()
        return ok(transaction.args[0].encode())

    raw.script = wait
    answers = await asyncio.gather(*(raw.evaluate(str(number)) for number in range(50)))

    assert answers == [str(number).encode() for number in range(50)]


async def test_a_definition_that_requires_initialization_is_initialized_first_and_once(
    consortium: Consortium,
) -> None:  # 35
    async with RawDeployment.start(consortium, "needsinit", init_required=True) as raw:
        with pytest.raises(GatewayError) as early:
            await raw.evaluate()
        await raw.submit(is_init=True)
        with pytest.raises(GatewayError) as late:
            await raw.evaluate(is_init=True)
        answer = await raw.evaluate()

    assert early.value.details[0].message.endswith(
        "invalid invocation: chaincode 'needsinit' has not been initialized for this version, must call as init first"
    )
    assert late.value.details[0].message.endswith(
        "invalid invocation: chaincode 'needsinit' is already initialized but called as init"
    )
    assert answer == b""


async def test_initializing_what_does_not_require_it_is_refused(raw: RawDeployment) -> None:  # 35
    with pytest.raises(GatewayError) as refused:
        await raw.evaluate(is_init=True)

    assert refused.value.details[0].message.endswith(
        f"invalid invocation: chaincode '{raw.name}' does not require initialization but called as init"
    )


async def test_the_text_of_an_error_message_reaches_the_caller(raw: RawDeployment) -> None:
    async def fail(_msp_id: str, _transaction: Transaction) -> proposal_response_pb2.Response:
        raise Refused("out of order")

    raw.script = fail
    with pytest.raises(GatewayError) as refused:
        await raw.evaluate()

    assert refused.value.details[0].message == "error in simulation: transaction returned with failure: out of order"


def invocation(target: str, *args: bytes) -> chaincode_pb2.ChaincodeSpec:
    return chaincode_pb2.ChaincodeSpec(
        chaincode_id=chaincode_pb2.ChaincodeID(name=target), input=chaincode_pb2.ChaincodeInput(args=args)
    )

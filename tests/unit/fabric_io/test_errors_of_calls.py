"""Every way a call can fail becomes one error of the tree, never a gRPC exception."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import pytest
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2
from fabric_protos.orderer import ab_pb2
from fabric_protos.peer import events_pb2, proposal_response_pb2

from fabric_admin.clock import new_moment
from fabric_admin.deliver import Deliver
from fabric_admin.endorser import Endorser
from fabric_admin.errors import (
    BlockError,
    ChaincodeError,
    CommitFailed,
    DeadlineExceeded,
    DeliverError,
    ErrorDetail,
    GatewayError,
    IdentityError,
    OrdererRefused,
    RequestRefused,
    TransportError,
)
from fabric_admin.gateway import Gateway
from fabric_admin.orderer import Orderer
from fabric_admin.proposal import build_envelope
from fabric_admin.transport import Connection, Endpoint
from fabric_devnet.crypto import CertificateAuthority

if TYPE_CHECKING:
    from unit.fabric_io.scripted import ScriptedNode

    from fabric_admin.identity import SigningIdentity

# google.rpc.Status{details: Any{gateway.ErrorDetail{address: "a:1", msp_id: "Org2MSP", message: "no"}}}, by hand.
DETAIL = b"\x0a\x03a:1\x12\x07Org2MSP\x1a\x02no"
URL = b"type.googleapis.com/gateway.ErrorDetail"
PACKED = b"\x0a" + bytes([len(URL)]) + URL + b"\x12" + bytes([len(DETAIL)]) + DETAIL
STATUS = b"\x08\x0a\x12\x03out\x1a" + bytes([len(PACKED)]) + PACKED


async def call_of(connection: Connection, signer: SigningIdentity) -> object:
    return await Endorser(connection, signer).call("qscc", (b"GetChainInfo",))


async def test_a_port_nobody_listens_on_is_a_transport_error(
    tls: CertificateAuthority, signer: SigningIdentity, unused_tcp_port: int
) -> None:
    address = f"127.0.0.1:{unused_tcp_port}"

    async with Connection(Endpoint(address, tls.certificate_pem)) as connection:
        with pytest.raises(TransportError) as failure:
            await Endorser(connection, signer).call("qscc", (b"GetChainInfo",))
        with pytest.raises(TransportError):
            await connection.ready()

    assert failure.value.endpoint == address
    assert not isinstance(failure.value, DeadlineExceeded)


async def test_a_server_of_another_authority_is_a_transport_error(node: ScriptedNode, signer: SigningIdentity) -> None:
    other = CertificateAuthority.create("tlsca.other", "other")

    async with Connection(Endpoint(node.endpoint.address, other.certificate_pem)) as connection:
        with pytest.raises(TransportError):
            await Endorser(connection, signer).call("qscc", (b"GetChainInfo",))


async def test_a_server_name_replaces_the_host_in_the_certificate_check(
    node: ScriptedNode, tls: CertificateAuthority
) -> None:
    named = Endpoint(node.endpoint.address, tls.certificate_pem, server_name="peer0.test")
    misnamed = Endpoint(node.endpoint.address, tls.certificate_pem, server_name="peer9.test")

    async with Connection(named) as connection, Connection(misnamed) as wrong:
        await connection.ready()
        with pytest.raises(TransportError):
            await wrong.ready()


async def test_a_silent_server_is_given_up_after_the_deadline(
    node: ScriptedNode, connection: Connection, signer: SigningIdentity
) -> None:
    node.silent = True

    with pytest.raises(DeadlineExceeded):
        await Endorser(connection, signer).call("qscc", (b"GetChainInfo",), timeout_seconds=0.3)


async def test_a_closed_connection_is_a_transport_error(node: ScriptedNode, signer: SigningIdentity) -> None:
    connection = Connection(node.endpoint)
    await connection.close()

    with pytest.raises(TransportError):
        await Endorser(connection, signer).call("qscc", (b"GetChainInfo",))


@pytest.mark.parametrize("streaming", [pytest.param(True, id="stream"), pytest.param(False, id="call")])
async def test_closing_a_connection_ends_its_calls_with_a_transport_error(
    node: ScriptedNode, signer: SigningIdentity, *, streaming: bool
) -> None:
    node.silent = True
    connection = Connection(node.endpoint)
    deliver = Deliver(connection, signer)
    waiting = anext(deliver.blocks("mychannel", start=0)) if streaming else call_of(connection, signer)
    task = asyncio.ensure_future(waiting)
    await asyncio.wait_for(node.asked.wait(), 10)

    await connection.close()

    with pytest.raises(TransportError):
        await task


async def test_cancelling_a_task_that_waits_for_a_peer_cancels_it(
    node: ScriptedNode, connection: Connection, signer: SigningIdentity
) -> None:
    node.silent = True
    task = asyncio.ensure_future(call_of(connection, signer))
    await asyncio.wait_for(node.asked.wait(), 10)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    "endpoint",
    [
        pytest.param(Endpoint("localhost:1", b"no certificate"), id="ca-is-no-pem"),
        pytest.param(Endpoint("localhost:1", b"", client_certificate=b"x"), id="ca-is-empty"),
    ],
)
async def test_unreadable_tls_material_is_said_before_connecting(endpoint: Endpoint) -> None:
    with pytest.raises(IdentityError):
        Connection(endpoint)


async def test_a_client_certificate_without_its_key_is_said_before_connecting(tls: CertificateAuthority) -> None:
    endpoint = Endpoint("localhost:1", tls.certificate_pem, client_certificate=tls.certificate_pem)

    with pytest.raises(IdentityError):
        Connection(endpoint)


async def test_a_peers_refusal_before_simulating_keeps_code_and_text(
    node: ScriptedNode, connection: Connection, signer: SigningIdentity
) -> None:
    node.status = (grpc.StatusCode.UNKNOWN, "error validating proposal: access denied")

    with pytest.raises(RequestRefused) as refusal:
        await Endorser(connection, signer).call("qscc", (b"GetChainInfo",))

    assert (refusal.value.code, refusal.value.message) == ("UNKNOWN", "error validating proposal: access denied")


@pytest.mark.parametrize(
    ("status", "accepted"),
    [
        pytest.param(199, False, id="below-success"),
        pytest.param(200, True, id="lowest-success"),
        pytest.param(399, True, id="highest-success"),
        pytest.param(400, False, id="lowest-failure"),
        pytest.param(500, False, id="error"),
    ],
)
async def test_a_chaincode_status_outside_200_to_399_is_an_error(
    node: ScriptedNode, connection: Connection, signer: SigningIdentity, status: int, *, accepted: bool
) -> None:
    response = proposal_response_pb2.Response(status=status, message="words", payload=b"bytes")
    node.answers = (proposal_response_pb2.ProposalResponse(response=response),)
    call = Endorser(connection, signer).call("asset", (b"Get",))

    if accepted:
        assert (await call).payload == b"bytes"
    else:
        with pytest.raises(ChaincodeError) as error:
            await call
        assert (error.value.status, error.value.message, error.value.payload) == (status, "words", b"bytes")


async def test_a_gateways_refusal_carries_what_each_endorser_said(
    node: ScriptedNode, connection: Connection, signer: SigningIdentity
) -> None:
    node.status = (grpc.StatusCode.ABORTED, "out")
    node.trailers = (("grpc-status-details-bin", STATUS),)

    with pytest.raises(GatewayError) as refusal:
        await Gateway(connection, signer).endorse("mychannel", "asset", (b"Set",))

    assert (refusal.value.code, refusal.value.message) == ("ABORTED", "out")
    assert refusal.value.details == (ErrorDetail("a:1", "Org2MSP", "no"),)


async def test_details_that_cannot_be_read_do_not_hide_the_refusal(
    node: ScriptedNode, connection: Connection, signer: SigningIdentity
) -> None:
    node.status = (grpc.StatusCode.ABORTED, "out")
    node.trailers = (("grpc-status-details-bin", b"\xff\xff\xff"),)

    with pytest.raises(GatewayError) as refusal:
        await Gateway(connection, signer).endorse("mychannel", "asset", (b"Set",))

    assert (refusal.value.message, refusal.value.details) == ("out", ())


@pytest.mark.parametrize(
    ("text", "error"),
    [
        pytest.param("failed to find any endorsing peers for org(s): Org2MSP", GatewayError, id="said-by-the-gateway"),
        pytest.param("no orderers could successfully process transaction", GatewayError, id="no-orderer"),
        pytest.param("transport is closing", TransportError, id="said-by-grpc"),
    ],
)
async def test_an_unavailable_gateway_is_told_from_an_unavailable_network(
    node: ScriptedNode, connection: Connection, signer: SigningIdentity, text: str, error: type[Exception]
) -> None:
    node.status = (grpc.StatusCode.UNAVAILABLE, text)

    with pytest.raises(error):
        await Gateway(connection, signer).endorse("mychannel", "asset", (b"Set",))


async def test_evaluating_names_the_own_organization_unless_told_otherwise(
    node: ScriptedNode, connection: Connection, signer: SigningIdentity
) -> None:
    node.answers = (gateway_pb2.EvaluateResponse(result=proposal_response_pb2.Response(status=200, payload=b"1")),)
    gateway = Gateway(connection, signer)

    own = await gateway.evaluate("mychannel", "asset", (b"Get",))
    await gateway.evaluate("mychannel", "asset", (b"Get",), target_organizations=("Org2MSP", "Org3MSP"))

    asked = [list(gateway_pb2.EvaluateRequest.FromString(raw).target_organizations) for raw in node.requests]
    assert own == b"1"
    assert asked == [["Org1MSP"], ["Org2MSP", "Org3MSP"]]


async def test_a_prepared_transaction_that_is_not_the_proposed_one_is_never_signed(
    node: ScriptedNode, connection: Connection, signer: SigningIdentity
) -> None:
    foreign = build_envelope(signer, common_pb2.ENDORSER_TRANSACTION, "mychannel", b"", new_moment())
    node.answers = (gateway_pb2.EndorseResponse(prepared_transaction=foreign),)

    with pytest.raises(BlockError):
        await Gateway(connection, signer).endorse("mychannel", "asset", (b"Set",))


@pytest.mark.parametrize(
    ("code", "name", "retryable"),
    [
        pytest.param(10, "ENDORSEMENT_POLICY_FAILURE", False, id="policy"),
        pytest.param(11, "MVCC_READ_CONFLICT", True, id="conflict"),
        pytest.param(200, "200", False, id="unknown-to-us"),
    ],
)
async def test_an_invalid_commit_keeps_its_code(
    node: ScriptedNode, connection: Connection, signer: SigningIdentity, code: int, name: str, *, retryable: bool
) -> None:
    answer = gateway_pb2.CommitStatusResponse(block_number=7)
    answer.MergeFromString(b"\x08" + (bytes([code]) if code < 128 else bytes([code & 0x7F | 0x80, code >> 7])))
    node.answers = (answer,)
    gateway = Gateway(connection, signer)

    status = await gateway.commit_status("mychannel", "ab")

    failure = CommitFailed(status.transaction_id, status.code, status.block_number)
    assert (status.code, status.block_number, failure.retryable) == (name, 7, retryable)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        pytest.param(common_pb2.FORBIDDEN, "FORBIDDEN", id="forbidden"),
        pytest.param(common_pb2.SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE", id="unavailable"),
    ],
)
async def test_a_stream_yields_what_came_before_its_status_and_then_raises_it(
    node: ScriptedNode,
    connection: Connection,
    signer: SigningIdentity,
    status: common_pb2.Status.ValueType,
    said: str,
) -> None:
    block = common_pb2.Block(header=common_pb2.BlockHeader(number=4))
    node.answers = (events_pb2.DeliverResponse(block=block), events_pb2.DeliverResponse(status=status))
    seen: list[int] = []

    with pytest.raises(DeliverError) as failure:
        async for each in Deliver(connection, signer).blocks("mychannel", start="newest"):
            seen.append(each.header.number)  # noqa: PERF401 - what came before the error counts

    assert (seen, failure.value.status) == ([4], said)


async def test_a_stream_that_breaks_off_is_a_transport_error(
    node: ScriptedNode, connection: Connection, signer: SigningIdentity
) -> None:
    node.answers = (events_pb2.DeliverResponse(filtered_block=events_pb2.FilteredBlock(number=1)),)
    seen: list[int] = []

    with pytest.raises(TransportError):
        async for each in Deliver(connection, signer).filtered("mychannel", start=1):
            seen.append(each.number)  # noqa: PERF401 - what came before the error counts

    assert seen == [1]


async def test_an_orderer_without_an_answer_is_a_transport_error(
    node: ScriptedNode, connection: Connection, signer: SigningIdentity
) -> None:
    orderer = Orderer(connection, signer)
    with pytest.raises(TransportError):
        await orderer.broadcast(common_pb2.Envelope())

    node.answers = (ab_pb2.BroadcastResponse(status=common_pb2.FORBIDDEN, info="permission denied"),)
    with pytest.raises(OrdererRefused) as refusal:
        await orderer.broadcast(common_pb2.Envelope())

    assert (refusal.value.status, refusal.value.info) == ("FORBIDDEN", "permission denied")


async def test_an_orderer_that_hangs_is_given_up_after_the_deadline(
    node: ScriptedNode, connection: Connection, signer: SigningIdentity
) -> None:
    node.silent = True
    orderer = Orderer(connection, signer)

    with pytest.raises(DeadlineExceeded):
        await orderer.broadcast(common_pb2.Envelope(), timeout_seconds=0.3)
    with pytest.raises(DeadlineExceeded):
        await orderer.fetch("mychannel", "newest", timeout_seconds=0.3)

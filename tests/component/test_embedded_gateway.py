"""How the embedded Gateway chooses peers, and how each of its failures looks to a client."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import grpc
import pytest
from component.proposing import propose
from component.rawchaincode import Kind, Transaction, ok
from conformance.consortium import eventually
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2, gateway_pb2_grpc
from fabric_protos.orderer import ab_pb2
from fabric_protos.peer import chaincode_event_pb2, proposal_response_pb2
from fabric_protos.peer import chaincode_shim_pb2 as shim

from fabric_admin.blocks import transactions
from fabric_admin.errors import DeadlineExceeded, GatewayError
from fabric_admin.gateway import Gateway
from fabric_devnet.embedded.injection import EmbeddedFaults
from fabric_devnet.faults import Fault, FaultKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from component.rawdeployment import RawDeployment
    from conformance.consortium import Consortium

pytestmark = pytest.mark.asyncio(loop_scope="session")
CHANNEL = "mychannel"


def stub(consortium: Consortium, organization: int = 0) -> gateway_pb2_grpc.GatewayAsyncStub:
    return gateway_pb2_grpc.GatewayStub(consortium.members[organization].connection.channel)


async def failure(call: Awaitable[object]) -> tuple[str, str]:
    """Await a call that must fail; its code and message."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return failed.value.code().name, str(failed.value.details())


def answering(
    response: Callable[[str], proposal_response_pb2.Response],
) -> Callable[[str, Transaction], Awaitable[proposal_response_pb2.Response]]:
    async def script(msp_id: str, transaction: Transaction) -> proposal_response_pb2.Response:
        await transaction.ask(Kind.PUT_STATE, shim.PutState(key="k", value=b"v"))
        return response(msp_id)

    return script


async def test_the_own_endorsement_is_reused_and_nobody_is_asked_in_vain(raw: RawDeployment) -> None:
    await raw.submit()

    assert len(raw.calls) == 2
    assert raw.calls[0] == "Org1MSP"


async def test_every_gateway_begins_with_its_own_organization(raw: RawDeployment) -> None:
    await raw.submit(organization=2)

    assert raw.calls[0] == "Org3MSP"


async def test_named_organizations_endorse_and_nobody_else(raw: RawDeployment) -> None:
    await raw.submit(endorsing=("Org3MSP", "Org2MSP"))

    assert sorted(raw.calls) == ["Org2MSP", "Org3MSP"]


async def test_an_organization_that_fails_is_replaced_by_another(raw: RawDeployment) -> None:
    await raw.stop_server("Org2MSP")

    await raw.submit()

    assert sorted(raw.calls) == ["Org1MSP", "Org3MSP"]


async def test_answers_that_differ_are_told_apart(raw: RawDeployment) -> None:
    raw.script = answering(lambda msp_id: ok(msp_id.encode()))

    with pytest.raises(GatewayError) as refused:
        await raw.submit()

    assert refused.value.code == "ABORTED"
    assert refused.value.message == (
        "failed to collect enough transaction endorsements, see attached details for more info"
    )
    assert {(each.msp_id, each.message) for each in refused.value.details} == {
        ("Org2MSP", "ProposalResponsePayloads do not match"),
        ("Org3MSP", "ProposalResponsePayloads do not match"),
    }


@pytest.mark.parametrize("status", [404, 500, 100], ids=["client error", "server error", "below 200"])
async def test_a_chaincode_that_refuses_is_quoted(embedded: Consortium, raw: RawDeployment, status: int) -> None:
    raw.script = answering(lambda _: proposal_response_pb2.Response(status=status, message="no"))

    with pytest.raises(GatewayError) as evaluated:
        await raw.evaluate()
    with pytest.raises(GatewayError) as endorsed:
        await raw.submit()

    assert (evaluated.value.code, evaluated.value.message) == (
        "UNKNOWN",
        f"evaluate call to endorser returned error: chaincode response {status}, no",
    )
    assert (endorsed.value.code, endorsed.value.message) == (
        "ABORTED",
        "failed to endorse transaction, see attached details for more info",
    )
    address = embedded.first.organization.peers[0].address
    assert [(each.address, each.msp_id, each.message) for each in endorsed.value.details] == [
        (address, "Org1MSP", f"chaincode response {status}, no")
    ]


async def test_a_gateway_without_the_chaincode_lets_others_endorse(embedded: Consortium, raw: RawDeployment) -> None:
    await raw.stop_server("Org1MSP")

    with pytest.raises(GatewayError) as refused:
        await raw.submit()
    await raw.submit(endorsing=("Org2MSP", "Org3MSP"))

    assert refused.value.message == "failed to endorse transaction, see attached details for more info"
    assert sorted(raw.calls) == ["Org2MSP", "Org3MSP"]


async def test_organizations_without_peers_are_named(raw: RawDeployment) -> None:
    with pytest.raises(GatewayError) as refused:
        await raw.submit(endorsing=("Org9MSP", "Org1MSP", "Org8MSP"))

    assert (refused.value.code, refused.value.message) == (
        "UNAVAILABLE",
        "failed to find any endorsing peers for org(s): Org9MSP, Org8MSP",
    )


@pytest.mark.parametrize(
    ("channel", "chaincode", "code", "text"),
    [
        pytest.param(
            "mychannel",
            "ghost",
            "FAILED_PRECONDITION",
            "no peers available to evaluate chaincode ghost in channel mychannel",
            id="chaincode",
        ),
        pytest.param(
            "nowhere",
            "ghost",
            "UNAVAILABLE",
            "failed to get config for channel [nowhere]: could not get last config for channel nowhere",
            id="channel",
        ),
    ],
)
async def test_evaluating_what_is_not_there_is_refused(
    embedded: Consortium, channel: str, chaincode: str, code: str, text: str
) -> None:
    with pytest.raises(GatewayError) as refused:
        await embedded.first.client.evaluate(channel, chaincode, [b"f"])

    assert (refused.value.code, refused.value.message) == (code, text)


@pytest.mark.parametrize(
    ("channel", "chaincode"),
    [("mychannel", "ghost"), ("nowhere", "ghost"), ("mychannel", "qscc")],
    ids=["unknown chaincode", "unknown channel", "chaincode nobody discovers"],
)
async def test_endorsing_what_has_no_metadata_is_refused(embedded: Consortium, channel: str, chaincode: str) -> None:
    args = [b"GetChainInfo", b"mychannel"]

    with pytest.raises(GatewayError) as refused:
        await embedded.first.client.endorse(channel, chaincode, args)

    assert (refused.value.code, refused.value.message) == (
        "FAILED_PRECONDITION",
        (
            "no combination of peers can be derived which satisfy the endorsement policy: "
            f"No metadata was found for chaincode {chaincode} in channel {channel}"
        ),
    )


async def test_system_chaincodes_can_be_evaluated(embedded: Consortium) -> None:
    info = common_pb2.Block()

    info.ParseFromString(
        await embedded.first.client.evaluate(CHANNEL, "qscc", [b"GetBlockByNumber", b"mychannel", b"0"])
    )

    assert info.header.number == 0


async def test_empty_requests_are_refused_with_what_they_lack(embedded: Consortium) -> None:
    service = stub(embedded)
    unsigned = gateway_pb2.SubmitRequest(channel_id=CHANNEL, prepared_transaction=common_pb2.Envelope(payload=b"x"))
    nowhere = gateway_pb2.SubmitRequest(
        channel_id="nowhere", prepared_transaction=common_pb2.Envelope(payload=b"x", signature=b"y")
    )
    channelless = propose(embedded.first.organization.client, "", "asset", [b"f"]).signed

    results = [
        await failure(service.Evaluate(gateway_pb2.EvaluateRequest())),
        await failure(service.Evaluate(gateway_pb2.EvaluateRequest(proposed_transaction=channelless))),
        await failure(service.Endorse(gateway_pb2.EndorseRequest())),
        await failure(service.Submit(gateway_pb2.SubmitRequest())),
        await failure(service.Submit(unsigned)),
        await failure(service.Submit(nowhere)),
        await failure(service.CommitStatus(gateway_pb2.SignedCommitStatusRequest())),
    ]

    assert results == [
        ("INVALID_ARGUMENT", "failed to unpack transaction proposal: a signed proposal is required"),
        ("INVALID_ARGUMENT", "failed to unpack transaction proposal: no channel id provided"),
        ("INVALID_ARGUMENT", "the proposed transaction must contain a signed proposal"),
        ("INVALID_ARGUMENT", "a prepared transaction is required"),
        ("INVALID_ARGUMENT", "prepared transaction must be signed"),
        (
            "FAILED_PRECONDITION",
            "failed to get config for channel [nowhere]: could not get last config for channel nowhere",
        ),
        ("INVALID_ARGUMENT", "a commit status request is required"),
    ]


async def test_a_refusal_of_the_orderer_is_passed_on(embedded: Consortium) -> None:
    request = gateway_pb2.SubmitRequest(
        channel_id=CHANNEL, prepared_transaction=common_pb2.Envelope(payload=b"", signature=b"y")
    )

    assert await failure(stub(embedded).Submit(request)) == (
        "ABORTED",
        (
            "received unsuccessful response from orderer: status=BAD_REQUEST, "
            "info=could not determine channel ID: header not set"
        ),
    )


async def test_without_an_orderer_nothing_is_submitted(embedded: Consortium, raw: RawDeployment) -> None:
    orderer = embedded.network.orderers[0]
    await orderer.stop()
    try:
        with pytest.raises(GatewayError) as refused:
            await raw.submit()
    finally:
        await orderer.start()

    assert (refused.value.code, refused.value.message) == (
        "UNAVAILABLE",
        "no orderers could successfully process transaction",
    )
    assert [each.address for each in refused.value.details] == [orderer.address]


async def test_only_a_reader_learns_how_a_transaction_ended(embedded: Consortium, raw: RawDeployment) -> None:
    submitted = await raw.submit()
    outsider = Gateway(embedded.first.connection, embedded.network.orderer_admin)

    with pytest.raises(GatewayError) as refused:
        await outsider.commit_status(CHANNEL, submitted.transaction_id)
    status = await embedded.members[2].client.commit_status(CHANNEL, submitted.transaction_id)

    assert refused.value.code == "PERMISSION_DENIED"
    assert refused.value.message.startswith(
        "Failed evaluating policy on signed data during check policy on channel [mychannel] "
        "with policy [/Channel/Application/Readers]: ["
    )
    assert (status.code, status.block_number) == ("VALID", submitted.block_number)


async def test_waiting_for_an_unknown_transaction_ends_with_the_callers_patience(embedded: Consortium) -> None:
    with pytest.raises(DeadlineExceeded):
        await embedded.first.client.commit_status(CHANNEL, "0" * 64, timeout_seconds=0.2)


async def test_transient_data_stay_in_the_gateways_organization(raw: RawDeployment) -> None:
    await raw.stop_server("Org1MSP")
    gateway, channel = raw.consortium.first.client, raw.consortium.channel

    with pytest.raises(GatewayError) as refused:
        await gateway.evaluate(channel, raw.name, [b"f"], transient={"secret": b"1"})

    assert [each.msp_id for each in refused.value.details] == ["Org1MSP"]
    assert raw.calls == []


def events_request(
    consortium: Consortium,
    chaincode: str,
    *,
    start_position: ab_pb2.SeekPosition | None = None,
    after_transaction_id: str = "",
) -> gateway_pb2.SignedChaincodeEventsRequest:
    identity = consortium.first.organization.client
    request = gateway_pb2.ChaincodeEventsRequest(
        channel_id=consortium.channel,
        chaincode_id=chaincode,
        identity=identity.creator,
        start_position=start_position,
        after_transaction_id=after_transaction_id,
    ).SerializeToString()
    return gateway_pb2.SignedChaincodeEventsRequest(request=request, signature=identity.sign(request))


async def emit(_msp_id: str, transaction: Transaction) -> proposal_response_pb2.Response:
    number = transaction.args[0]
    transaction.event = chaincode_event_pb2.ChaincodeEvent(event_name=f"event-{number}", payload=number.encode())
    await transaction.ask(Kind.PUT_STATE, shim.PutState(key="k", value=number.encode()))
    return ok()


async def take(consortium: Consortium, request: gateway_pb2.SignedChaincodeEventsRequest, count: int) -> list[bytes]:
    found: list[bytes] = []
    stream = stub(consortium).ChaincodeEvents(request, timeout=10)
    async for response in stream:
        found.extend(event.payload for event in response.events)
        if len(found) >= count:
            stream.cancel()
            break
    return found


async def test_events_of_valid_transactions_are_replayed_with_their_payload(
    embedded: Consortium, raw: RawDeployment
) -> None:
    raw.script = emit
    submitted = [await raw.submit(str(number)) for number in (1, 2)]
    with pytest.raises(Exception, match="ENDORSEMENT_POLICY_FAILURE"):
        await raw.submit("3", endorsing=("Org1MSP",))
    await raw.submit("4")
    beginning = ab_pb2.SeekPosition(specified=ab_pb2.SeekSpecified(number=0))

    everything = await take(embedded, events_request(embedded, raw.name, start_position=beginning), 3)
    later = await take(
        embedded, events_request(embedded, raw.name, after_transaction_id=submitted[0].transaction_id), 2
    )

    assert everything == [b"1", b"2", b"4"]
    assert later == [b"2", b"4"]


async def test_a_position_the_gateway_does_not_know_is_refused(embedded: Consortium) -> None:
    oldest = ab_pb2.SeekPosition(oldest=ab_pb2.SeekOldest())
    stream = stub(embedded).ChaincodeEvents(events_request(embedded, "asset", start_position=oldest))

    assert await failure(stream.read()) == (
        "INVALID_ARGUMENT",
        "invalid start position type: *orderer.SeekPosition_Oldest",
    )


async def test_a_refused_call_to_another_organizations_peer_becomes_a_detail(
    embedded: Consortium, raw: RawDeployment
) -> None:
    other = embedded.members[1].organization.peers[0]
    embedded.network.faults.add(
        Fault(kind=FaultKind.REFUSE, method="/protos.Endorser/ProcessProposal", endpoint=other.name)
    )

    with pytest.raises(GatewayError) as refused:
        await raw.submit(endorsing=("Org1MSP", "Org2MSP"))

    assert [(each.address, each.msp_id) for each in refused.value.details] == [(other.address, "Org2MSP")]
    assert refused.value.details[0].message.startswith("rpc error: code = Unavailable desc = ")


async def test_a_refused_call_of_a_client_is_unavailable(embedded: Consortium) -> None:
    peer = embedded.first.organization.peers[0]
    embedded.network.faults.add(Fault(kind=FaultKind.REFUSE, method="/gateway.Gateway/Evaluate", endpoint=peer.name))
    request = gateway_pb2.EvaluateRequest()

    first = await failure(stub(embedded).Evaluate(request))
    second = await failure(stub(embedded).Evaluate(request))

    assert first[0] == "UNAVAILABLE"
    assert second[0] == "INVALID_ARGUMENT"


async def test_a_dropped_call_ends_with_the_clients_deadline(embedded: Consortium) -> None:
    peer = embedded.first.organization.peers[0]
    embedded.network.faults.add(Fault(kind=FaultKind.DROP, method="/gateway.Gateway/Evaluate", endpoint=peer.name))

    code, _ = await failure(stub(embedded).Evaluate(gateway_pb2.EvaluateRequest(), timeout=0.2))

    assert code == "DEADLINE_EXCEEDED"


async def test_a_peer_that_is_stopped_is_not_asked_and_catches_up_later(
    embedded: Consortium, raw: RawDeployment
) -> None:
    peer = embedded.members[1].organization.peers[0]
    raw.script = answering(lambda _: ok())
    await peer.stop()
    try:
        submitted = await raw.submit()
        asked = list(raw.calls)
    finally:
        await peer.start()

    status = await embedded.members[1].client.commit_status(CHANNEL, submitted.transaction_id)

    assert sorted(asked) == ["Org1MSP", "Org3MSP"]
    assert status.code == "VALID"


async def test_two_transactions_on_one_key_do_not_both_win(raw: RawDeployment) -> None:
    numbers = itertools.count()

    async def increment(_msp_id: str, transaction: Transaction) -> proposal_response_pb2.Response:
        await transaction.ask(Kind.GET_STATE, shim.GetState(key="k"))
        await transaction.ask(Kind.PUT_STATE, shim.PutState(key="k", value=transaction.args[0].encode()))
        return ok()

    raw.script = increment
    outcomes = await asyncio.gather(*(raw.submit(str(next(numbers))) for _ in range(4)), return_exceptions=True)

    assert sum(not isinstance(outcome, Exception) for outcome in outcomes) == 1
    assert {str(outcome).rpartition(" ")[2] for outcome in outcomes if isinstance(outcome, Exception)} == {
        "MVCC_READ_CONFLICT"
    }


async def test_an_envelope_that_reaches_the_orderer_twice_is_committed_once(
    embedded: Consortium, raw: RawDeployment
) -> None:
    orderer = embedded.network.orderers[0]
    raw.script = answering(lambda _: ok())
    embedded.network.faults.add(
        Fault(kind=FaultKind.DUPLICATE, method="/orderer.AtomicBroadcast/Broadcast", endpoint=orderer.name)
    )

    submitted = await raw.submit()
    await raw.submit()
    block = await embedded.first.system.block_by_transaction(CHANNEL, submitted.transaction_id)
    history = [
        transaction.validation_code
        for number in (block.header.number, block.header.number + 1)
        for transaction in transactions(await embedded.first.system.block_by_number(CHANNEL, number))
        if transaction.tx_id == submitted.transaction_id
    ]

    assert history == ["VALID", "DUPLICATE_TXID"]


async def test_a_call_that_is_reordered_waits_for_the_next_one(embedded: Consortium, raw: RawDeployment) -> None:
    order: list[str] = []

    async def note(_msp_id: str, transaction: Transaction) -> proposal_response_pb2.Response:
        order.append(transaction.args[0])
        return ok()

    raw.script = note
    peer = embedded.first.organization.peers[0]
    faults = embedded.network.faults
    assert isinstance(faults, EmbeddedFaults)
    faults.add(Fault(kind=FaultKind.REORDER, method="/gateway.Gateway/Evaluate", endpoint=peer.name))

    async def held() -> bool:
        return faults.holding == 1

    early = asyncio.create_task(raw.evaluate("first"))
    await eventually(held)
    await raw.evaluate("second")
    await early

    assert order == ["second", "first"]

"""Envelopes as orderers and committing peers judge them: rows 29 to 33 and 36 to 38 of the checklist, and 59 to 66."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import grpc
import pytest
from component.proposing import assemble, endorse, propose
from component.rawchaincode import Kind, Transaction, ok
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2, gateway_pb2_grpc
from fabric_protos.orderer import ab_pb2, ab_pb2_grpc
from fabric_protos.peer import (
    chaincode_event_pb2,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)
from fabric_protos.peer import chaincode_shim_pb2 as shim

from fabric_admin import blocks
from fabric_admin.channelconfig import ChannelConfig
from fabric_admin.clock import new_moment
from fabric_admin.deliver import Deliver
from fabric_admin.errors import CommitFailed, DeadlineExceeded, GatewayError, OrdererRefused
from fabric_admin.identity import SigningIdentity
from fabric_admin.orderer import Orderer
from fabric_admin.policy import SignedData
from fabric_admin.proposal import build_envelope, build_seek, sign_payload
from fabric_admin.transport import Connection

if TYPE_CHECKING:
    from component.rawdeployment import RawDeployment
    from conformance.consortium import Consortium

pytestmark = pytest.mark.asyncio(loop_scope="session")
WRITERS = (
    "implicit policy evaluation failed - 0 sub-policies were satisfied, but this policy requires 1 of the 'Writers' "
    "sub-policies to be satisfied: permission denied"
)


async def bump(_msp_id: str, transaction: Transaction) -> proposal_response_pb2.Response:
    """Read and write one key, and emit an event of its name."""
    key = transaction.args[0]
    await transaction.ask(Kind.GET_STATE, shim.GetState(key=key))
    await transaction.ask(Kind.PUT_STATE, shim.PutState(key=key, value=b"v"))
    transaction.event = chaincode_event_pb2.ChaincodeEvent(event_name="bumped", payload=key.encode())
    return ok(b"done")


async def prepare(
    raw: RawDeployment, key: str, endorsers: tuple[int, ...] = (0, 1)
) -> tuple[str, common_pb2.Envelope, list[proposal_response_pb2.ProposalResponse]]:
    """Endorse a transaction of Org1's client; its identifier, envelope and endorsements."""
    consortium, client = raw.consortium, raw.consortium.first.organization.client
    proposal = propose(client, consortium.channel, raw.name, [key.encode()])
    answers = [await endorse(consortium.members[index].connection, proposal) for index in endorsers]
    return proposal.transaction_id, assemble(client, proposal, answers), answers


async def broadcast(consortium: Consortium, *envelopes: common_pb2.Envelope) -> None:
    async with Connection(consortium.network.orderers[0].endpoint) as connection:
        for envelope in envelopes:
            await Orderer(connection, consortium.first.organization.client).broadcast(envelope)


async def code_of(consortium: Consortium, transaction_id: str) -> str:
    return (await consortium.first.client.commit_status(consortium.channel, transaction_id)).code


def altered(envelope: common_pb2.Envelope, identity: SigningIdentity, action_change: str) -> common_pb2.Envelope:
    """Return the transaction with one thing changed after endorsement, signed again by its creator."""
    payload = common_pb2.Payload.FromString(envelope.payload)
    transaction = transaction_pb2.Transaction.FromString(payload.data)
    action = transaction_pb2.ChaincodeActionPayload.FromString(transaction.actions[0].payload)
    if action_change == "signature":
        good = action.action.endorsements[0].signature
        action.action.endorsements[0].signature = good[:-1] + bytes([good[-1] ^ 1])
    elif action_change == "duplicate":
        action.action.endorsements[1].CopyFrom(action.action.endorsements[0])
    else:
        content = proposal_pb2.ChaincodeProposalPayload.FromString(action.chaincode_proposal_payload)
        content.input += b"\x12\x00"
        action.chaincode_proposal_payload = content.SerializeToString()
    transaction.actions[0].payload = action.SerializeToString()
    payload.data = transaction.SerializeToString()
    return sign_payload(identity, payload.SerializeToString())


async def test_of_two_transactions_on_one_key_the_second_conflicts(raw: RawDeployment) -> None:  # 29
    raw.script = bump
    first, second = await prepare(raw, "k"), await prepare(raw, "k")

    await broadcast(raw.consortium, first[1], second[1])

    assert await code_of(raw.consortium, first[0]) == "VALID"
    assert await code_of(raw.consortium, second[0]) == "MVCC_READ_CONFLICT"


async def test_an_envelope_sent_twice_is_committed_once(raw: RawDeployment) -> None:  # 30
    raw.script = bump
    consortium = raw.consortium
    transaction_id, envelope, _ = await prepare(raw, "k")
    height = (await consortium.first.system.chain_info(consortium.channel)).height

    await broadcast(consortium, envelope, envelope)

    codes: list[str] = []
    async for block in Deliver(consortium.first.connection, consortium.first.organization.client).blocks(
        consortium.channel, start=height
    ):
        codes += [each.validation_code for each in blocks.transactions(block) if each.tx_id == transaction_id]
        if len(codes) == 2:
            break
    assert codes == ["VALID", "DUPLICATE_TXID"]
    assert await code_of(consortium, transaction_id) == "VALID"


async def test_peers_that_answer_differently_endorse_nothing_together(raw: RawDeployment) -> None:  # 32
    async def differ(msp_id: str, transaction: Transaction) -> proposal_response_pb2.Response:
        await transaction.ask(Kind.PUT_STATE, shim.PutState(key="k", value=msp_id.encode()))
        return ok()

    raw.script = differ
    with pytest.raises(GatewayError) as refused:
        await raw.submit(endorsing=("Org1MSP", "Org2MSP"))

    assert (refused.value.code, refused.value.message) == (
        "ABORTED",
        "failed to collect enough transaction endorsements, see attached details for more info",
    )
    assert {detail.message for detail in refused.value.details} == {"ProposalResponsePayloads do not match"}


@pytest.mark.parametrize("status", [404, 500])
async def test_the_chaincodes_refusal_is_quoted(raw: RawDeployment, status: int) -> None:  # 33
    async def refuse(_msp_id: str, _transaction: Transaction) -> proposal_response_pb2.Response:
        return proposal_response_pb2.Response(status=status, message="not today", payload=b"p")

    raw.script = refuse
    with pytest.raises(GatewayError) as evaluated:
        await raw.evaluate()
    with pytest.raises(GatewayError) as endorsed:
        await raw.submit()

    said = f"chaincode response {status}, not today"
    assert (evaluated.value.code, evaluated.value.message) == (
        "UNKNOWN",
        f"evaluate call to endorser returned error: {said}",
    )
    assert endorsed.value.code == "ABORTED"
    assert {detail.message for detail in endorsed.value.details} == {said}


@pytest.mark.timeout(180)
async def test_a_chaincode_that_hangs_is_given_up_after_30_seconds(raw: RawDeployment) -> None:  # 34
    async def hang(_msp_id: str, _transaction: Transaction) -> proposal_response_pb2.Response:
        await asyncio.Event().wait()
        return ok()

    raw.script = hang
    proposal = propose(raw.consortium.first.organization.client, raw.consortium.channel, raw.name, [b"f"])
    answer = await endorse(raw.consortium.first.connection, proposal)

    assert answer.response.status == 500
    assert answer.response.message == (
        f"error in simulation: failed to execute transaction {proposal.transaction_id}: error sending: "
        "timeout expired while executing transaction"
    )


async def test_an_envelope_signed_by_somebody_else_is_forbidden(raw: RawDeployment) -> None:  # 36
    raw.script = bump
    _, envelope, _ = await prepare(raw, "k")
    forged = sign_payload(raw.consortium.members[1].organization.client, envelope.payload)

    with pytest.raises(OrdererRefused) as refused:
        await broadcast(raw.consortium, forged)

    assert (refused.value.status, refused.value.info) == ("FORBIDDEN", WRITERS)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param("signature", "ENDORSEMENT_POLICY_FAILURE", id="endorsement-altered"),
        pytest.param("duplicate", "ENDORSEMENT_POLICY_FAILURE", id="endorser-twice"),
        pytest.param("payload", "INVALID_ENDORSER_TRANSACTION", id="proposal-altered"),
    ],
)
async def test_what_was_changed_after_endorsement_is_flagged(
    raw: RawDeployment, change: str, code: str
) -> None:  # 37-38
    raw.script = bump
    transaction_id, envelope, _ = await prepare(raw, "k")

    await broadcast(raw.consortium, altered(envelope, raw.consortium.first.organization.client, change))

    assert await code_of(raw.consortium, transaction_id) == code


async def seek(
    consortium: Consortium,
    identity: SigningIdentity,
    channel: str,
    start: ab_pb2.SeekPosition,
    stop: ab_pb2.SeekPosition,
) -> list[str]:
    """Ask the orderer for blocks; what came, blocks as "block" and the status by name."""
    content = build_seek(start, stop).SerializeToString()
    request = build_envelope(identity, common_pb2.DELIVER_SEEK_INFO, channel, content, new_moment())
    async with Connection(consortium.network.orderers[0].endpoint) as connection:
        call = ab_pb2_grpc.AtomicBroadcastStub(connection.channel).Deliver(timeout=20)
        await call.write(request)
        seen = []
        async for answer in call:
            if answer.WhichOneof("Type") == "status":
                seen.append(common_pb2.Status.Name(answer.status))
                break
            seen.append("block")
        call.cancel()
        return seen


def at(number: int) -> ab_pb2.SeekPosition:
    return ab_pb2.SeekPosition(specified=ab_pb2.SeekSpecified(number=number))


async def test_what_is_sought_is_sent_or_the_status_says_why_not(consortium: Consortium) -> None:  # 59
    client, channel = consortium.first.organization.client, consortium.channel
    newest = ab_pb2.SeekPosition(newest=ab_pb2.SeekNewest())
    stranger = stranger_to(consortium)

    assert await seek(consortium, client, channel, newest, newest) == ["block", "SUCCESS"]
    assert await seek(consortium, client, channel, at(1), at(0)) == ["BAD_REQUEST"]
    assert await seek(consortium, client, channel, at(4711), at(4711)) == ["NOT_FOUND"]
    assert await seek(consortium, client, "nosuch", at(0), at(0)) == ["NOT_FOUND"]
    assert await seek(consortium, stranger, channel, at(0), at(0)) == ["FORBIDDEN"]


def stranger_to(consortium: Consortium) -> SigningIdentity:
    """Return an identity that claims to be of Org2 with a certificate of Org1's."""
    client = consortium.first.organization.client
    return SigningIdentity("Org2MSP", client.certificate, client.private_key)


async def test_blocks_are_chained_and_signed_by_the_orderer(raw: RawDeployment) -> None:  # 60
    raw.script = bump
    consortium = raw.consortium
    await raw.submit("k")
    config = await consortium.first.system.config_block(consortium.channel)
    manager = ChannelConfig.from_block(config).msp_manager
    height = (await consortium.first.system.chain_info(consortium.channel)).height

    before = await consortium.first.system.block_by_number(consortium.channel, height - 2)
    block = await consortium.first.system.block_by_number(consortium.channel, height - 1)

    assert block.header.previous_hash == blocks.header_hash(before.header)
    assert block.header.data_hash == blocks.data_hash(block.data)
    metadata = common_pb2.Metadata.FromString(block.metadata.metadata[common_pb2.SIGNATURES])
    assert len(metadata.signatures) == 1
    for signature in metadata.signatures:
        creator = common_pb2.SignatureHeader.FromString(signature.signature_header).creator
        signed = SignedData(
            metadata.value + signature.signature_header + blocks.header_bytes(block.header),
            creator,
            signature.signature,
        )
        identity = manager.deserialize(signed.identity)
        assert identity.msp_id == "OrdererMSP"
        identity.verify(signed.data, signed.signature)


async def test_waiting_for_an_unknown_transaction_ends_with_the_deadline(consortium: Consortium) -> None:  # 62
    with pytest.raises(DeadlineExceeded):
        await consortium.first.client.commit_status(consortium.channel, "0" * 64, timeout_seconds=0.5)


async def events(consortium: Consortium, chaincode: str, count: int, **position: object) -> list[tuple[str, bytes]]:
    found = []
    stream = consortium.first.client.chaincode_events(consortium.channel, chaincode, **position)  # type: ignore[arg-type]
    async with asyncio.timeout(20), contextlib.aclosing(stream):
        async for event in stream:
            found.append((event.transaction_id, event.payload))
            if len(found) == count:
                return found
    return found


async def test_events_of_valid_transactions_come_with_their_payload(raw: RawDeployment) -> None:  # 64
    raw.script = bump
    first = await raw.submit("1")
    with pytest.raises(CommitFailed):
        await raw.submit("2", endorsing=("Org1MSP",))
    last = await raw.submit("3")

    everything = [(first.transaction_id, b"1"), (last.transaction_id, b"3")]
    assert await events(raw.consortium, raw.name, 2, start=0) == everything
    after = await events(raw.consortium, raw.name, 1, start=0, after_transaction_id=first.transaction_id)
    assert after == everything[1:]


@pytest.mark.parametrize("kind", ["oldest", "newest"])
async def test_events_begin_at_a_block_or_with_the_next_one(consortium: Consortium, kind: str) -> None:  # 65
    client = consortium.first.organization.client
    position = {
        "oldest": ab_pb2.SeekPosition(oldest=ab_pb2.SeekOldest()),
        "newest": ab_pb2.SeekPosition(newest=ab_pb2.SeekNewest()),
    }[kind]
    request = gateway_pb2.ChaincodeEventsRequest(
        channel_id=consortium.channel, chaincode_id="any", identity=client.creator, start_position=position
    ).SerializeToString()
    signed = gateway_pb2.SignedChaincodeEventsRequest(request=request, signature=client.sign(request))
    call = gateway_pb2_grpc.GatewayStub(consortium.first.connection.channel).ChaincodeEvents(signed, timeout=10)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call.read()

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details() == f"invalid start position type: *orderer.SeekPosition_{kind.title()}"


async def test_filtered_blocks_name_events_and_codes_but_no_payload(raw: RawDeployment) -> None:  # 66
    raw.script = bump
    consortium = raw.consortium
    with pytest.raises(CommitFailed) as failed:
        await raw.submit("k", endorsing=("Org1MSP",))
    number = failed.value.block_number

    stream = Deliver(consortium.first.connection, consortium.first.organization.client).filtered(
        consortium.channel, start=number, stop=number
    )
    found = [each async for block in stream for each in block.filtered_transactions]

    assert [(each.txid, transaction_pb2.TxValidationCode.Name(each.tx_validation_code)) for each in found] == [
        (failed.value.transaction_id, "ENDORSEMENT_POLICY_FAILURE")
    ]
    event = found[0].transaction_actions.chaincode_actions[0].chaincode_event
    assert (event.chaincode_id, event.tx_id, event.event_name, event.payload) == (
        raw.name,
        failed.value.transaction_id,
        "bumped",
        b"",
    )

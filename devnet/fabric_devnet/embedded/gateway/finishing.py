"""Submit, CommitStatus and ChaincodeEvents: what follows an endorsed transaction.

Source: fabric internal/pkg/gateway/submit.go, commitstatus.go, chaincodeevents.go.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final, TypeVar

import grpc
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2
from fabric_protos.peer import transaction_pb2
from google.protobuf.message import DecodeError, Message

from fabric_admin.policy import SignedData
from fabric_devnet.embedded.errors import AccessDenied, NodeUnreachable
from fabric_devnet.embedded.gateway.eventblocks import events_of
from fabric_devnet.embedded.gateway.refusal import GatewayRefused, detail

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fabric_devnet.embedded.acl import AccessControl
    from fabric_devnet.embedded.gateway.asking import Asking
    from fabric_devnet.embedded.ledger import Ledger

_CODES: Final = grpc.StatusCode
_CLIENT_ERRORS: Final = range(400, 500)
M = TypeVar("M", bound=Message)


async def submit(asking: Asking, request: gateway_pb2.SubmitRequest) -> gateway_pb2.SubmitResponse:
    """Hand a signed transaction to an orderer of the channel; raises GatewayRefused."""
    envelope, channel_id = request.prepared_transaction, request.channel_id
    if not request.HasField("prepared_transaction"):
        raise GatewayRefused(_CODES.INVALID_ARGUMENT, "a prepared transaction is required")
    if not envelope.signature:
        raise GatewayRefused(_CODES.INVALID_ARGUMENT, "prepared transaction must be signed")
    ledger = asking.local.ledgers.get(channel_id)
    if ledger is None:
        raise GatewayRefused(
            _CODES.FAILED_PRECONDITION,
            f"failed to get config for channel [{channel_id}]: could not get last config for channel {channel_id}",
        )
    orderers = list(asking.membership.orderers({endpoint.address for endpoint in ledger.config.orderer_endpoints}))
    if not orderers:
        raise GatewayRefused(_CODES.UNAVAILABLE, "no orderer nodes available")
    secrets.SystemRandom().shuffle(orderers)
    details: list[gateway_pb2.ErrorDetail] = []
    for orderer in orderers:
        try:
            response = await asking.membership.broadcast(orderer, envelope)
        except NodeUnreachable as exc:
            details.append(detail(orderer.node, exc.text))
            continue
        if response.status == common_pb2.Status.SUCCESS:
            return gateway_pb2.SubmitResponse()
        if response.status in _CLIENT_ERRORS:
            status = common_pb2.Status.Name(response.status)
            raise GatewayRefused(
                _CODES.ABORTED,
                f"received unsuccessful response from orderer: status={status}, info={response.info}",
            )
    raise GatewayRefused(_CODES.UNAVAILABLE, "no orderers could successfully process transaction", tuple(details))


async def commit_status(
    asking: Asking, access: AccessControl, signed: gateway_pb2.SignedCommitStatusRequest
) -> gateway_pb2.CommitStatusResponse:
    """Wait until a transaction is committed and tell how it ended; raises GatewayRefused."""
    if not signed.request:
        raise GatewayRefused(_CODES.INVALID_ARGUMENT, "a commit status request is required")
    request = _decode(gateway_pb2.CommitStatusRequest, signed.request)
    if not request.identity:
        raise GatewayRefused(_CODES.INVALID_ARGUMENT, "no identity provided")
    if not request.channel_id:
        raise GatewayRefused(_CODES.INVALID_ARGUMENT, "no channel ID provided")
    if not request.transaction_id:
        raise GatewayRefused(_CODES.INVALID_ARGUMENT, "transaction ID should not be empty")
    data = SignedData(data=signed.request, identity=request.identity, signature=signed.signature)
    ledger = _readable(asking, access, "gateway/CommitStatus", request.channel_id, data)
    status = await ledger.wait_for_transaction(request.transaction_id)
    return gateway_pb2.CommitStatusResponse(
        result=transaction_pb2.TxValidationCode.ValueType(status.code), block_number=status.block_number
    )


async def chaincode_events(
    asking: Asking, access: AccessControl, signed: gateway_pb2.SignedChaincodeEventsRequest
) -> AsyncIterator[gateway_pb2.ChaincodeEventsResponse]:
    """Stream a chaincode's events, one message per block that has any, for ever; raises GatewayRefused."""
    if not signed.request:
        raise GatewayRefused(_CODES.INVALID_ARGUMENT, "a chaincode events request is required")
    request = _decode(gateway_pb2.ChaincodeEventsRequest, signed.request)
    if not request.identity:
        raise GatewayRefused(_CODES.INVALID_ARGUMENT, "no identity provided")
    if not request.channel_id:
        raise GatewayRefused(_CODES.INVALID_ARGUMENT, "no channel ID provided")
    if not request.chaincode_id:
        raise GatewayRefused(_CODES.INVALID_ARGUMENT, "no chaincode ID provided")
    data = SignedData(data=signed.request, identity=request.identity, signature=signed.signature)
    ledger = _readable(asking, access, "gateway/ChaincodeEvents", request.channel_id, data)
    number, after = _start(request, ledger)
    while True:
        await ledger.wait_for_height(number + 1)
        events = events_of(ledger.block(number), request.chaincode_id, after)
        after = ""
        if events:
            yield gateway_pb2.ChaincodeEventsResponse(events=events, block_number=number)
        number += 1


def _start(request: gateway_pb2.ChaincodeEventsRequest, ledger: Ledger) -> tuple[int, str]:
    """Return the first block to look at, and the transaction in it up to which events are skipped."""
    if request.after_transaction_id:
        status = ledger.commit_status(request.after_transaction_id)
        if status is not None:
            return status.block_number, request.after_transaction_id
    kind = request.start_position.WhichOneof("Type")
    if kind == "specified":
        return request.start_position.specified.number, ""
    if kind in (None, "next_commit"):
        return ledger.height, ""
    name = {"oldest": "SeekPosition_Oldest", "newest": "SeekPosition_Newest"}[kind]
    raise GatewayRefused(_CODES.INVALID_ARGUMENT, f"invalid start position type: *orderer.{name}")


def _readable(asking: Asking, access: AccessControl, resource: str, channel_id: str, data: SignedData) -> Ledger:
    ledger = asking.local.ledgers.get(channel_id)
    try:
        access.check(resource, channel_id, ledger.config if ledger else None, data)
    except AccessDenied as exc:
        raise GatewayRefused(_CODES.PERMISSION_DENIED, exc.text) from exc
    if ledger is None:
        raise GatewayRefused(_CODES.NOT_FOUND, f"channel {channel_id} not found")
    return ledger


def _decode(message_type: type[M], data: bytes) -> M:
    try:
        return message_type.FromString(data)
    except DecodeError as exc:
        raise GatewayRefused(
            _CODES.INVALID_ARGUMENT, "invalid request: proto: cannot parse invalid wire-format data"
        ) from exc

"""The gRPC side of the Gateway: requests in, answers or coded errors out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
from fabric_protos.gateway import gateway_pb2, gateway_pb2_grpc

from fabric_devnet.embedded.errors import ProposalUnreadable
from fabric_devnet.embedded.gateway.endorsing import endorse_by_organizations, endorse_by_policy
from fabric_devnet.embedded.gateway.evaluation import evaluate
from fabric_devnet.embedded.gateway.finishing import chaincode_events, commit_status, submit
from fabric_devnet.embedded.gateway.refusal import GatewayRefused, abort
from fabric_devnet.embedded.proposals import unpack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fabric_protos.peer import proposal_pb2

    from fabric_devnet.embedded.acl import AccessControl
    from fabric_devnet.embedded.gateway.asking import Asking
    from fabric_devnet.embedded.proposals import UnpackedProposal

    EvaluateContext = grpc.aio.ServicerContext[gateway_pb2.EvaluateRequest, gateway_pb2.EvaluateResponse]
    EndorseContext = grpc.aio.ServicerContext[gateway_pb2.EndorseRequest, gateway_pb2.EndorseResponse]
    SubmitContext = grpc.aio.ServicerContext[gateway_pb2.SubmitRequest, gateway_pb2.SubmitResponse]
    CommitStatusContext = grpc.aio.ServicerContext[
        gateway_pb2.SignedCommitStatusRequest, gateway_pb2.CommitStatusResponse
    ]
    EventsContext = grpc.aio.ServicerContext[
        gateway_pb2.SignedChaincodeEventsRequest, gateway_pb2.ChaincodeEventsResponse
    ]


class GatewayService(gateway_pb2_grpc.GatewayServicer):
    """`gateway.Gateway` on one peer."""

    def __init__(self, asking: Asking, access: AccessControl) -> None:
        self._asking = asking
        self._access = access

    async def Evaluate(  # noqa: N802 - the service's name for it
        self, request: gateway_pb2.EvaluateRequest, context: EvaluateContext
    ) -> gateway_pb2.EvaluateResponse:
        """Run a chaincode on one peer and return its answer."""
        try:
            if not request.HasField("proposed_transaction"):
                raise _malformed("a signed proposal is required")
            proposal = _unpack(request.proposed_transaction)
            return await evaluate(self._asking, proposal, tuple(request.target_organizations))
        except GatewayRefused as exc:
            return await abort(context, exc)

    async def Endorse(  # noqa: N802 - the service's name for it
        self, request: gateway_pb2.EndorseRequest, context: EndorseContext
    ) -> gateway_pb2.EndorseResponse:
        """Collect endorsements and return the transaction, unsigned."""
        try:
            if not request.HasField("proposed_transaction"):
                raise GatewayRefused(
                    grpc.StatusCode.INVALID_ARGUMENT, "the proposed transaction must contain a signed proposal"
                )
            proposal = _unpack(request.proposed_transaction)
            organizations = tuple(request.endorsing_organizations)
            if organizations:
                envelope = await endorse_by_organizations(self._asking, proposal, organizations)
            else:
                envelope = await endorse_by_policy(self._asking, proposal)
            return gateway_pb2.EndorseResponse(prepared_transaction=envelope)
        except GatewayRefused as exc:
            return await abort(context, exc)

    async def Submit(  # noqa: N802 - the service's name for it
        self, request: gateway_pb2.SubmitRequest, context: SubmitContext
    ) -> gateway_pb2.SubmitResponse:
        """Hand a signed transaction to an orderer."""
        try:
            return await submit(self._asking, request)
        except GatewayRefused as exc:
            return await abort(context, exc)

    async def CommitStatus(  # noqa: N802 - the service's name for it
        self, request: gateway_pb2.SignedCommitStatusRequest, context: CommitStatusContext
    ) -> gateway_pb2.CommitStatusResponse:
        """Wait until a transaction is committed and tell how it ended."""
        try:
            return await commit_status(self._asking, self._access, request)
        except GatewayRefused as exc:
            return await abort(context, exc)

    async def ChaincodeEvents(  # noqa: N802 - the service's name for it
        self, request: gateway_pb2.SignedChaincodeEventsRequest, context: EventsContext
    ) -> AsyncIterator[gateway_pb2.ChaincodeEventsResponse]:
        """Stream a chaincode's events."""
        try:
            async for response in chaincode_events(self._asking, self._access, request):
                yield response
        except GatewayRefused as exc:
            await abort(context, exc)


def _unpack(signed: proposal_pb2.SignedProposal) -> UnpackedProposal:
    try:
        proposal = unpack(signed)
    except ProposalUnreadable as exc:
        raise _malformed(exc.text) from exc
    if not proposal.channel_id:
        raise _malformed("no channel id provided")
    return proposal


def _malformed(reason: str) -> GatewayRefused:
    return GatewayRefused(grpc.StatusCode.INVALID_ARGUMENT, f"failed to unpack transaction proposal: {reason}")

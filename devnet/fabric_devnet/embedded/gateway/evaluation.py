"""Evaluate: run a chaincode on one peer and return its answer; another peer is asked when that may help.

Source: fabric internal/pkg/gateway/evaluate.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
from fabric_protos.gateway import gateway_pb2
from fabric_protos.peer import proposal_pb2, proposal_response_pb2

from fabric_devnet.embedded.gateway.refusal import Failure, GatewayRefused, detail
from fabric_devnet.embedded.gateway.selection import by_preference, candidates

if TYPE_CHECKING:
    from fabric_devnet.embedded.gateway.asking import Asking
    from fabric_devnet.embedded.membership import EndorsingPeer
    from fabric_devnet.embedded.proposals import UnpackedProposal

_CODES = grpc.StatusCode


async def evaluate(
    asking: Asking, proposal: UnpackedProposal, target_organizations: tuple[str, ...]
) -> gateway_pb2.EvaluateResponse:
    """Return the answer of the first peer that gives one; raises GatewayRefused."""
    details: list[gateway_pb2.ErrorDetail] = []
    code = _CODES.UNAVAILABLE
    for peer in _choose(asking, proposal, target_organizations):
        answer = await asking.ask(peer, proposal)
        if not isinstance(answer, Failure):
            return gateway_pb2.EvaluateResponse(result=_result(answer))
        code = answer.code
        details.append(detail(peer, answer.message))
        if not answer.retry:
            text = f"evaluate call to endorser returned error: {answer.message}"
            raise GatewayRefused(code, text, tuple(details))
    raise GatewayRefused(code, "failed to evaluate transaction, see attached details for more info", tuple(details))


def _choose(
    asking: Asking, proposal: UnpackedProposal, target_organizations: tuple[str, ...]
) -> tuple[EndorsingPeer, ...]:
    channel_id, chaincode = proposal.channel_id, proposal.chaincode
    if channel_id not in asking.local.ledgers:
        raise GatewayRefused(
            _CODES.UNAVAILABLE,
            f"failed to get config for channel [{channel_id}]: could not get last config for channel {channel_id}",
        )
    protected = bool(proposal.transient) and not target_organizations
    organizations = (asking.local.msp_id,) if protected else target_organizations
    found = [
        peer
        for peer in candidates(asking.membership.peers(channel_id, asking.local), channel_id, [chaincode])
        if not organizations or peer.msp_id in organizations
    ]
    if found:
        return by_preference(found, asking.local, channel_id)
    text = f"no peers available to evaluate chaincode {chaincode} in channel {channel_id}"
    if protected:
        text = (
            "no endorsers found in the gateway's organization; "
            f"retry specifying target organization(s) to protect transient data: {text}"
        )
    raise GatewayRefused(_CODES.FAILED_PRECONDITION, text)


def _result(response: proposal_response_pb2.ProposalResponse) -> proposal_response_pb2.Response:
    """Return the answer, with the payload that was endorsed if there is one."""
    result = proposal_response_pb2.Response()
    result.CopyFrom(response.response)
    if response.payload:
        payload = proposal_response_pb2.ProposalResponsePayload.FromString(response.payload)
        result.payload = proposal_pb2.ChaincodeAction.FromString(payload.extension).response.payload
    return result

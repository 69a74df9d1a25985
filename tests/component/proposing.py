"""Sends proposals to single peers and assembles transactions from their answers, below the Gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fabric_protos.common import common_pb2
from fabric_protos.peer import peer_pb2_grpc, proposal_pb2, proposal_response_pb2, transaction_pb2

from fabric_admin.clock import new_moment
from fabric_admin.proposal import Proposal, build_proposal, sign_payload

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fabric_admin.identity import SigningIdentity
    from fabric_admin.transport import Connection


def propose(
    identity: SigningIdentity,
    channel: str,
    chaincode: str,
    args: Sequence[bytes],
    *,
    is_init: bool = False,
    transient: Mapping[str, bytes] | None = None,
) -> Proposal:
    return build_proposal(identity, channel, chaincode, args, new_moment(), is_init=is_init, transient=transient)


async def endorse(connection: Connection, proposal: Proposal) -> proposal_response_pb2.ProposalResponse:
    return await peer_pb2_grpc.EndorserStub(connection.channel).ProcessProposal(proposal.signed, timeout=40)


def assemble(
    identity: SigningIdentity, proposal: Proposal, answers: Sequence[proposal_response_pb2.ProposalResponse]
) -> common_pb2.Envelope:
    header = common_pb2.Header.FromString(proposal.header)
    content = proposal_pb2.Proposal.FromString(proposal.signed.proposal_bytes).payload
    bare = proposal_pb2.ChaincodeProposalPayload(input=proposal_pb2.ChaincodeProposalPayload.FromString(content).input)
    action = transaction_pb2.ChaincodeActionPayload(
        chaincode_proposal_payload=bare.SerializeToString(),
        action=transaction_pb2.ChaincodeEndorsedAction(
            proposal_response_payload=answers[0].payload, endorsements=[answer.endorsement for answer in answers]
        ),
    )
    transaction = transaction_pb2.Transaction(
        actions=[transaction_pb2.TransactionAction(header=header.signature_header, payload=action.SerializeToString())]
    )
    payload = common_pb2.Payload(header=header, data=transaction.SerializeToString())
    return sign_payload(identity, payload.SerializeToString())

"""What a transaction on the own peer proves about a chaincode definition. Pure."""

from __future__ import annotations

from typing import Final

from fabric_protos.common import common_pb2
from fabric_protos.peer import chaincode_pb2, proposal_pb2, proposal_response_pb2, transaction_pb2
from fabric_protos.peer.lifecycle import lifecycle_pb2

from fabric_admin.definition import Definition, channel_policy_parameter
from fabric_admin.errors import BlockError
from fabric_admin.wire import decode

LIFECYCLE: Final = "_lifecycle"
COMMIT: Final = b"CommitChaincodeDefinition"
DEFAULT_POLICY: Final = "/Channel/Application/Endorsement"


def committed_by(processed: transaction_pb2.ProcessedTransaction) -> Definition | None:
    """The definition that a transaction committed; None when it is invalid, malformed, or anything but a commit.

    A peer finds a transaction valid only when its endorsers signed this very invocation (Fabric:
    core/common/validation/msgvalidation.go), so the arguments are those that were executed.
    """
    if processed.validationCode != transaction_pb2.TxValidationCode.VALID:
        return None
    try:
        arguments = _lifecycle_arguments(processed.transactionEnvelope)
        if len(arguments) < 2 or arguments[0] != COMMIT:  # noqa: PLR2004 - function and its one argument
            return None
        described = decode(lifecycle_pb2.CommitChaincodeDefinitionArgs, arguments[1], BlockError, "commit")
    except BlockError:
        return None
    # What is left out is filled in by the peer (Fabric: core/chaincode/lifecycle/scc.go).
    return Definition(
        name=described.name,
        version=described.version,
        sequence=described.sequence,
        endorsement_plugin=described.endorsement_plugin or "escc",
        validation_plugin=described.validation_plugin or "vscc",
        validation_parameter=described.validation_parameter or channel_policy_parameter(DEFAULT_POLICY),
        collections=described.collections.SerializeToString(deterministic=True),
        init_required=described.init_required,
    )


def _lifecycle_arguments(envelope: common_pb2.Envelope) -> tuple[bytes, ...]:
    """What the lifecycle chaincode was called with; empty for a transaction of another chaincode."""
    payload = decode(common_pb2.Payload, envelope.payload, BlockError, "payload")
    header = decode(common_pb2.ChannelHeader, payload.header.channel_header, BlockError, "header")
    if header.type != common_pb2.ENDORSER_TRANSACTION:
        return ()
    transaction = decode(transaction_pb2.Transaction, payload.data, BlockError, "transaction")
    if len(transaction.actions) != 1:
        return ()
    action = decode(transaction_pb2.ChaincodeActionPayload, transaction.actions[0].payload, BlockError, "action")
    answer = decode(
        proposal_response_pb2.ProposalResponsePayload, action.action.proposal_response_payload, BlockError, "response"
    )
    endorsed = decode(proposal_pb2.ChaincodeAction, answer.extension, BlockError, "chaincode action")
    proposed = decode(
        proposal_pb2.ChaincodeProposalPayload, action.chaincode_proposal_payload, BlockError, "chaincode proposal"
    )
    called = decode(chaincode_pb2.ChaincodeInvocationSpec, proposed.input, BlockError, "invocation").chaincode_spec
    if {endorsed.chaincode_id.name, called.chaincode_id.name} != {LIFECYCLE}:
        return ()
    return tuple(called.input.args)

"""What a peer's refusal, and a transaction on its ledger, say about the Init call of a chaincode."""

from __future__ import annotations

import pytest
from fabric_protos.common import common_pb2
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import proposal_pb2, proposal_response_pb2, transaction_pb2

from opssc_operator.ledger.initializations import INITIALIZED_KEY, initialized_by, judge_refusal

SIMULATION = "error in simulation: failed to execute transaction ab: "


def initialization(
    *,
    chaincode: str = "asset",
    key: str = INITIALIZED_KEY,
    version: bytes = b"1.0",
    code: int = transaction_pb2.VALID,
) -> transaction_pb2.ProcessedTransaction:
    """A transaction of Org1MSP that writes one key of a chaincode."""
    writes = kv_rwset_pb2.KVRWSet(writes=[kv_rwset_pb2.KVWrite(key=key, value=version)])
    results = rwset_pb2.TxReadWriteSet(
        ns_rwset=[rwset_pb2.NsReadWriteSet(namespace=chaincode, rwset=writes.SerializeToString())]
    )
    answer = proposal_response_pb2.ProposalResponsePayload(
        extension=proposal_pb2.ChaincodeAction(results=results.SerializeToString()).SerializeToString()
    )
    action = transaction_pb2.ChaincodeActionPayload(
        action=transaction_pb2.ChaincodeEndorsedAction(proposal_response_payload=answer.SerializeToString())
    )
    transaction = transaction_pb2.Transaction(
        actions=[transaction_pb2.TransactionAction(payload=action.SerializeToString())]
    )
    creator = identities_pb2.SerializedIdentity(mspid="Org1MSP").SerializeToString()
    header = common_pb2.Header(
        channel_header=common_pb2.ChannelHeader(
            type=common_pb2.ENDORSER_TRANSACTION, channel_id="mychannel", tx_id="ab"
        ).SerializeToString(),
        signature_header=common_pb2.SignatureHeader(creator=creator).SerializeToString(),
    )
    payload = common_pb2.Payload(header=header, data=transaction.SerializeToString())
    return transaction_pb2.ProcessedTransaction(
        transactionEnvelope=common_pb2.Envelope(payload=payload.SerializeToString()), validationCode=code
    )


@pytest.mark.parametrize(
    ("processed", "caller"),
    [
        pytest.param(initialization(), "Org1MSP", id="it"),
        pytest.param(initialization(code=transaction_pb2.MVCC_READ_CONFLICT), None, id="invalid"),
        pytest.param(initialization(version=b"0.9"), None, id="another-version"),
        pytest.param(initialization(chaincode="other"), None, id="another-chaincode"),
        pytest.param(initialization(key="initialized"), None, id="another-key"),
        pytest.param(transaction_pb2.ProcessedTransaction(), None, id="nothing"),
    ],
)
def test_only_a_valid_transaction_that_initializes_this_version_proves_it(
    processed: transaction_pb2.ProcessedTransaction, caller: str | None
) -> None:
    assert initialized_by(processed, "asset", "1.0") == caller


@pytest.mark.parametrize(
    ("message", "initialized"),
    [
        pytest.param(
            SIMULATION + "invalid invocation: chaincode 'asset' has not been initialized for this version, "
            "must call as init first",
            False,
            id="due",
        ),
        pytest.param("function org.hyperledger.fabric:GetMetadata does not exist", True, id="the-chaincode-answers"),
        pytest.param(SIMULATION + "could not launch chaincode asset:00: connection refused", True, id="no-server"),
        pytest.param(SIMULATION + "invalid invocation: something else", None, id="another-refusal"),
        pytest.param("make sure the chaincode asset has been successfully defined on channel x", None, id="undefined"),
        pytest.param("channel 'mychannel' not found", None, id="no-channel"),
        pytest.param(
            "I have not been initialized: has not been initialized for this version, must call as init first",
            True,
            id="a-chaincode-in-the-words-of-a-peer",
        ),
    ],
)
def test_a_refusal_tells_whether_the_call_passed_the_peers_check(message: str, initialized: bool | None) -> None:
    assert judge_refusal(message).initialized is initialized

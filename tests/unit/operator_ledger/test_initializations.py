"""What a transaction on a peer's ledger says about the Init call of a chaincode."""

from __future__ import annotations

import pytest
from fabric_protos.common import common_pb2
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import proposal_pb2, proposal_response_pb2, transaction_pb2

from opssc_operator.ledger.initializations import INITIALIZED_KEY, initialized_by


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

"""What a transaction proves about a commit, and how reported commits are proved."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from fabric_protos.common import common_pb2
from fabric_protos.peer import chaincode_pb2, proposal_pb2, proposal_response_pb2, transaction_pb2
from fabric_protos.peer.lifecycle import lifecycle_pb2
from unit.chaincode import strategies as ledger

from fabric_admin.definition import Definition, channel_policy_parameter
from fabric_admin.errors import ChaincodeError
from opssc_chaincode.model import Facts
from opssc_operator.domain.deployment import Target
from opssc_operator.ledger.commits import committed_by
from opssc_operator.ledger.deployments import Deployments
from opssc_operator.reconcile.kinds.chaincode_rivals import was_committed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from opssc_operator.ledger.peers import OwnPeers
    from opssc_operator.ledger.session import OrganizationSession

DEFINITION = Definition(
    name="basic",
    version="1.0",
    sequence=1,
    validation_parameter=channel_policy_parameter("/Channel/Application/Endorsement"),
)
TARGET = Target("mychannel", DEFINITION, "basic:" + "00" * 32, b"seed")
PROPOSAL = ledger.proposal()
TRANSACTION = "ab" * 32


def commit(
    *,
    chaincode: str = "_lifecycle",
    claimed: str = "_lifecycle",
    function: bytes = b"CommitChaincodeDefinition",
    code: int = transaction_pb2.VALID,
    **changes: Any,
) -> transaction_pb2.ProcessedTransaction:
    given: dict[str, Any] = {"name": "basic", "version": "1.0", "sequence": 1, **changes}
    described = lifecycle_pb2.CommitChaincodeDefinitionArgs(**given)
    called = chaincode_pb2.ChaincodeInvocationSpec(
        chaincode_spec=chaincode_pb2.ChaincodeSpec(
            chaincode_id=chaincode_pb2.ChaincodeID(name=claimed),
            input=chaincode_pb2.ChaincodeInput(args=[function, described.SerializeToString()]),
        )
    )
    endorsed = proposal_pb2.ChaincodeAction(chaincode_id=chaincode_pb2.ChaincodeID(name=chaincode))
    answer = proposal_response_pb2.ProposalResponsePayload(extension=endorsed.SerializeToString())
    action = transaction_pb2.ChaincodeActionPayload(
        chaincode_proposal_payload=proposal_pb2.ChaincodeProposalPayload(
            input=called.SerializeToString()
        ).SerializeToString(),
        action=transaction_pb2.ChaincodeEndorsedAction(proposal_response_payload=answer.SerializeToString()),
    )
    transaction = transaction_pb2.Transaction(
        actions=[transaction_pb2.TransactionAction(payload=action.SerializeToString())]
    )
    header = common_pb2.ChannelHeader(type=common_pb2.ENDORSER_TRANSACTION)
    payload = common_pb2.Payload(
        header=common_pb2.Header(channel_header=header.SerializeToString()), data=transaction.SerializeToString()
    )
    envelope = common_pb2.Envelope(payload=payload.SerializeToString())
    return transaction_pb2.ProcessedTransaction(transactionEnvelope=envelope, validationCode=code)


def test_a_valid_commit_proves_its_definition_with_what_fabric_fills_in() -> None:
    assert committed_by(commit()) == DEFINITION


@pytest.mark.parametrize(
    "processed",
    [
        pytest.param(commit(code=transaction_pb2.MVCC_READ_CONFLICT), id="invalid"),
        pytest.param(commit(function=b"CheckCommitReadiness"), id="another-function"),
        pytest.param(commit(chaincode="basic", claimed="basic"), id="another-chaincode"),
        pytest.param(commit(chaincode="basic"), id="claims-to-be-the-lifecycle"),
        pytest.param(
            transaction_pb2.ProcessedTransaction(transactionEnvelope=common_pb2.Envelope(payload=b"\xff")), id="garbage"
        ),
        pytest.param(transaction_pb2.ProcessedTransaction(), id="nothing"),
    ],
)
def test_anything_but_a_valid_commit_proves_nothing(processed: transaction_pb2.ProcessedTransaction) -> None:
    assert committed_by(processed) is None


class Peer:
    """An own peer that has one transaction, or none."""

    def __init__(self, processed: transaction_pb2.ProcessedTransaction | None) -> None:
        self.processed, self.system, self.reads = processed, self, 0

    async def ask(self, channel: str, question: Callable[[Peer], Awaitable[Any]]) -> Any:
        del channel
        return await question(self)

    async def transaction(self, channel: str, transaction_id: str, *, timeout_seconds: float) -> Any:
        del channel, timeout_seconds
        assert transaction_id == TRANSACTION
        self.reads += 1
        if self.processed is None:
            raise ChaincodeError(500, "no such transaction")
        return self.processed


@pytest.mark.parametrize(
    ("processed", "wanted", "proved"),
    [
        pytest.param(commit(), DEFINITION, True, id="this-definition"),
        pytest.param(commit(version="2.0"), DEFINITION, False, id="another-definition"),
        pytest.param(commit(), replace(DEFINITION, sequence=2), False, id="another-sequence"),
        pytest.param(commit(code=transaction_pb2.ENDORSEMENT_POLICY_FAILURE), DEFINITION, False, id="invalid"),
        pytest.param(None, DEFINITION, False, id="unknown-to-the-own-peer"),
    ],
)
async def test_a_reported_commit_counts_when_the_own_peer_shows_it(
    processed: transaction_pb2.ProcessedTransaction | None, wanted: Definition, proved: bool
) -> None:
    # Given
    peer = Peer(processed)
    session = cast("OrganizationSession", SimpleNamespace(deployments=Deployments("Org1MSP", cast("OwnPeers", peer))))
    reported = Facts(proposal=PROPOSAL, reports=(ledger.committed(PROPOSAL, "Org3MSP", tx_id=TRANSACTION),))
    target = replace(TARGET, definition=wanted)

    # When
    verdicts = {await was_committed(reported, target, session) for _ in range(2)}

    # Then
    assert verdicts == {proved}
    assert peer.reads == (1 if processed is not None else 2)


async def test_a_report_without_a_transaction_proves_nothing() -> None:
    peer = Peer(commit())
    session = cast("OrganizationSession", SimpleNamespace(deployments=Deployments("Org1MSP", cast("OwnPeers", peer))))
    reported = Facts(proposal=PROPOSAL, reports=(ledger.committed(PROPOSAL, "Org3MSP"),))
    assert not await was_committed(reported, TARGET, session)

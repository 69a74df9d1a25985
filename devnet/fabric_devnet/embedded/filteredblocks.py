"""Makes the filtered form of a block: identifiers, codes and event names, but no contents. Pure.

Source: core/peer/deliverevents.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fabric_protos.common import common_pb2
from fabric_protos.peer import (
    chaincode_event_pb2,
    events_pb2,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)
from google.protobuf.message import DecodeError

from fabric_devnet.embedded.transaction import channel_header_of

if TYPE_CHECKING:
    from collections.abc import Iterator


def filter_block(channel_id: str, block: common_pb2.Block) -> events_pb2.FilteredBlock:
    """Return the filtered form of a committed block."""
    codes = block.metadata.metadata[common_pb2.BlockMetadataIndex.TRANSACTIONS_FILTER]
    filtered = events_pb2.FilteredBlock(channel_id=channel_id, number=block.header.number)
    for data, code in zip(block.data.data, codes, strict=True):
        header = channel_header_of(data)
        transaction = filtered.filtered_transactions.add(
            txid=header.tx_id,
            type=common_pb2.HeaderType.ValueType(header.type),
            tx_validation_code=transaction_pb2.TxValidationCode.ValueType(code),
        )
        if header.type == common_pb2.HeaderType.ENDORSER_TRANSACTION:
            # Set even when there is no event, as Fabric does.
            transaction.transaction_actions.SetInParent()
            for event in chaincode_events(data):
                named = chaincode_event_pb2.ChaincodeEvent(
                    chaincode_id=event.chaincode_id, tx_id=event.tx_id, event_name=event.event_name
                )
                transaction.transaction_actions.chaincode_actions.add(chaincode_event=named)
    return filtered


def chaincode_events(data: bytes) -> Iterator[chaincode_event_pb2.ChaincodeEvent]:
    """Yield the chaincode events of a serialized envelope, whole; none when it is no endorser transaction."""
    try:
        payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(data).payload)
        for action in transaction_pb2.Transaction.FromString(payload.data).actions:
            event = _event(action)
            if event.chaincode_id:
                yield event
    except DecodeError:
        return


def _event(action: transaction_pb2.TransactionAction) -> chaincode_event_pb2.ChaincodeEvent:
    endorsed = transaction_pb2.ChaincodeActionPayload.FromString(action.payload).action
    response = proposal_response_pb2.ProposalResponsePayload.FromString(endorsed.proposal_response_payload)
    return chaincode_event_pb2.ChaincodeEvent.FromString(
        proposal_pb2.ChaincodeAction.FromString(response.extension).events
    )

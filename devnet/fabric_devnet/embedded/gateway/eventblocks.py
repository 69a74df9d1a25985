"""Finds the chaincode events of valid transactions in a block, payloads included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fabric_protos.common import common_pb2

from fabric_devnet.embedded.filteredblocks import chaincode_events
from fabric_devnet.embedded.transaction import transaction_id_of

if TYPE_CHECKING:
    from fabric_protos.peer import chaincode_event_pb2

_VALID: Final = 0


def events_of(
    block: common_pb2.Block, chaincode: str, after_transaction_id: str = ""
) -> list[chaincode_event_pb2.ChaincodeEvent]:
    """List one chaincode's events in block order; with `after_transaction_id` only what follows that transaction."""
    codes = block.metadata.metadata[common_pb2.BlockMetadataIndex.TRANSACTIONS_FILTER]
    found: list[chaincode_event_pb2.ChaincodeEvent] = []
    skipping = bool(after_transaction_id)
    for code, data in zip(codes, block.data.data, strict=True):
        if code == _VALID and not skipping:
            found.extend(event for event in chaincode_events(data) if event.chaincode_id == chaincode)
        if skipping and transaction_id_of(data) == after_transaction_id:
            skipping = False
    return found

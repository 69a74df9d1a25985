"""Blocks: their hashes, and what their transactions say.

Pure. A block may hold transactions that no peer accepts: reading one never fails, what cannot be read stays empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from fabric_protos.common import common_pb2, configtx_pb2
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import chaincode_event_pb2, proposal_pb2, proposal_response_pb2, transaction_pb2

from fabric_admin.block_hashes import data_hash, header_bytes, header_hash
from fabric_admin.block_verification import verify, verify_signed
from fabric_admin.errors import BlockError
from fabric_admin.wire import decode

__all__ = [
    "NOT_VALIDATED",
    "Event",
    "TransactionView",
    "Write",
    "code_name",
    "config_envelope",
    "data_hash",
    "envelope",
    "header_bytes",
    "header_hash",
    "is_config_block",
    "last_config_index",
    "transactions",
    "validation_code",
    "verify",
    "verify_signed",
]

NOT_VALIDATED: Final = "NOT_VALIDATED"
_SIGNATURES = common_pb2.BlockMetadataIndex.SIGNATURES
_TRANSACTIONS_FILTER = common_pb2.BlockMetadataIndex.TRANSACTIONS_FILTER


@dataclass(frozen=True, slots=True)
class Write:
    """One key written or deleted; ``value`` is None for a deletion."""

    namespace: str
    key: str
    value: bytes | None

    @property
    def is_delete(self) -> bool:
        """Whether the key was removed."""
        return self.value is None


@dataclass(frozen=True, slots=True)
class Event:
    """The one event a chaincode may set in a transaction."""

    chaincode: str
    name: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class TransactionView:
    """One transaction of a block, as far as it can be read."""

    index: int
    tx_id: str
    type: str
    """Name of the ``common.HeaderType``, or its number when it has none; empty when the header is unreadable."""
    channel_id: str
    creator_msp_id: str
    timestamp: datetime | None
    validation_code: str
    """Name of the ``TxValidationCode``; NOT_VALIDATED in a block that came from an orderer."""
    chaincode: str = ""
    response_status: int = 0
    endorser_msp_ids: tuple[str, ...] = ()
    writes: tuple[Write, ...] = ()
    event: Event | None = None

    @property
    def valid(self) -> bool:
        """Whether the peer that served the block accepted the transaction."""
        return self.validation_code == "VALID"


def envelope(block: common_pb2.Block, index: int = 0) -> common_pb2.Envelope:
    """Return an envelope of a block; raises BlockError."""
    if index >= len(block.data.data):
        raise BlockError(f"block {block.header.number} has {len(block.data.data)} transactions, none at {index}")
    return decode(common_pb2.Envelope, block.data.data[index], BlockError, f"block {block.header.number}")


def config_envelope(block: common_pb2.Block) -> tuple[str, configtx_pb2.ConfigEnvelope]:
    """Return (channel ID, config) of a config block; raises BlockError when it is not one."""
    what = f"block {block.header.number}"
    if len(block.data.data) != 1:
        raise BlockError(f"{what} is not a config block: it has {len(block.data.data)} transactions")
    payload = decode(common_pb2.Payload, envelope(block).payload, BlockError, what)
    header = decode(common_pb2.ChannelHeader, payload.header.channel_header, BlockError, what)
    if header.type != common_pb2.CONFIG:
        raise BlockError(f"{what} is not a config block: its transaction is of type {_type_name(header.type)}")
    return header.channel_id, decode(configtx_pb2.ConfigEnvelope, payload.data, BlockError, what)


def is_config_block(block: common_pb2.Block) -> bool:
    """Return whether the block carries a channel config."""
    try:
        config_envelope(block)
    except BlockError:
        return False
    return True


def last_config_index(block: common_pb2.Block) -> int:
    """Return the number of the config block in force for this block; raises BlockError."""
    what = f"metadata of block {block.header.number}"
    if len(block.metadata.metadata) <= _SIGNATURES:
        raise BlockError(f"{what}: no signatures entry")
    metadata = decode(common_pb2.Metadata, block.metadata.metadata[_SIGNATURES], BlockError, what)
    return decode(common_pb2.OrdererBlockMetadata, metadata.value, BlockError, what).last_config.index


def validation_code(block: common_pb2.Block, index: int) -> str:
    """Return the name of a transaction's validation code; NOT_VALIDATED when no peer has judged the block."""
    entries = block.metadata.metadata
    flags = entries[_TRANSACTIONS_FILTER] if len(entries) > _TRANSACTIONS_FILTER else b""
    if index >= len(flags):
        return NOT_VALIDATED
    return code_name(flags[index])


def code_name(code: int) -> str:
    """Return the name of a ``TxValidationCode``, or its number as text when Fabric has no such code."""
    known = transaction_pb2.TxValidationCode.DESCRIPTOR.values_by_number.get(code)
    return str(code) if known is None else str(known.name)


def transactions(block: common_pb2.Block) -> tuple[TransactionView, ...]:
    """Return every transaction of a block in order; unreadable parts are left empty, nothing is raised."""
    return tuple(_read(block, index, data) for index, data in enumerate(block.data.data))


@dataclass(frozen=True, slots=True)
class _Action:
    chaincode: str
    response_status: int
    endorser_msp_ids: tuple[str, ...]
    writes: tuple[Write, ...]
    event: Event | None


def _read(block: common_pb2.Block, index: int, data: bytes) -> TransactionView:
    code = validation_code(block, index)
    try:
        payload = decode(common_pb2.Payload, decode(common_pb2.Envelope, data, BlockError, "").payload, BlockError, "")
        header = decode(common_pb2.ChannelHeader, payload.header.channel_header, BlockError, "")
    except BlockError:
        return TransactionView(index, "", "", "", "", None, code)
    action = _Action("", 0, (), (), None)
    if header.type == common_pb2.ENDORSER_TRANSACTION:
        try:
            action = _read_action(payload.data)
        except BlockError:
            action = _Action("", 0, (), (), None)
    return TransactionView(
        index=index,
        tx_id=header.tx_id,
        type=_type_name(header.type),
        channel_id=header.channel_id,
        creator_msp_id=_creator_msp_id(payload.header.signature_header),
        timestamp=_timestamp(header),
        validation_code=code,
        chaincode=action.chaincode,
        response_status=action.response_status,
        endorser_msp_ids=action.endorser_msp_ids,
        writes=action.writes,
        event=action.event,
    )


def _read_action(data: bytes) -> _Action:
    transaction = decode(transaction_pb2.Transaction, data, BlockError, "transaction")
    if len(transaction.actions) != 1:
        raise BlockError(f"the transaction has {len(transaction.actions)} actions, not one")
    payload = decode(transaction_pb2.ChaincodeActionPayload, transaction.actions[0].payload, BlockError, "action")
    endorsed = payload.action
    response = decode(
        proposal_response_pb2.ProposalResponsePayload, endorsed.proposal_response_payload, BlockError, "response"
    )
    action = decode(proposal_pb2.ChaincodeAction, response.extension, BlockError, "chaincode action")
    return _Action(
        action.chaincode_id.name,
        action.response.status,
        tuple(_msp_id(endorsement.endorser) for endorsement in endorsed.endorsements),
        _writes(action.results),
        _event(action.events),
    )


def _writes(results: bytes) -> tuple[Write, ...]:
    found: list[Write] = []
    for namespace in decode(rwset_pb2.TxReadWriteSet, results, BlockError, "read-write set").ns_rwset:
        written = decode(kv_rwset_pb2.KVRWSet, namespace.rwset, BlockError, "read-write set").writes
        found += [Write(namespace.namespace, each.key, None if each.is_delete else each.value) for each in written]
    return tuple(found)


def _event(data: bytes) -> Event | None:
    if not data:
        return None
    event = decode(chaincode_event_pb2.ChaincodeEvent, data, BlockError, "chaincode event")
    return Event(event.chaincode_id, event.event_name, event.payload)


def _creator_msp_id(signature_header: bytes) -> str:
    try:
        return _msp_id(decode(common_pb2.SignatureHeader, signature_header, BlockError, "").creator)
    except BlockError:
        return ""


def _msp_id(serialized: bytes) -> str:
    try:
        return decode(identities_pb2.SerializedIdentity, serialized, BlockError, "").mspid
    except BlockError:
        return ""


def _timestamp(header: common_pb2.ChannelHeader) -> datetime | None:
    if not header.HasField("timestamp"):
        return None
    try:
        return header.timestamp.ToDatetime(UTC)
    except (ValueError, OverflowError):
        return None


def _type_name(number: int) -> str:
    known = common_pb2.HeaderType.DESCRIPTOR.values_by_number.get(number)
    return str(number) if known is None else str(known.name)

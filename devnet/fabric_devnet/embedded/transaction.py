"""Takes an endorser transaction apart and checks what can be checked without state, signatures apart. Pure.

Source: core/common/validation/msgvalidation.go, core/committer/txvalidator/v20/plugindispatcher/dispatcher.go.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from fabric_protos.common import common_pb2
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2 as kvrwset
from fabric_protos.peer import (
    chaincode_event_pb2,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)
from google.protobuf.message import DecodeError, Message

from fabric_devnet.embedded.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator

Code = transaction_pb2.TxValidationCode
M = TypeVar("M", bound=Message)
_ORDERED_TYPES = frozenset(
    {common_pb2.HeaderType.ENDORSER_TRANSACTION, common_pb2.HeaderType.CONFIG_UPDATE, common_pb2.HeaderType.CONFIG}
)


class InvalidTransaction(LedgerError):
    """A transaction that stays in its block without effect; `code` is its TxValidationCode."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{Code.Name(transaction_pb2.TxValidationCode.ValueType(code))}: {reason}")
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """An envelope with its headers decoded."""

    envelope: common_pb2.Envelope
    payload: common_pb2.Payload
    channel_header: common_pb2.ChannelHeader
    signature_header: common_pb2.SignatureHeader


@dataclass(frozen=True, slots=True)
class CollectionAccess:
    """What a transaction reads and writes, by hash, in one private data collection."""

    name: str
    hashed: kvrwset.HashedRWSet
    private_digest: bytes


@dataclass(frozen=True, slots=True)
class NamespaceAccess:
    """What a transaction reads and writes in one namespace."""

    name: str
    public: kvrwset.KVRWSet
    collections: tuple[CollectionAccess, ...]

    @property
    def writes(self) -> bool:
        """Whether anything of the namespace is written, public or private, values or metadata."""
        return bool(
            self.public.writes
            or self.public.metadata_writes
            or any(c.hashed.hashed_writes or c.hashed.metadata_writes for c in self.collections)
        )


@dataclass(frozen=True, slots=True)
class EndorserTransaction:
    """An endorsed invocation, decoded; `response_payload` holds the bytes the endorsers signed."""

    transaction_id: str
    timestamp_nanoseconds: int
    chaincode: str
    response_payload: bytes
    endorsements: tuple[proposal_response_pb2.Endorsement, ...]
    namespaces: tuple[NamespaceAccess, ...]


def parse_message(data: bytes) -> SignedMessage:
    """Decode an envelope and its headers; raises InvalidTransaction with codes 1 to 3."""
    if not data:
        raise InvalidTransaction(Code.NIL_ENVELOPE, "nil envelope")
    envelope = _decode(common_pb2.Envelope, data, Code.INVALID_OTHER_REASON)
    payload = _decode(common_pb2.Payload, envelope.payload, Code.BAD_PAYLOAD)
    if not payload.HasField("header"):
        raise InvalidTransaction(Code.BAD_COMMON_HEADER, "nil header")
    channel_header = _decode(common_pb2.ChannelHeader, payload.header.channel_header, Code.BAD_COMMON_HEADER)
    signature_header = _decode(common_pb2.SignatureHeader, payload.header.signature_header, Code.BAD_COMMON_HEADER)
    if channel_header.type not in _ORDERED_TYPES:
        raise InvalidTransaction(Code.BAD_COMMON_HEADER, f"invalid header type {channel_header.type}")
    if channel_header.epoch:
        raise InvalidTransaction(Code.BAD_COMMON_HEADER, "epoch is non-zero")
    if not signature_header.nonce or not signature_header.creator:
        raise InvalidTransaction(Code.BAD_COMMON_HEADER, "invalid nonce or creator specified in the header")
    return SignedMessage(envelope, payload, channel_header, signature_header)


def channel_header_of(data: bytes) -> common_pb2.ChannelHeader:
    """Read the channel header out of a serialized envelope, an empty one when it cannot be read."""
    try:
        payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(data).payload)
        return common_pb2.ChannelHeader.FromString(payload.header.channel_header)
    except DecodeError:
        return common_pb2.ChannelHeader()


def transaction_id_of(data: bytes) -> str:
    """Read the transaction ID out of a serialized envelope, "" when there is none."""
    return channel_header_of(data).tx_id


def header_type_of(data: bytes) -> int:
    """Read the header type out of a serialized envelope, 0 (MESSAGE) when there is none."""
    return channel_header_of(data).type


def parse_endorser_transaction(message: SignedMessage) -> EndorserTransaction:
    """Decode an endorser transaction and check its identifier, its proposal hash and its form.

    Raises InvalidTransaction with codes 5, 8, 19, 21 to 23 and 25.
    """
    header = message.signature_header
    if message.channel_header.tx_id != hashlib.sha256(header.nonce + header.creator).hexdigest():
        raise InvalidTransaction(Code.BAD_PROPOSAL_TXID, "transaction ID is not the hash of nonce and creator")
    action_payload, response_payload = _parse_action(message)
    return _build(message, action_payload, response_payload)


def _parse_action(
    message: SignedMessage,
) -> tuple[transaction_pb2.ChaincodeActionPayload, proposal_response_pb2.ProposalResponsePayload]:
    bad = Code.INVALID_ENDORSER_TRANSACTION
    transaction = _decode(transaction_pb2.Transaction, message.payload.data, bad)
    if len(transaction.actions) != 1:
        raise InvalidTransaction(bad, "only one action per transaction is supported")
    action = transaction.actions[0]
    if not action.header:
        raise InvalidTransaction(bad, "nil action header")
    header = _decode(common_pb2.SignatureHeader, action.header, bad)
    if not header.nonce or not header.creator:
        raise InvalidTransaction(bad, "invalid nonce or creator specified in the action header")
    action_payload = _decode(transaction_pb2.ChaincodeActionPayload, action.payload, bad)
    response_payload = _decode(
        proposal_response_pb2.ProposalResponsePayload, action_payload.action.proposal_response_payload, bad
    )
    expected = hashlib.sha256(
        message.payload.header.channel_header + action.header + action_payload.chaincode_proposal_payload
    ).digest()
    if response_payload.proposal_hash != expected:
        raise InvalidTransaction(bad, "proposal hash does not match")
    return action_payload, response_payload


def _build(
    message: SignedMessage,
    action_payload: transaction_pb2.ChaincodeActionPayload,
    response_payload: proposal_response_pb2.ProposalResponsePayload,
) -> EndorserTransaction:
    extension = _decode(
        proposal_pb2.ChaincodeHeaderExtension, message.channel_header.extension, Code.BAD_HEADER_EXTENSION
    )
    action = _decode(proposal_pb2.ChaincodeAction, response_payload.extension, Code.BAD_RESPONSE_PAYLOAD)
    name = extension.chaincode_id.name
    if not name or name != action.chaincode_id.name:
        raise InvalidTransaction(Code.INVALID_CHAINCODE, f"chaincode {name!r} is not {action.chaincode_id.name!r}")
    if not action.chaincode_id.version:
        raise InvalidTransaction(Code.INVALID_CHAINCODE, "chaincode version is empty")
    if action.events:
        event = _decode(chaincode_event_pb2.ChaincodeEvent, action.events, Code.INVALID_OTHER_REASON)
        if event.chaincode_id != name:
            raise InvalidTransaction(Code.INVALID_OTHER_REASON, "the event names another chaincode")
    timestamp = message.channel_header.timestamp
    return EndorserTransaction(
        transaction_id=message.channel_header.tx_id,
        timestamp_nanoseconds=timestamp.seconds * 1_000_000_000 + timestamp.nanos,
        chaincode=name,
        response_payload=action_payload.action.proposal_response_payload,
        endorsements=tuple(action_payload.action.endorsements),
        namespaces=tuple(_parse_namespaces(action.results)),
    )


def _parse_namespaces(results: bytes) -> Iterator[NamespaceAccess]:
    seen = set()
    for namespace in _decode(rwset_pb2.TxReadWriteSet, results, Code.BAD_RWSET).ns_rwset:
        if namespace.namespace in seen:
            raise InvalidTransaction(Code.ILLEGAL_WRITESET, f"duplicate namespace {namespace.namespace!r}")
        seen.add(namespace.namespace)
        yield NamespaceAccess(
            name=namespace.namespace,
            public=_decode(kvrwset.KVRWSet, namespace.rwset, Code.BAD_RWSET),
            collections=tuple(
                CollectionAccess(
                    name=collection.collection_name,
                    hashed=_decode(kvrwset.HashedRWSet, collection.hashed_rwset, Code.BAD_RWSET),
                    private_digest=collection.pvt_rwset_hash,
                )
                for collection in namespace.collection_hashed_rwset
            ),
        )


def _decode(message_type: type[M], data: bytes, code: int) -> M:
    try:
        return message_type.FromString(data)
    except DecodeError as exc:
        raise InvalidTransaction(code, f"{message_type.DESCRIPTOR.name}: {exc}") from exc

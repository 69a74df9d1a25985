"""One transaction on a stream: the `Stub` that asks the peer. Knows messages, not streams."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from fabric_protos.common import common_pb2
from fabric_protos.ledger.queryresult import kv_query_result_pb2
from fabric_protos.peer import chaincode_event_pb2, chaincode_pb2, chaincode_shim_pb2, proposal_pb2
from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp

from opssc_chaincode.shim.errors import InvalidKeyError, ProposalError
from opssc_chaincode.shim.stub import KeyModification, KeyValue, Page

_Message = chaincode_shim_pb2.ChaincodeMessage
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# An empty start would take in composite keys; the Go shim starts at the first simple key instead.
_FIRST_SIMPLE_KEY = "\x01"


class Asks(Protocol):
    """The stream, as far as a transaction needs it."""

    async def ask(self, message: chaincode_shim_pb2.ChaincodeMessage) -> bytes:
        """Send one request and give the payload of the peer's answer."""


class Transaction:
    """The `Stub` of one TRANSACTION or INIT message; raises ProposalError when the message does not parse."""

    def __init__(self, message: chaincode_shim_pb2.ChaincodeMessage, peer: Asks) -> None:
        self._peer = peer
        self._channel = message.channel_id
        self._transaction_id = message.txid
        self._event: chaincode_event_pb2.ChaincodeEvent | None = None
        try:
            self._args = tuple(chaincode_pb2.ChaincodeInput.FromString(message.payload).args)
            proposal = proposal_pb2.Proposal.FromString(message.proposal.proposal_bytes)
            header = common_pb2.Header.FromString(proposal.header)
            channel_header = common_pb2.ChannelHeader.FromString(header.channel_header)
            self._creator = common_pb2.SignatureHeader.FromString(header.signature_header).creator
        except DecodeError as exc:
            raise ProposalError("the signed proposal does not parse") from exc
        self._is_init = message.type == _Message.INIT
        self._timestamp = _datetime(channel_header.timestamp)

    @property
    def transaction_id(self) -> str:
        """Hex transaction id."""
        return self._transaction_id

    @property
    def channel(self) -> str:
        """Name of the channel."""
        return self._channel

    @property
    def timestamp(self) -> datetime:
        """Time that the client put into the transaction's header, in UTC."""
        return self._timestamp

    @property
    def creator(self) -> bytes:
        """The client's SerializedIdentity, as bytes."""
        return self._creator

    @property
    def args(self) -> Sequence[bytes]:
        """All arguments; by convention the first names the function."""
        return self._args

    @property
    def is_init(self) -> bool:
        """Whether this is the initialisation that the chaincode's definition requires."""
        return self._is_init

    @property
    def event(self) -> chaincode_event_pb2.ChaincodeEvent | None:
        """The event that goes with the answer."""
        return self._event

    async def get_state(self, key: str) -> bytes | None:
        """Read the committed value of a key; None when it has none."""
        value = await self._ask(_Message.GET_STATE, chaincode_shim_pb2.GetState(key=_usable(key)))
        return value or None

    async def put_state(self, key: str, value: bytes) -> None:
        """Write a non-empty value, visible once the transaction is committed."""
        await self._ask(_Message.PUT_STATE, chaincode_shim_pb2.PutState(key=_usable(key), value=value))

    async def delete_state(self, key: str) -> None:
        """Delete a key once the transaction is committed."""
        await self._ask(_Message.DEL_STATE, chaincode_shim_pb2.DelState(key=_usable(key)))

    async def get_state_by_range(self, start: str, end: str) -> tuple[KeyValue, ...]:
        """Read all of a range, start inclusive, end exclusive; the range is part of what the transaction read."""
        request = chaincode_shim_pb2.GetStateByRange(startKey=start or _FIRST_SIMPLE_KEY, endKey=end)
        first = await self._query(_Message.GET_STATE_BY_RANGE, request)
        return tuple(_key_value(result) for result in await self._rest(first))

    async def get_state_page(self, start: str, end: str, *, page_size: int, bookmark: str = "") -> Page:
        """Read one page of a range; the peer refuses writes afterwards."""
        metadata = chaincode_shim_pb2.QueryMetadata(pageSize=page_size, bookmark=bookmark)
        request = chaincode_shim_pb2.GetStateByRange(
            startKey=start or _FIRST_SIMPLE_KEY, endKey=end, metadata=metadata.SerializeToString()
        )
        first = await self._query(_Message.GET_STATE_BY_RANGE, request)
        items = tuple(_key_value(result) for result in await self._rest(first))
        return Page(items, chaincode_shim_pb2.QueryResponseMetadata.FromString(first.metadata).bookmark)

    async def get_history(self, key: str) -> tuple[KeyModification, ...]:
        """Read the committed writes of a key, newest first."""
        request = chaincode_shim_pb2.GetHistoryForKey(key=_usable(key))
        first = await self._query(_Message.GET_HISTORY_FOR_KEY, request)
        return tuple(_modification(result) for result in await self._rest(first))

    def set_event(self, name: str, payload: bytes) -> None:
        """Set the transaction's one event; a later call replaces it."""
        if not name:
            raise InvalidKeyError("event name can not be empty string")
        self._event = chaincode_event_pb2.ChaincodeEvent(event_name=name, payload=payload)

    async def _ask(self, kind: "chaincode_shim_pb2.ChaincodeMessage.Type.ValueType", request: Message) -> bytes:
        return await self._peer.ask(
            _Message(
                type=kind,
                payload=request.SerializeToString(),
                txid=self._transaction_id,
                channel_id=self._channel,
            )
        )

    async def _query(
        self, kind: "chaincode_shim_pb2.ChaincodeMessage.Type.ValueType", request: Message
    ) -> chaincode_shim_pb2.QueryResponse:
        return chaincode_shim_pb2.QueryResponse.FromString(await self._ask(kind, request))

    async def _rest(self, first: chaincode_shim_pb2.QueryResponse) -> list[bytes]:
        """Follow a query to its end, so that no iterator stays open at the peer."""
        results = [result.resultBytes for result in first.results]
        batch = first
        while batch.has_more:
            batch = await self._query(_Message.QUERY_STATE_NEXT, chaincode_shim_pb2.QueryStateNext(id=batch.id))
            results.extend(result.resultBytes for result in batch.results)
        return results


def _usable(key: str) -> str:
    if not key:
        raise InvalidKeyError("key must not be an empty string")
    return key


def _key_value(data: bytes) -> KeyValue:
    entry = kv_query_result_pb2.KV.FromString(data)
    return KeyValue(entry.key, entry.value)


def _modification(data: bytes) -> KeyModification:
    entry = kv_query_result_pb2.KeyModification.FromString(data)
    return KeyModification(entry.tx_id, entry.value, _datetime(entry.timestamp), entry.is_delete)


def _datetime(timestamp: Timestamp) -> datetime:
    try:
        return _EPOCH + timedelta(seconds=timestamp.seconds, microseconds=timestamp.nanos // 1000)
    except OverflowError as exc:
        raise ProposalError("the transaction's timestamp is out of range") from exc

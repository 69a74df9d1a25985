"""Answers what a chaincode asks of the state during a transaction; one function per kind of message.

Source: fabric core/chaincode/handler.go.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from fabric_protos.ledger.queryresult import kv_query_result_pb2
from fabric_protos.peer import chaincode_shim_pb2 as shim
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

from fabric_devnet.embedded.errors import SimulationError
from fabric_devnet.embedded.transactioncontext import TOTAL_QUERY_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fabric_devnet.embedded.transactioncontext import TransactionContext

Kind = shim.ChaincodeMessage
_NANOSECONDS: Final = 1_000_000_000
_PURGE_CAPABILITY: Final = "V2_5"


def answer(message: shim.ChaincodeMessage, context: TransactionContext) -> bytes:
    """Carry out one request and return the payload of the RESPONSE; raises SimulationError with Fabric's cause."""
    handler = _HANDLERS.get(message.type)
    if handler is None:
        raise SimulationError("message type is not supported")
    try:
        return handler(context, message.payload)
    except DecodeError as exc:
        raise SimulationError("unmarshal failed: proto: cannot parse invalid wire-format data") from exc


def is_supported(kind: int) -> bool:
    """Tell whether `answer` knows this kind of message."""
    return kind in _HANDLERS


def _get_state(context: TransactionContext, payload: bytes) -> bytes:
    request = shim.GetState.FromString(payload)
    return _read(context, request.key, request.collection)


def _get_state_multiple(context: TransactionContext, payload: bytes) -> bytes:
    request = shim.GetStateMultiple.FromString(payload)
    values = [_read(context, key, request.collection) for key in request.keys]
    return shim.GetStateMultipleResult(values=values).SerializeToString()


def _read(context: TransactionContext, key: str, collection: str) -> bytes:
    if not collection:
        return context.simulator.get_state(context.chaincode, key) or b""
    context.check_read(collection)
    return context.simulator.get_private(context.chaincode, collection, key) or b""


def _get_private_hash(context: TransactionContext, payload: bytes) -> bytes:
    request = shim.GetState.FromString(payload)
    context.check_exists(request.collection)
    return context.simulator.get_private_hash(context.chaincode, request.collection, request.key) or b""


def _put_state(context: TransactionContext, payload: bytes) -> bytes:
    request = shim.PutState.FromString(payload)
    _write(context, request.key, request.value, request.collection)
    return b""


def _write(context: TransactionContext, key: str, value: bytes, collection: str) -> None:
    if not collection:
        context.simulator.put_state(context.chaincode, key, value)
        return
    context.check_write(collection)
    context.simulator.put_private(context.chaincode, collection, key, value)


def _delete_state(context: TransactionContext, payload: bytes) -> bytes:
    request = shim.DelState.FromString(payload)
    _delete(context, request.key, request.collection)
    return b""


def _delete(context: TransactionContext, key: str, collection: str) -> None:
    if not collection:
        context.simulator.delete_state(context.chaincode, key)
        return
    context.check_write(collection)
    context.simulator.delete_private(context.chaincode, collection, key)


def _purge_private(context: TransactionContext, payload: bytes) -> bytes:
    request = shim.PurgePrivateState.FromString(payload)
    _purge(context, request.key, request.collection)
    return b""


def _purge(context: TransactionContext, key: str, collection: str) -> None:
    if not collection:
        raise SimulationError("only applicable for private data")
    context.check_write(collection)
    context.simulator.purge_private(context.chaincode, collection, key)


def _get_metadata(context: TransactionContext, payload: bytes) -> bytes:
    request = shim.GetStateMetadata.FromString(payload)
    if request.collection:
        context.check_read(request.collection)
        metadata = context.simulator.get_private_metadata(context.chaincode, request.collection, request.key)
    else:
        metadata = context.simulator.get_state_metadata(context.chaincode, request.key)
    entries = [shim.StateMetadata(metakey=name, value=value) for name, value in sorted(metadata.items())]
    return shim.StateMetadataResult(entries=entries).SerializeToString()


def _put_metadata(context: TransactionContext, payload: bytes) -> bytes:
    request = shim.PutStateMetadata.FromString(payload)
    _write_metadata(context, request.key, request.collection, request.metadata)
    return b""


def _write_metadata(context: TransactionContext, key: str, collection: str, metadata: shim.StateMetadata) -> None:
    entries = {metadata.metakey: metadata.value}
    if not collection:
        context.simulator.put_state_metadata(context.chaincode, key, entries)
        return
    context.check_write(collection)
    context.simulator.put_private_metadata(context.chaincode, collection, key, entries)


def _write_batch(context: TransactionContext, payload: bytes) -> bytes:
    for record in shim.WriteBatchState.FromString(payload).rec:
        match record.type:
            case shim.WriteRecord.PUT_STATE:
                _write(context, record.key, record.value, record.collection)
            case shim.WriteRecord.DEL_STATE:
                _delete(context, record.key, record.collection)
            case shim.WriteRecord.PUT_STATE_METADATA:
                _write_metadata(context, record.key, record.collection, record.metadata)
            case shim.WriteRecord.PURGE_PRIVATE_DATA:
                _purge(context, record.key, record.collection)
            case _:
                raise SimulationError("unknown operation type")
    return b""


def _get_range(context: TransactionContext, payload: bytes) -> bytes:
    request = shim.GetStateByRange.FromString(payload)
    namespace = context.chaincode
    if request.collection:
        context.check_read(request.collection)
        entries = context.simulator.scan_private(namespace, request.collection, request.startKey, request.endKey)
        return context.open_query(_key_values(namespace, entries)).SerializeToString()
    page = shim.QueryMetadata.FromString(request.metadata)
    if page.pageSize or page.bookmark:
        return _get_page(context, request, page)
    entries = iter(context.simulator.scan(namespace, request.startKey, request.endKey))
    return context.open_query(_key_values(namespace, entries)).SerializeToString()


def _get_page(context: TransactionContext, request: shim.GetStateByRange, page: shim.QueryMetadata) -> bytes:
    start = page.bookmark or request.startKey
    size = min(page.pageSize, TOTAL_QUERY_LIMIT) if page.pageSize > 0 else TOTAL_QUERY_LIMIT
    scan = context.simulator.scan_page(context.chaincode, start, request.endKey)
    taken = list(islice(scan, size))
    following = next(scan, None) if len(taken) == size else None
    metadata = shim.QueryResponseMetadata(
        fetched_records_count=len(taken), bookmark=following[0] if following is not None else ""
    )
    return shim.QueryResponse(
        results=[shim.QueryResultBytes(resultBytes=r) for r in _key_values(context.chaincode, iter(taken))],
        has_more=False,
        metadata=metadata.SerializeToString(),
    ).SerializeToString()


def _key_values(namespace: str, entries: Iterator[tuple[str, bytes]]) -> Iterator[bytes]:
    for key, value in entries:
        yield kv_query_result_pb2.KV(namespace=namespace, key=key, value=value).SerializeToString()


def _get_history(context: TransactionContext, payload: bytes) -> bytes:
    request = shim.GetHistoryForKey.FromString(payload)
    revisions = context.simulator.history(context.chaincode, request.key)

    def results() -> Iterator[bytes]:
        for revision in revisions:
            seconds, nanos = divmod(revision.timestamp_nanoseconds, _NANOSECONDS)
            yield kv_query_result_pb2.KeyModification(
                tx_id=revision.transaction_id,
                value=revision.value.value if revision.value else b"",
                timestamp=Timestamp(seconds=seconds, nanos=nanos),
                is_delete=revision.value is None,
            ).SerializeToString()

    return context.open_query(results()).SerializeToString()


def _get_query_result(_context: TransactionContext, payload: bytes) -> bytes:
    shim.GetQueryResult.FromString(payload)
    raise SimulationError("ExecuteQuery not supported for leveldb")


def _next(context: TransactionContext, payload: bytes) -> bytes:
    return context.continue_query(shim.QueryStateNext.FromString(payload).id).SerializeToString()


def _close(context: TransactionContext, payload: bytes) -> bytes:
    return context.close_query(shim.QueryStateClose.FromString(payload).id).SerializeToString()


_HANDLERS: Final[dict[int, Callable[[TransactionContext, bytes], bytes]]] = {
    Kind.GET_STATE: _get_state,
    Kind.GET_STATE_MULTIPLE: _get_state_multiple,
    Kind.PUT_STATE: _put_state,
    Kind.DEL_STATE: _delete_state,
    Kind.GET_STATE_BY_RANGE: _get_range,
    Kind.GET_QUERY_RESULT: _get_query_result,
    Kind.GET_HISTORY_FOR_KEY: _get_history,
    Kind.QUERY_STATE_NEXT: _next,
    Kind.QUERY_STATE_CLOSE: _close,
    Kind.GET_PRIVATE_DATA_HASH: _get_private_hash,
    Kind.GET_STATE_METADATA: _get_metadata,
    Kind.PUT_STATE_METADATA: _put_metadata,
    Kind.PURGE_PRIVATE_DATA: _purge_private,
    Kind.WRITE_BATCH_STATE: _write_batch,
}

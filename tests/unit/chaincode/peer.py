"""The peer's end of a chaincode stream, over real gRPC: sends transactions, answers requests from a dictionary.

Source: fabric core/chaincode/handler.go. It keeps what it must answer in memory and knows no rules of a ledger.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import grpc.aio
from fabric_protos.common import common_pb2
from fabric_protos.ledger.queryresult import kv_query_result_pb2
from fabric_protos.peer import chaincode_pb2, chaincode_shim_pb2, proposal_pb2, proposal_response_pb2
from google.protobuf.message import Message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ChaincodeMessage = chaincode_shim_pb2.ChaincodeMessage
DEADLINE_SECONDS = 20.0
BATCH = 3


class Peer:
    """One open stream. `hold` may delay every answer until it is set; `fail` answers requests on a key by ERROR."""

    def __init__(self, call: "grpc.aio.StreamStreamCall[Message, ChaincodeMessage]") -> None:
        self._call = call
        self._writing = asyncio.Lock()
        self._answers: dict[str, asyncio.Future[ChaincodeMessage]] = {}
        self._open_queries: dict[str, list[bytes]] = {}
        self.state: dict[str, bytes] = {}
        self.fail: set[str] = set()
        self.hold: Callable[[], Awaitable[object]] | None = None
        self.requests: list[str] = []
        self.waiting = 0

    async def read(self) -> ChaincodeMessage:
        message = await asyncio.wait_for(self._call.read(), DEADLINE_SECONDS)
        assert isinstance(message, ChaincodeMessage), "the chaincode ended the stream"
        return message

    async def write(self, message: ChaincodeMessage) -> None:
        async with self._writing:
            await self._call.write(message)

    async def register(self, package_id: str, *, ready: bytes = b"") -> None:
        first = await self.read()
        assert first.type == ChaincodeMessage.REGISTER
        assert chaincode_pb2.ChaincodeID.FromString(first.payload).name == package_id
        await self.write(ChaincodeMessage(type=ChaincodeMessage.REGISTERED))
        await self.write(ChaincodeMessage(type=ChaincodeMessage.READY, payload=ready))

    async def send(self, message: ChaincodeMessage) -> ChaincodeMessage:
        """Send a transaction and wait for its COMPLETED or ERROR; many may run at once."""
        self._answers[message.txid] = asyncio.get_running_loop().create_future()
        await self.write(message)
        return await asyncio.wait_for(self._answers[message.txid], DEADLINE_SECONDS)

    async def invoke(self, tx_id: str, *args: str | bytes, init: bool = False) -> proposal_response_pb2.Response:
        message = await self.send(transaction(tx_id, *args, init=init))
        assert message.type == ChaincodeMessage.COMPLETED, message
        return proposal_response_pb2.Response.FromString(message.payload)

    async def serve(self) -> None:
        """Answer the chaincode until cancelled."""
        async with asyncio.TaskGroup() as answering:
            while True:
                message = await self._call.read()
                if not isinstance(message, ChaincodeMessage):
                    return
                if message.type in {ChaincodeMessage.COMPLETED, ChaincodeMessage.ERROR}:
                    self._answers[message.txid].set_result(message)
                else:
                    answering.create_task(self._reply(message))

    async def _reply(self, request: ChaincodeMessage) -> None:
        kind = ChaincodeMessage.Type.Name(request.type)
        self.requests.append(kind)
        if self.hold is not None:
            self.waiting += 1
            await self.hold()
        try:
            payload = self._answer(request)
        except KeyError as failed:
            text = f"{kind} failed: transaction ID: {request.txid}: {failed.args[0]}"
            await self.write(_to(request, ChaincodeMessage.ERROR, text.encode()))
        else:
            await self.write(_to(request, ChaincodeMessage.RESPONSE, payload))

    def _answer(self, request: ChaincodeMessage) -> bytes:
        match request.type:
            case ChaincodeMessage.GET_STATE:
                return self.state.get(self._key(chaincode_shim_pb2.GetState.FromString(request.payload).key), b"")
            case ChaincodeMessage.PUT_STATE:
                put = chaincode_shim_pb2.PutState.FromString(request.payload)
                self.state[self._key(put.key)] = put.value
            case ChaincodeMessage.DEL_STATE:
                self.state.pop(self._key(chaincode_shim_pb2.DelState.FromString(request.payload).key), None)
            case ChaincodeMessage.GET_STATE_BY_RANGE:
                return self._range(chaincode_shim_pb2.GetStateByRange.FromString(request.payload), request.txid)
            case ChaincodeMessage.GET_HISTORY_FOR_KEY:
                return self._history(self._key(chaincode_shim_pb2.GetHistoryForKey.FromString(request.payload).key))
            case ChaincodeMessage.QUERY_STATE_NEXT:
                return self._batch(chaincode_shim_pb2.QueryStateNext.FromString(request.payload).id)
            case _:
                raise KeyError(f"unexpected {request.type}")
        return b""

    def _key(self, key: str) -> str:
        if key in self.fail:
            raise KeyError("the ledger is closed")
        return key

    def _range(self, request: chaincode_shim_pb2.GetStateByRange, tx_id: str) -> bytes:
        end = request.endKey or "\U0010ffff"
        found = [key for key in sorted(self.state) if request.startKey <= key < end]
        bookmark = ""
        if request.metadata:
            metadata = chaincode_shim_pb2.QueryMetadata.FromString(request.metadata)
            found = [key for key in found if key >= metadata.bookmark]
            bookmark = found[metadata.pageSize] if len(found) > metadata.pageSize else ""
            found = found[: metadata.pageSize]
        entries = [kv_query_result_pb2.KV(key=key, value=self.state[key]) for key in found]
        self._open_queries[tx_id] = [entry.SerializeToString() for entry in entries]
        answer = chaincode_shim_pb2.QueryResponse.FromString(self._batch(tx_id))
        page = chaincode_shim_pb2.QueryResponseMetadata(fetched_records_count=len(found), bookmark=bookmark)
        answer.metadata = page.SerializeToString()
        return answer.SerializeToString()

    def _batch(self, query: str) -> bytes:
        results, self._open_queries[query] = self._open_queries[query][:BATCH], self._open_queries[query][BATCH:]
        return chaincode_shim_pb2.QueryResponse(
            results=[chaincode_shim_pb2.QueryResultBytes(resultBytes=result) for result in results],
            has_more=bool(self._open_queries[query]),
            id=query,
        ).SerializeToString()

    def _history(self, key: str) -> bytes:
        entries = [
            kv_query_result_pb2.KeyModification(tx_id="b" * 64, is_delete=True),
            kv_query_result_pb2.KeyModification(tx_id="a" * 64, value=self.state.get(key, b"")),
        ]
        results = [chaincode_shim_pb2.QueryResultBytes(resultBytes=entry.SerializeToString()) for entry in entries]
        return chaincode_shim_pb2.QueryResponse(results=results, id="history").SerializeToString()


@asynccontextmanager
async def connected(channel: grpc.aio.Channel, package_id: str) -> "AsyncIterator[Peer]":
    """A registered stream, ended on leaving."""
    call = channel.stream_stream(
        "/protos.Chaincode/Connect",
        request_serializer=ChaincodeMessage.SerializeToString,
        response_deserializer=ChaincodeMessage.FromString,
    )()
    peer = Peer(call)
    await peer.register(package_id)
    serving = asyncio.create_task(peer.serve())
    try:
        yield peer
    finally:
        call.cancel()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def transaction(tx_id: str, *args: str | bytes, init: bool = False, seconds: int = 1_772_366_400) -> ChaincodeMessage:
    """A TRANSACTION or INIT message with the signed proposal that a peer adds."""
    channel_header = common_pb2.ChannelHeader(tx_id=tx_id, channel_id="mychannel")
    channel_header.timestamp.seconds = seconds
    header = common_pb2.Header(
        channel_header=_bytes(channel_header), signature_header=_bytes(common_pb2.SignatureHeader(creator=b"creator"))
    )
    proposal = proposal_pb2.Proposal(header=_bytes(header))
    arguments = [arg.encode() if isinstance(arg, str) else arg for arg in args]
    return ChaincodeMessage(
        type=ChaincodeMessage.INIT if init else ChaincodeMessage.TRANSACTION,
        txid=tx_id,
        channel_id="mychannel",
        payload=_bytes(chaincode_pb2.ChaincodeInput(args=arguments, is_init=init)),
        proposal=proposal_pb2.SignedProposal(proposal_bytes=_bytes(proposal)),
    )


def _to(request: ChaincodeMessage, kind: "ChaincodeMessage.Type.ValueType", payload: bytes) -> ChaincodeMessage:
    return ChaincodeMessage(type=kind, txid=request.txid, channel_id=request.channel_id, payload=payload)


def _bytes(message: Message) -> bytes:
    return message.SerializeToString()

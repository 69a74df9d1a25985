"""A chaincode server that speaks the stream protocol message by message, for what no shim would send."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
from fabric_protos.peer import (
    chaincode_event_pb2,
    chaincode_pb2,
    chaincode_shim_pb2,
    chaincode_shim_pb2_grpc,
    proposal_response_pb2,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from google.protobuf.message import Message

Kind = chaincode_shim_pb2.ChaincodeMessage


class Refused(Exception):
    """The peer answered a request with ERROR."""


@dataclass(slots=True)
class Transaction:
    """One transaction as the peer sent it; `ask` sends a request and gives the answer's payload."""

    args: list[str]
    message: chaincode_shim_pb2.ChaincodeMessage
    send: Callable[[chaincode_shim_pb2.ChaincodeMessage], Awaitable[None]]
    answers: asyncio.Queue[chaincode_shim_pb2.ChaincodeMessage]
    event: chaincode_event_pb2.ChaincodeEvent | None = None

    async def ask(self, kind: chaincode_shim_pb2.ChaincodeMessage.Type.ValueType, request: Message) -> bytes:
        await self.request(kind, request)
        answer = await self.answers.get()
        if answer.type == Kind.ERROR:
            raise Refused(answer.payload.decode())
        return answer.payload

    async def request(self, kind: chaincode_shim_pb2.ChaincodeMessage.Type.ValueType, request: Message) -> None:
        await self.send(
            Kind(
                type=kind,
                payload=request.SerializeToString(),
                txid=self.message.txid,
                channel_id=self.message.channel_id,
            )
        )


class RawChaincode(chaincode_shim_pb2_grpc.ChaincodeServicer):
    """Runs `handler` for every transaction; `registered` counts streams, `ready` holds each READY's payload."""

    def __init__(
        self, package_id: str, handler: Callable[[Transaction], Awaitable[proposal_response_pb2.Response]]
    ) -> None:
        self.package_id = package_id
        self.handler = handler
        self.ready: list[bytes] = []

    async def Connect(  # noqa: N802 - the service's name for it
        self,
        request_iterator: AsyncIterator[chaincode_shim_pb2.ChaincodeMessage],
        context: object,  # noqa: ARG002 - fixed signature
    ) -> AsyncIterator[chaincode_shim_pb2.ChaincodeMessage]:
        outgoing: asyncio.Queue[chaincode_shim_pb2.ChaincodeMessage] = asyncio.Queue()
        name = chaincode_pb2.ChaincodeID(name=self.package_id)
        yield Kind(type=Kind.REGISTER, payload=name.SerializeToString())
        reader = asyncio.create_task(self._read_all(request_iterator, outgoing))
        try:
            while True:
                yield await outgoing.get()
        finally:
            reader.cancel()

    async def _read_all(
        self,
        messages: AsyncIterator[chaincode_shim_pb2.ChaincodeMessage],
        outgoing: asyncio.Queue[chaincode_shim_pb2.ChaincodeMessage],
    ) -> None:
        running: dict[tuple[str, str], Transaction] = {}
        async with asyncio.TaskGroup() as tasks:
            async for message in messages:
                key = (message.channel_id, message.txid)
                if message.type == Kind.READY:
                    self.ready.append(message.payload)
                elif message.type in (Kind.TRANSACTION, Kind.INIT):
                    given = chaincode_pb2.ChaincodeInput.FromString(message.payload)
                    args = [arg.decode() for arg in given.args]
                    running[key] = Transaction(args, message, outgoing.put, asyncio.Queue())
                    tasks.create_task(self._run(running[key]))
                elif key in running:
                    running[key].answers.put_nowait(message)

    async def _run(self, transaction: Transaction) -> None:
        message = Kind(txid=transaction.message.txid, channel_id=transaction.message.channel_id)
        try:
            response = await self.handler(transaction)
            message.type, message.payload = Kind.COMPLETED, response.SerializeToString()
            if transaction.event is not None:
                message.chaincode_event.CopyFrom(transaction.event)
        except Refused as exc:
            message.type, message.payload = Kind.ERROR, str(exc).encode()
        await transaction.send(message)


@asynccontextmanager
async def serve(chaincode: RawChaincode, address: str) -> AsyncIterator[RawChaincode]:
    server = grpc.aio.server()
    chaincode_shim_pb2_grpc.add_ChaincodeServicer_to_server(chaincode, server)
    server.add_insecure_port(address)
    await server.start()
    try:
        yield chaincode
    finally:
        await server.stop(grace=None)


def ok(payload: bytes = b"") -> proposal_response_pb2.Response:
    return proposal_response_pb2.Response(status=200, payload=payload)

"""A gRPC server over TLS: real sockets and messages, words given by the test."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from fabric_admin.transport import Endpoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from google.protobuf.message import Message

    from fabric_devnet.crypto import CertificateAuthority

    Context = grpc.aio.ServicerContext[bytes, bytes]


class ScriptedNode(grpc.GenericRpcHandler):
    """Answers every method with `answers`, or with `status`; keeps the raw requests."""

    def __init__(self, tls: CertificateAuthority) -> None:
        self.answers: Sequence[Message] = ()
        self.status: tuple[grpc.StatusCode, str] | None = None
        self.trailers: tuple[tuple[str, str | bytes], ...] = ()
        self.silent = False
        self.answer = asyncio.Event()
        """Ends the silence."""
        self.requests: list[bytes] = []
        self.asked = asyncio.Event()
        self._tls = tls
        self._server = grpc.aio.server()
        self._server.add_generic_rpc_handlers((self,))
        pair = tls.issue_tls("peer0.test", "test")
        credentials = grpc.ssl_server_credentials([(pair.key_pem, pair.certificate_pem)])
        self.port = self._server.add_secure_port("127.0.0.1:0", credentials)

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(f"127.0.0.1:{self.port}", self._tls.certificate_pem)

    async def start(self) -> None:
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(0)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        """Streams for the two block services, single messages for everything else."""
        if handler_call_details.method.rpartition("/")[2] in {"Deliver", "DeliverFiltered", "Broadcast"}:
            return grpc.stream_stream_rpc_method_handler(self._stream)
        return grpc.unary_unary_rpc_method_handler(self._single)

    async def _single(self, request: bytes, context: Context) -> bytes:
        self.requests.append(request)
        await self._interrupt(context)
        return self.answers[0].SerializeToString()

    async def _stream(self, requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        self.requests.append(await anext(requests))
        for answer in self.answers:
            yield answer.SerializeToString()
        await self._interrupt(context)

    async def _interrupt(self, context: Context) -> None:
        self.asked.set()
        if self.silent:
            await self.answer.wait()
        if self.status is not None:
            await context.abort(*self.status, self.trailers)


@asynccontextmanager
async def running(*nodes: ScriptedNode) -> AsyncIterator[None]:
    """The nodes run until the block ends."""
    async with AsyncExitStack() as stack:
        for node in nodes:
            await node.start()
            stack.push_async_callback(node.stop)
        yield

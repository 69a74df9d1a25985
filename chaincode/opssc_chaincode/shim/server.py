"""The gRPC server that peers connect to (`protos.Chaincode/Connect`). Needs the extra `[server]`."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc
import grpc.aio
from fabric_protos.peer import chaincode_shim_pb2

from opssc_chaincode.shim.errors import ServerError, StreamClosedError
from opssc_chaincode.shim.stream import PeerStream
from opssc_chaincode.shim.stub import Chaincode

_log = logging.getLogger(__name__)
_MAX_MESSAGE_BYTES = 100 * 1024 * 1024
_GRACE_SECONDS = 3.0
_END_SECONDS = 1.0
_OPTIONS = (
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    # Peers ping an idle stream every minute, which gRPC's default takes for abuse and answers with GOAWAY.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_ping_strikes", 0),
    # Notices a peer that vanished without closing its stream.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # Otherwise two servers share one port silently, each getting some of the transactions.
    ("grpc.so_reuseport", 0),
)


@dataclass(frozen=True, slots=True)
class TLS:
    """PEM bytes: the server's certificate chain and key, and the CA of the peers' client certificates if asked for."""

    certificate: bytes
    private_key: bytes
    client_ca: bytes | None = None

    @classmethod
    def from_files(cls, certificate: Path, private_key: Path, client_ca: Path | None = None) -> Self:
        """Read PEM files; raises ServerError naming the one that cannot be read."""
        return cls(_read(certificate), _read(private_key), _read(client_ca) if client_ca else None)


class Server:
    """A chaincode server; an async context manager, or `start` and `stop`."""

    def __init__(self, chaincode: Chaincode, *, address: str, package_id: str, tls: TLS | None = None) -> None:
        if not package_id:
            raise ServerError("no package ID: the peer accepts a chaincode only under the ID of its package")
        self._chaincode = chaincode
        self._address = address
        self._package_id = package_id
        self._tls = tls
        self._server: grpc.aio.Server | None = None
        self._port = 0
        self._streams: set[PeerStream] = set()

    @property
    def port(self) -> int:
        """The port that was bound, which is chosen by the system when the address ends in `:0`."""
        return self._port

    async def start(self) -> None:
        """Bind and serve; raises ServerError when the address or the TLS files are unusable."""
        server = grpc.aio.server(options=_OPTIONS)
        connect = grpc.stream_stream_rpc_method_handler(
            self._connect,
            request_deserializer=chaincode_shim_pb2.ChaincodeMessage.FromString,
            response_serializer=chaincode_shim_pb2.ChaincodeMessage.SerializeToString,
        )
        handler = grpc.method_handlers_generic_handler("protos.Chaincode", {"Connect": connect})
        server.add_generic_rpc_handlers((handler,))
        try:
            if self._tls is None:
                self._port = server.add_insecure_port(self._address)
            else:
                self._port = server.add_secure_port(self._address, _credentials(self._tls))
        except RuntimeError as exc:
            raise ServerError(f"cannot listen on {self._address}: {exc}") from exc
        await server.start()
        self._server = server
        _log.info("chaincode server started", extra={"address": self._address, "package_id": self._package_id})

    async def stop(self, grace_seconds: float = _GRACE_SECONDS) -> None:
        """Let running transactions finish for at most `grace_seconds`, then end all streams."""
        if self._server is None:
            return
        server, self._server = self._server, None
        for stream in self._streams:
            stream.stop(grace_seconds)
        # Streams end by themselves; cancelled ones would be reported by gRPC as failures.
        await server.stop(grace_seconds + _END_SECONDS)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop(0)

    async def _connect(
        self,
        messages: AsyncIterable[chaincode_shim_pb2.ChaincodeMessage],
        context: "grpc.aio.ServicerContext[chaincode_shim_pb2.ChaincodeMessage, chaincode_shim_pb2.ChaincodeMessage]",
    ) -> None:
        async def write(message: chaincode_shim_pb2.ChaincodeMessage) -> None:
            try:
                await context.write(message)
            except grpc.aio.BaseError as exc:
                raise StreamClosedError("the stream to the peer ended") from exc

        stream = PeerStream(self._package_id, self._chaincode, write)
        self._streams.add(stream)
        try:
            await stream.serve(messages)
        except StreamClosedError:
            _log.info("a peer left while it was written to", extra={"package_id": self._package_id})
        finally:
            self._streams.discard(stream)


async def serve(chaincode: Chaincode, address: str, package_id: str, *, tls: TLS | None = None) -> None:
    """Serve until SIGTERM or SIGINT; raises ServerError when it cannot start."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    server = Server(chaincode, address=address, package_id=package_id, tls=tls)
    await server.start()
    try:
        await stopping.wait()
    finally:
        await server.stop()
        _log.info("chaincode server stopped", extra={"package_id": package_id})


def _credentials(tls: TLS) -> grpc.ServerCredentials:
    return grpc.ssl_server_credentials(
        [(tls.private_key, tls.certificate)],
        root_certificates=tls.client_ca,
        require_client_auth=tls.client_ca is not None,
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ServerError(f"cannot read {path}: {exc.strerror}") from exc

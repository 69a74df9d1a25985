"""Connections to peers and orderers: TLS, limits, keepalive, and gRPC failures told apart as this library's errors.

Every call site passes a deadline; nothing here retries.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

import grpc
import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from fabric_admin.errors import DeadlineExceeded, GatewayError, IdentityError, RequestRefused, TransportError
from fabric_admin.grpc_status import decode_details

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from fabric_admin.errors import FabricError

MAX_MESSAGE_BYTES: Final = 100 * 1024 * 1024
"""Fabric's own default in both directions (Fabric: internal/pkg/comm/config.go)."""

_OPTIONS: Final = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # Servers disconnect clients that ping more than once a minute (peer.keepalive.minInterval).
    ("grpc.keepalive_time_ms", 75_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.max_pings_without_data", 0),
    # A restarted node should be found again within a second or two, not after gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.use_local_subchannel_pool", 1),
    # A proxy of the environment is for downloads: nodes are asked where they are said to be.
    ("grpc.enable_http_proxy", 0),
)
_NEXT_ATTEMPT_SECONDS: Final = 2.5
# What a Gateway itself reports as UNAVAILABLE (Fabric: internal/pkg/gateway); gRPC does not tell whose status it is.
_GATEWAY_UNAVAILABLE: Final = (
    "evaluate call to endorser returned error: ",
    "failed to evaluate transaction",
    "failed to find any endorsing peers for org(s): ",
    "failed to get config for channel [",
    "no orderers could successfully process transaction",
    "no orderer nodes available",
    "insufficient number of orderers could successfully process transaction",
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a node listens; certificates and the key are PEM bytes.

    Without `tls_ca` the connection is plain text. `server_name` replaces the host of `address` in the certificate
    check. A client certificate needs its key.
    """

    address: str
    tls_ca: bytes | None
    server_name: str | None = None
    client_certificate: bytes | None = None
    client_key: bytes | None = field(default=None, repr=False)

    @property
    def tls_certificate_hash(self) -> bytes:
        """SHA-256 of the client TLS certificate's DER, the TLS binding of Deliver; empty without one."""
        if self.client_certificate is None:
            return b""
        certificate = _load_certificates(self.client_certificate, "client TLS certificate", self.address)[0]
        return hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()


class Connection:
    """One gRPC channel to one endpoint; make it inside a running event loop and close it.

    A longer message than ``max_message_bytes`` is not received. Raises IdentityError when the endpoint's TLS material
    cannot be read.
    """

    __slots__ = ("channel", "endpoint")

    def __init__(self, endpoint: Endpoint, *, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self.endpoint = endpoint
        self.channel: grpc.aio.Channel = _open_channel(endpoint, max_message_bytes)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connection and every call on it."""
        await self.channel.close()

    async def ready(self, *, timeout_seconds: float = 10.0) -> None:
        """Wait until connected; raises TransportError when an attempt made meanwhile fails, DeadlineExceeded."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._connected()
        except TimeoutError as exc:
            raise DeadlineExceeded(self.endpoint.address, f"not connected within {timeout_seconds:g} s") from exc

    async def _connected(self) -> None:
        state = self.channel.get_state(try_to_connect=True)
        if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            # An attempt that failed before this call says nothing about now.
            state = await self._recovered(state)
        while state is not grpc.ChannelConnectivity.READY:
            if state in {grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN}:
                raise TransportError(self.endpoint.address, "the connection could not be made")
            await self.channel.wait_for_state_change(state)
            state = self.channel.get_state(try_to_connect=True)

    async def _recovered(self, failure: grpc.ChannelConnectivity) -> grpc.ChannelConnectivity:
        """Wait for one more attempt; gRPC shows only the attempts that succeed (gRFC A62)."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_NEXT_ATTEMPT_SECONDS):
                await self.channel.wait_for_state_change(failure)
        return self.channel.get_state(try_to_connect=True)

    @contextlib.contextmanager
    def refusals(self) -> Iterator[None]:
        """Turn gRPC failures of the calls inside into TransportError, DeadlineExceeded or RequestRefused."""
        with self._closing():
            try:
                yield
            except grpc.aio.AioRpcError as exc:
                raise _transport_error(exc, self.endpoint.address) or _refusal(exc) from exc

    @contextlib.contextmanager
    def gateway_errors(self) -> Iterator[None]:
        """Turn gRPC failures of Gateway calls inside into TransportError, DeadlineExceeded or GatewayError."""
        with self._closing():
            try:
                yield
            except grpc.aio.AioRpcError as exc:
                error = _gateway_error(exc)
                if error.details or error.message.startswith(_GATEWAY_UNAVAILABLE):
                    raise error from exc
                raise _transport_error(exc, self.endpoint.address) or error from exc

    @contextlib.contextmanager
    def _closing(self) -> Iterator[None]:
        """Turn what closing the connection does to calls on it into TransportError."""
        try:
            yield
        except grpc.aio.UsageError as exc:
            raise TransportError(self.endpoint.address, "the connection is closed") from exc
        except asyncio.CancelledError as exc:
            # gRPC ends the calls of a closed channel this way, which must not pass for a cancelled task.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise TransportError(self.endpoint.address, "the connection was closed during the call") from exc


def _open_channel(endpoint: Endpoint, max_message_bytes: int) -> grpc.aio.Channel:
    options: tuple[tuple[str, str | int], ...] = (
        *_OPTIONS,
        ("grpc.max_receive_message_length", max_message_bytes),
    )
    if endpoint.tls_ca is None:
        return grpc.aio.insecure_channel(endpoint.address, options=options)
    _load_certificates(endpoint.tls_ca, "TLS CA certificate", endpoint.address)
    if (endpoint.client_certificate is None) is not (endpoint.client_key is None):
        raise IdentityError(f"{endpoint.address}: give a client TLS certificate and its key together, or neither")
    if endpoint.client_certificate is not None:
        _load_certificates(endpoint.client_certificate, "client TLS certificate", endpoint.address)
    credentials = grpc.ssl_channel_credentials(endpoint.tls_ca, endpoint.client_key, endpoint.client_certificate)
    if endpoint.server_name is not None:
        options += (("grpc.ssl_target_name_override", endpoint.server_name),)
        options += (("grpc.default_authority", endpoint.server_name),)
    return grpc.aio.secure_channel(endpoint.address, credentials, options=options)


def _load_certificates(pem: bytes, what: str, address: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as exc:
        raise IdentityError(f"{address}: the {what} is not PEM: {exc}") from exc


def _transport_error(exc: grpc.aio.AioRpcError, address: str) -> TransportError | None:
    """Recognise what never reached the service, or got no answer from it in time."""
    code, text = exc.code(), exc.details() or "no reason given"
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded(address, text)
    if code in {grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE}:
        return TransportError(address, text)
    return None


def _refusal(exc: grpc.aio.AioRpcError) -> FabricError:
    return RequestRefused(exc.code().name, exc.details() or "")


def _gateway_error(exc: grpc.aio.AioRpcError) -> GatewayError:
    return GatewayError(exc.code().name, exc.details() or "", decode_details(exc.trailing_metadata() or ()))

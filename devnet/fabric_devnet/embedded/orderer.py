"""One orderer: its gRPC services and its channel participation endpoint, both with real TLS."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from fabric_protos.common import common_pb2
from fabric_protos.orderer import ab_pb2, ab_pb2_grpc

from fabric_admin.identity import SigningIdentity
from fabric_devnet.embedded.broadcast import Broadcast, NoAnswer
from fabric_devnet.embedded.deliver import DeliverHandler
from fabric_devnet.embedded.ordering import check_reader
from fabric_devnet.embedded.participation import ParticipationServer
from fabric_devnet.errors import NodeFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from fabric_devnet.embedded.ordering import Member, OrderingService
    from fabric_devnet.plan import OrdererNode

    EnvelopeContext = grpc.aio.ServicerContext[common_pb2.Envelope, ab_pb2.BroadcastResponse]
    DeliverContext = grpc.aio.ServicerContext[common_pb2.Envelope, ab_pb2.DeliverResponse]

logger = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 100 * 1024 * 1024
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # Two networks must never share a port by accident.
    ("grpc.so_reuseport", 0),
)


class AtomicBroadcast(ab_pb2_grpc.AtomicBroadcastServicer):
    """The orderer's gRPC service."""

    def __init__(self, service: OrderingService, member: Member) -> None:
        self._broadcast = Broadcast(service, member)
        self._deliver = DeliverHandler(
            find=lambda channel_id: service.chain(member, channel_id),
            authorize=lambda source, signed: check_reader(source.config, signed),
            available=lambda source: service.has_quorum(source.config.channel_id),
        )

    async def Broadcast(  # noqa: N802 - the service's name for it
        self,
        request_iterator: AsyncIterator[common_pb2.Envelope],
        context: EnvelopeContext,  # noqa: ARG002 - fixed signature
    ) -> AsyncIterator[ab_pb2.BroadcastResponse]:
        """Order messages; one answer each, and the end after the first refusal."""
        async for envelope in request_iterator:
            try:
                response = self._broadcast.process(envelope)
            except NoAnswer as exc:
                logger.warning("the orderer gave up on a message: %s", exc)
                return
            yield response
            if response.status != common_pb2.Status.SUCCESS:
                return

    async def Deliver(  # noqa: N802 - the service's name for it
        self,
        request_iterator: AsyncIterator[common_pb2.Envelope],
        context: DeliverContext,  # noqa: ARG002 - fixed signature
    ) -> AsyncIterator[ab_pb2.DeliverResponse]:
        """Stream blocks."""
        async for item in self._deliver.stream(request_iterator):
            if isinstance(item, common_pb2.Block):
                yield ab_pb2.DeliverResponse(block=item)
            else:
                yield ab_pb2.DeliverResponse(status=item)


class Orderer:
    """An orderer of the embedded network; its channels outlive `stop`."""

    def __init__(
        self,
        node: OrdererNode,
        service: OrderingService,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
    ) -> None:
        """Read the node's key material from its directory; raises NodeFailed when it is missing."""
        self.node = node
        self._service = service
        self._interceptors = tuple(interceptors)
        try:
            identity = SigningIdentity.from_directory(node.msp_id, node.directory / "msp")
        except OSError as exc:
            raise NodeFailed(f"orderer {node.name}: {exc}") from exc
        _, certificate = self._read_tls()
        self.member = service.enrol(node.name, identity, _der(certificate))
        self._server: grpc.aio.Server | None = None
        self._participation = ParticipationServer(service, self.member)

    @property
    def running(self) -> bool:
        """Whether it serves now."""
        return self._server is not None

    async def start(self) -> None:
        """Serve with the TLS certificate there is now; raises NodeFailed when it is missing or a port is taken."""
        key, certificate = self._read_tls()
        self.member.tls_certificate = _der(certificate)
        server = grpc.aio.server(interceptors=self._interceptors, options=_OPTIONS)
        ab_pb2_grpc.add_AtomicBroadcastServicer_to_server(AtomicBroadcast(self._service, self.member), server)
        credentials = grpc.ssl_server_credentials([(key, certificate)])
        try:
            server.add_secure_port(self.node.address, credentials)
            await self._participation.start(self.node.admin_address, self.node.directory / "tls")
        except (RuntimeError, OSError) as exc:
            raise NodeFailed(f"orderer {self.node.name} cannot listen on {self.node.address}: {exc}") from exc
        await server.start()
        self._server = server
        self._service.set_running(self.member, running=True)
        logger.debug("orderer %s serves on %s", self.node.name, self.node.address)

    async def stop(self) -> None:
        """Stop serving; running calls are cut off."""
        server, self._server = self._server, None
        if server is None:
            return
        self._service.set_running(self.member, running=False)
        await self._participation.stop()
        await server.stop(grace=None)

    def broadcast(self, envelope: common_pb2.Envelope) -> ab_pb2.BroadcastResponse:
        """Order a message without a connection, for the gateways of the same network; raises NoAnswer."""
        return Broadcast(self._service, self.member).process(envelope)

    def _read_tls(self) -> tuple[bytes, bytes]:
        tls = self.node.directory / "tls"
        try:
            return (tls / "server.key").read_bytes(), (tls / "server.crt").read_bytes()
        except OSError as exc:
            raise NodeFailed(f"orderer {self.node.name}: {exc}") from exc


def _der(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)

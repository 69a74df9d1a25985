"""One orderer's AtomicBroadcast service: fetching single blocks and handing in envelopes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Literal

from fabric_protos.common import common_pb2
from fabric_protos.orderer import ab_pb2, ab_pb2_grpc

from fabric_admin.clock import new_moment
from fabric_admin.deliver import read_stream, status_name
from fabric_admin.errors import DeliverError, OrdererRefused, TransportError
from fabric_admin.proposal import build_envelope, build_seek

if TYPE_CHECKING:
    from fabric_admin.identity import SigningIdentity
    from fabric_admin.transport import Connection


class Orderer:
    """Calls to one orderer; every call raises TransportError, DeadlineExceeded and RequestRefused."""

    __slots__ = ("_connection", "_identity", "_stub")

    def __init__(self, connection: Connection, identity: SigningIdentity) -> None:
        self._connection = connection
        self._identity = identity
        self._stub = ab_pb2_grpc.AtomicBroadcastStub(connection.channel)

    async def fetch(
        self,
        channel: str,
        number: int | Literal["newest"],
        *,
        best_effort: bool = False,
        timeout_seconds: float = 30.0,
    ) -> common_pb2.Block:
        """Return one block; raises DeliverError with NOT_FOUND (no such block or channel) or FORBIDDEN.

        An orderer without a leader answers SERVICE_UNAVAILABLE; with ``best_effort`` it shows what it has.
        """
        position = ab_pb2.SeekPosition(newest=ab_pb2.SeekNewest())
        if number != "newest":
            position = ab_pb2.SeekPosition(specified=ab_pb2.SeekSpecified(number=number))
        request = build_envelope(
            self._identity,
            common_pb2.DELIVER_SEEK_INFO,
            channel,
            build_seek(position, position, fail_if_not_ready=True, best_effort=best_effort).SerializeToString(),
            new_moment(),
            tls_certificate_hash=self._connection.endpoint.tls_certificate_hash,
        )
        call = self._stub.Deliver(timeout=timeout_seconds)
        async with contextlib.aclosing(read_stream(self._connection, call, request)) as answers:
            async for answer in answers:
                return answer.block
        raise DeliverError("SUCCESS", f"channel {channel}: the orderer sent no block {number}")

    async def broadcast(self, envelope: common_pb2.Envelope, *, timeout_seconds: float = 30.0) -> None:
        """Hand in an envelope; returning means queued, not committed. Raises OrdererRefused with Fabric's text."""
        call = self._stub.Broadcast(timeout=timeout_seconds)
        with self._connection.refusals():
            try:
                await call.write(envelope)
                answer = await anext(aiter(call), None)
            finally:
                call.cancel()
        if answer is None:
            raise TransportError(self._connection.endpoint.address, "the orderer ended the call without an answer")
        if answer.status != common_pb2.SUCCESS:
            raise OrdererRefused(status_name(answer.status), answer.info)

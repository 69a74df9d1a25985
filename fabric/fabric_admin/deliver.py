"""Block streams of a peer: full or filtered, from a number, the newest or the next block.

A stream is for waking up: it ends with a typed error whenever it cannot go on, and the caller starts another one
where it stopped.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from fabric_protos.common import common_pb2
from fabric_protos.orderer import ab_pb2
from fabric_protos.peer import events_pb2, events_pb2_grpc

from fabric_admin.clock import new_moment
from fabric_admin.errors import DeliverError, TransportError
from fabric_admin.proposal import build_envelope, build_seek

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import grpc.aio

    from fabric_admin.identity import SigningIdentity
    from fabric_admin.transport import Connection

Start = int | Literal["newest", "next"]
"""A block number, the block that is the newest now, or the first one after now."""

_ENDLESS: Final = 2**64 - 1
_AnswerT = TypeVar("_AnswerT", events_pb2.DeliverResponse, ab_pb2.DeliverResponse)


class Deliver:
    """Streams of one peer. Iterating raises DeliverError when the peer ends the stream with a status, TransportError.

    `connect_timeout_seconds` bounds reaching the peer; a silent but living stream has no limit (keepalive notices a
    dead peer). Statuses: NOT_FOUND for an unknown channel or a start beyond the chain, FORBIDDEN when the identity may
    not read, BAD_REQUEST when start lies after stop. Close the iterator to end the stream early.
    """

    __slots__ = ("_connection", "_identity", "_stub")

    def __init__(self, connection: Connection, identity: SigningIdentity) -> None:
        self._connection = connection
        self._identity = identity
        self._stub = events_pb2_grpc.DeliverStub(connection.channel)

    async def blocks(
        self, channel: str, *, start: Start, stop: int | None = None, connect_timeout_seconds: float = 10.0
    ) -> AsyncGenerator[common_pb2.Block, None]:
        """Yield blocks from `start` up to and with `stop`, or without end."""
        await self._connection.ready(timeout_seconds=connect_timeout_seconds)
        request = seek_envelope(self._connection, self._identity, channel, start, stop)
        async with contextlib.aclosing(read_stream(self._connection, self._stub.Deliver(), request)) as answers:
            async for answer in answers:
                yield answer.block

    async def filtered(
        self, channel: str, *, start: Start, stop: int | None = None, connect_timeout_seconds: float = 10.0
    ) -> AsyncGenerator[events_pb2.FilteredBlock, None]:
        """Yield blocks reduced to transaction IDs, validation codes and event names."""
        await self._connection.ready(timeout_seconds=connect_timeout_seconds)
        request = seek_envelope(self._connection, self._identity, channel, start, stop)
        async with contextlib.aclosing(read_stream(self._connection, self._stub.DeliverFiltered(), request)) as answers:
            async for answer in answers:
                yield answer.filtered_block

    async def with_private_data(
        self, channel: str, *, start: Start, stop: int | None = None, connect_timeout_seconds: float = 10.0
    ) -> AsyncGenerator[events_pb2.BlockAndPrivateData, None]:
        """Yield blocks with the private writes, by position, that the peer holds and the identity may see."""
        await self._connection.ready(timeout_seconds=connect_timeout_seconds)
        request = seek_envelope(self._connection, self._identity, channel, start, stop)
        call = self._stub.DeliverWithPrivateData()
        async with contextlib.aclosing(read_stream(self._connection, call, request)) as answers:
            async for answer in answers:
                yield answer.block_and_private_data


def seek_envelope(
    connection: Connection, identity: SigningIdentity, channel: str, start: Start, stop: int | None
) -> common_pb2.Envelope:
    """Build the signed request for a stream, bound to the connection's client TLS certificate if it has one."""
    end = ab_pb2.SeekPosition(specified=ab_pb2.SeekSpecified(number=_ENDLESS if stop is None else stop))
    return build_envelope(
        identity,
        common_pb2.DELIVER_SEEK_INFO,
        channel,
        build_seek(_position(start), end).SerializeToString(),
        new_moment(),
        tls_certificate_hash=connection.endpoint.tls_certificate_hash,
    )


async def read_stream(
    connection: Connection,
    call: grpc.aio.StreamStreamCall[common_pb2.Envelope, _AnswerT],
    request: common_pb2.Envelope,
) -> AsyncGenerator[_AnswerT, None]:
    """Yield a stream's answers up to status SUCCESS; raises DeliverError for any other, TransportError for none."""
    with connection.refusals():
        try:
            await call.write(request)
            async for answer in call:
                if answer.WhichOneof("Type") == "status":
                    if answer.status != common_pb2.SUCCESS:
                        raise DeliverError(status_name(answer.status))
                    return
                yield answer
        finally:
            call.cancel()
    raise TransportError(connection.endpoint.address, "the block stream ended without a status")


def _position(start: Start) -> ab_pb2.SeekPosition:
    if start == "newest":
        return ab_pb2.SeekPosition(newest=ab_pb2.SeekNewest())
    if start == "next":
        return ab_pb2.SeekPosition(next_commit=ab_pb2.SeekNextCommit())
    return ab_pb2.SeekPosition(specified=ab_pb2.SeekSpecified(number=start))


def status_name(status: int) -> str:
    """Return a `common.Status` by name; an unknown number stays one."""
    known = common_pb2.Status.DESCRIPTOR.values_by_number.get(status)
    return known.name if known is not None else str(status)

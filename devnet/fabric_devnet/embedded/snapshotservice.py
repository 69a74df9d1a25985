"""The gRPC side of a peer's Snapshot service, for the peer's own administrators.

Source: core/ledger/snapshotgrpc/snapshot_service.go.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar

import grpc
from cryptography import x509
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import snapshot_pb2, snapshot_pb2_grpc
from google.protobuf import empty_pb2
from google.protobuf.message import DecodeError

from fabric_admin.policy import SignedData
from fabric_devnet.embedded.errors import AccessDenied, InvocationFailed
from fabric_devnet.embedded.snapshotrequests import SnapshotRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fabric_devnet.embedded.acl import AccessControl
    from fabric_devnet.embedded.snapshotrequests import SnapshotRequests

    Signed = snapshot_pb2.SignedSnapshotRequest
    Context = grpc.aio.ServicerContext[Signed, empty_pb2.Empty]
    QueryContext = grpc.aio.ServicerContext[Signed, snapshot_pb2.QueryPendingSnapshotsResponse]

MessageT = TypeVar("MessageT", snapshot_pb2.SnapshotRequest, snapshot_pb2.SnapshotQuery)
_GARBAGE: Final = "proto: cannot parse invalid wire-format data"


class SnapshotService(snapshot_pb2_grpc.SnapshotServicer):
    """`protos.Snapshot` on one peer."""

    def __init__(self, requests: Mapping[str, SnapshotRequests], access: AccessControl) -> None:
        self._requests = requests
        self._access = access

    async def Generate(self, request: Signed, context: Context) -> empty_pb2.Empty:  # noqa: N802 - the service's name
        """Take a snapshot now or in time."""
        try:
            content = _decode(snapshot_pb2.SnapshotRequest(), request)
            self._admit("snapshot/submitrequest", content, request).submit(content.block_number)
        except (InvocationFailed, SnapshotRefused) as exc:
            return await context.abort(grpc.StatusCode.UNKNOWN, str(exc))
        return empty_pb2.Empty()

    async def Cancel(self, request: Signed, context: Context) -> empty_pb2.Empty:  # noqa: N802 - the service's name
        """Withdraw a request."""
        try:
            content = _decode(snapshot_pb2.SnapshotRequest(), request)
            self._admit("snapshot/cancelrequest", content, request).cancel(content.block_number)
        except (InvocationFailed, SnapshotRefused) as exc:
            return await context.abort(grpc.StatusCode.UNKNOWN, str(exc))
        return empty_pb2.Empty()

    async def QueryPendings(  # noqa: N802 - the service's name
        self, request: Signed, context: QueryContext
    ) -> snapshot_pb2.QueryPendingSnapshotsResponse:
        """List the blocks snapshots are to be taken at."""
        try:
            content = _decode(snapshot_pb2.SnapshotQuery(), request)
            pending = self._admit("snapshot/listpending", content, request).pending
        except (InvocationFailed, SnapshotRefused) as exc:
            return await context.abort(grpc.StatusCode.UNKNOWN, str(exc))
        return snapshot_pb2.QueryPendingSnapshotsResponse(block_numbers=pending)

    def _admit(
        self, resource: str, content: snapshot_pb2.SnapshotRequest | snapshot_pb2.SnapshotQuery, request: Signed
    ) -> SnapshotRequests:
        """Return the snapshots of the channel meant, to an administrator; raises InvocationFailed."""
        if not content.HasField("signature_header"):
            raise InvocationFailed("missing signature header")
        creator = content.signature_header.creator
        if _expired(creator):
            raise InvocationFailed("client identity expired")
        try:
            self._access.check_request(resource, SignedData(request.request, creator, request.signature))
        except AccessDenied as exc:
            raise InvocationFailed(str(exc)) from exc
        if not content.channel_id:
            raise InvocationFailed("missing channel ID")
        found = self._requests.get(content.channel_id)
        if found is None:
            raise InvocationFailed(f"cannot find ledger for channel {content.channel_id}")
        return found


def _decode(message: MessageT, request: Signed) -> MessageT:
    try:
        message.ParseFromString(request.request)
    except DecodeError as exc:
        raise InvocationFailed(f"failed to unmarshal snapshot request: {_GARBAGE}") from exc
    return message


def _expired(creator: bytes) -> bool:
    try:
        pem = identities_pb2.SerializedIdentity.FromString(creator).id_bytes
        return x509.load_pem_x509_certificate(pem).not_valid_after_utc < datetime.now(UTC)
    except (DecodeError, ValueError):
        return False

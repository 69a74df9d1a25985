"""The Snapshot service of one peer, and joining a channel from a snapshot; all for the peer's own administrators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fabric_protos.common import common_pb2
from fabric_protos.peer import query_pb2, snapshot_pb2, snapshot_pb2_grpc

from fabric_admin.clock import new_moment
from fabric_admin.endorser import Endorser
from fabric_admin.errors import BlockError
from fabric_admin.wire import decode

if TYPE_CHECKING:
    from fabric_admin.identity import SigningIdentity
    from fabric_admin.transport import Connection

LAST_COMMITTED: Final = 0
_CONFIGURATION: Final = "cscc"


@dataclass(frozen=True, slots=True)
class JoinStatus:
    """Whether the peer is joining a channel from a snapshot now, and the directory it reads (on the peer)."""

    in_progress: bool
    directory: str


class Snapshots:
    """Calls to one peer; each raises RequestRefused with the peer's text, TransportError and DeadlineExceeded.

    Directories are paths on the peer's own file system; joining raises ChaincodeError with the peer's text.
    """

    __slots__ = ("_connection", "_endorser", "_identity", "_stub")

    def __init__(self, connection: Connection, identity: SigningIdentity) -> None:
        self._connection = connection
        self._identity = identity
        self._endorser = Endorser(connection, identity)
        self._stub = snapshot_pb2_grpc.SnapshotStub(connection.channel)

    async def generate(
        self, channel: str, block_number: int = LAST_COMMITTED, *, timeout_seconds: float = 30.0
    ) -> None:
        """Ask for a snapshot as of a block: at once as of the last one (0), otherwise once the block is committed."""
        request = snapshot_pb2.SnapshotRequest(
            signature_header=self._header(), channel_id=channel, block_number=block_number
        )
        with self._connection.refusals():
            await self._stub.Generate(self._sign(request.SerializeToString()), timeout=timeout_seconds)

    async def cancel(self, channel: str, block_number: int, *, timeout_seconds: float = 30.0) -> None:
        """Withdraw the request for a snapshot as of a block that is not committed yet."""
        request = snapshot_pb2.SnapshotRequest(
            signature_header=self._header(), channel_id=channel, block_number=block_number
        )
        with self._connection.refusals():
            await self._stub.Cancel(self._sign(request.SerializeToString()), timeout=timeout_seconds)

    async def pending(self, channel: str, *, timeout_seconds: float = 30.0) -> tuple[int, ...]:
        """Return the block numbers that snapshots are still to be taken at, sorted."""
        query = snapshot_pb2.SnapshotQuery(signature_header=self._header(), channel_id=channel)
        with self._connection.refusals():
            answer = await self._stub.QueryPendings(self._sign(query.SerializeToString()), timeout=timeout_seconds)
        return tuple(sorted(answer.block_numbers))

    async def join(self, directory: str, *, timeout_seconds: float = 30.0) -> None:
        """Begin to join a channel from the snapshot in a directory of the peer; `join_status` tells when it is over."""
        args = (b"JoinChainBySnapshot", directory.encode())
        await self._endorser.call(_CONFIGURATION, args, timeout_seconds=timeout_seconds)

    async def join_status(self, *, timeout_seconds: float = 30.0) -> JoinStatus:
        """Return whether a join is in progress; a join that failed is over, too, and only the peer's log says why."""
        answer = await self._endorser.call(_CONFIGURATION, (b"JoinBySnapshotStatus",), timeout_seconds=timeout_seconds)
        status = decode(query_pb2.JoinBySnapshotStatus, answer.payload, BlockError, "JoinBySnapshotStatus")
        return JoinStatus(status.in_progress, status.bootstrapping_snapshot_dir)

    def _header(self) -> common_pb2.SignatureHeader:
        return common_pb2.SignatureHeader(creator=self._identity.creator, nonce=new_moment().nonce)

    def _sign(self, request: bytes) -> snapshot_pb2.SignedSnapshotRequest:
        return snapshot_pb2.SignedSnapshotRequest(request=request, signature=self._identity.sign(request))

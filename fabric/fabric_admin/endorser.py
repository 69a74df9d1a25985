"""Direct calls to one peer's Endorser service: what the answer proves, only this peer says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fabric_protos.peer import peer_pb2_grpc

from fabric_admin.clock import new_moment
from fabric_admin.errors import ChaincodeError
from fabric_admin.proposal import build_proposal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fabric_admin.identity import SigningIdentity
    from fabric_admin.transport import Connection

_LOWEST_SUCCESS, _LOWEST_FAILURE = 200, 400


@dataclass(frozen=True, slots=True)
class ChaincodeResponse:
    """A chaincode's successful answer, status 200..399."""

    status: int
    message: str
    payload: bytes


class Endorser:
    """Simulates proposals on the connected peer; nothing it does reaches the orderer."""

    __slots__ = ("_connection", "_identity", "_stub")

    def __init__(self, connection: Connection, identity: SigningIdentity) -> None:
        self._connection = connection
        self._identity = identity
        self._stub = peer_pb2_grpc.EndorserStub(connection.channel)

    async def call(
        self,
        chaincode: str,
        args: Sequence[bytes],
        *,
        channel: str = "",
        transient: Mapping[str, bytes] | None = None,
        is_init: bool = False,
        timeout_seconds: float = 30.0,
    ) -> ChaincodeResponse:
        """Simulate one call, channel-less without `channel`.

        Raises ChaincodeError for statuses outside 200..399 (the peer's own 500 included), RequestRefused when the
        peer refuses before simulating, TransportError and DeadlineExceeded.
        """
        proposal = build_proposal(
            self._identity, channel, chaincode, args, new_moment(), transient=transient, is_init=is_init
        )
        with self._connection.refusals():
            answer = await self._stub.ProcessProposal(proposal.signed, timeout=timeout_seconds)
        response = answer.response
        if not _LOWEST_SUCCESS <= response.status < _LOWEST_FAILURE:
            raise ChaincodeError(response.status, response.message, response.payload)
        return ChaincodeResponse(response.status, response.message, response.payload)

"""What a chaincode server (chaincode as a service) says it runs: asked as a peer would, and left before it answers."""

from __future__ import annotations

from typing import Final

from fabric_protos.peer import chaincode_pb2, chaincode_shim_pb2, chaincode_shim_pb2_grpc
from google.protobuf.message import DecodeError

from fabric_admin.errors import TransportError
from fabric_admin.transport import Connection, Endpoint

_MOST_BYTES: Final = 64 * 1024
_Message = chaincode_shim_pb2.ChaincodeMessage


async def fetch_registered_id(address: str, *, timeout_seconds: float = 5.0) -> str:
    """The package ID that the server at ``address`` (``host:port``, no TLS) registers with whoever connects.

    Nothing is sent to it, so it serves its peers as before. Raises TransportError, DeadlineExceeded or RequestRefused;
    what is no chaincode server is a TransportError as well (protocol: fabric-chaincode-go, shim).
    """
    async with Connection(Endpoint(address, None), max_message_bytes=_MOST_BYTES) as connection:
        with connection.refusals():
            call = chaincode_shim_pb2_grpc.ChaincodeStub(connection.channel).Connect(timeout=timeout_seconds)
            try:
                first = await call.read()
            finally:
                call.cancel()
    if not isinstance(first, _Message) or first.type != _Message.REGISTER:
        raise TransportError(address, "what listens there does not register as a chaincode server does")
    try:
        return str(chaincode_pb2.ChaincodeID.FromString(first.payload).name)
    except DecodeError as exc:
        raise TransportError(address, "what listens there registers without a chaincode ID") from exc

"""What a chaincode server (chaincode as a service) says it runs: asked as a peer would, and left before it answers."""

from __future__ import annotations

import asyncio
from typing import Final

from fabric_protos.peer import chaincode_pb2, chaincode_shim_pb2, chaincode_shim_pb2_grpc
from google.protobuf.message import DecodeError

from fabric_admin.errors import TransportError
from fabric_admin.transport import Connection, Endpoint

_MOST_BYTES: Final = 64 * 1024
_Message = chaincode_shim_pb2.ChaincodeMessage


async def fetch_registered_id(address: str, *, timeout_seconds: float = 5.0) -> str:
    """The package ID that the server at ``address`` (``host:port``, no TLS) registers with whoever connects.

    Empty when it keeps the connection and names none, so that a peer would wait for it in vain. Nothing is sent to it,
    and it serves its peers as before. ``timeout_seconds`` bounds connecting and waiting each. Raises TransportError,
    DeadlineExceeded when nobody can be connected to, or RequestRefused (protocol: fabric-chaincode-go, shim).
    """
    async with Connection(Endpoint(address, None), max_message_bytes=_MOST_BYTES) as connection:
        await connection.ready(timeout_seconds=timeout_seconds)
        with connection.refusals():
            call = chaincode_shim_pb2_grpc.ChaincodeStub(connection.channel).Connect()
            try:
                async with asyncio.timeout(timeout_seconds):
                    first = await call.read()
            except TimeoutError:
                return ""
            finally:
                call.cancel()
    if not isinstance(first, _Message):
        raise TransportError(address, "what listens there closes the connection before it registers")
    if first.type != _Message.REGISTER:
        return ""
    try:
        return str(chaincode_pb2.ChaincodeID.FromString(first.payload).name)
    except DecodeError:
        return ""

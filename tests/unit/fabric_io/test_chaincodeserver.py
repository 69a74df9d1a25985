"""What a chaincode server says it runs, asked of real ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import grpc.aio
import pytest
from fabric_protos.peer import chaincode_shim_pb2, chaincode_shim_pb2_grpc

from fabric_admin.chaincodeserver import fetch_registered_id
from fabric_admin.errors import FabricError, RequestRefused, TransportError
from opssc_chaincode.contract import OpsscChaincode
from opssc_chaincode.shim.server import Server

Message = chaincode_shim_pb2.ChaincodeMessage
PACKAGE_ID = f"opssc:{'c' * 64}"


def clock() -> datetime:
    return datetime.now(UTC)


async def test_a_server_names_its_package_and_goes_on_serving() -> None:
    async with Server(OpsscChaincode(clock), address="127.0.0.1:0", package_id=PACKAGE_ID) as server:
        address = f"127.0.0.1:{server.port}"
        names = [await fetch_registered_id(address), await fetch_registered_id(address)]

    assert names == [PACKAGE_ID, PACKAGE_ID]


class Mute(chaincode_shim_pb2_grpc.ChaincodeServicer):
    """A server that lets a peer wait, or says something else first."""

    def __init__(self, *said: chaincode_shim_pb2.ChaincodeMessage, ends: bool = False) -> None:
        self._said = said
        self._ends = ends

    async def Connect(self, requests: object, context: object) -> AsyncIterator[chaincode_shim_pb2.ChaincodeMessage]:  # noqa: N802
        del requests, context
        for message in self._said:
            yield message
        if not self._ends:
            await asyncio.Event().wait()


@pytest.mark.parametrize(
    "server",
    [
        pytest.param(Mute(), id="says-nothing"),
        pytest.param(Mute(Message(type=Message.KEEPALIVE)), id="says-something-else"),
        pytest.param(Mute(Message(type=Message.REGISTER, payload=b"\xff")), id="names-nothing"),
    ],
)
async def test_a_server_that_a_peer_would_wait_for_in_vain_names_no_package(server: Mute) -> None:
    async with serving(server) as address:
        assert await fetch_registered_id(address, timeout_seconds=0.5) == ""


async def test_a_server_that_closes_the_connection_lets_nobody_wait() -> None:
    async with serving(Mute(ends=True)) as address:
        with pytest.raises(TransportError, match="before it registers"):
            await fetch_registered_id(address, timeout_seconds=5.0)


@asynccontextmanager
async def serving(servicer: Mute) -> AsyncIterator[str]:
    server = grpc.aio.server()
    chaincode_shim_pb2_grpc.add_ChaincodeServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


@pytest.mark.parametrize("error", [TransportError, RequestRefused], ids=["nobody-listens", "another-service"])
async def test_whatever_else_is_there_is_told_as_an_error(error: type[FabricError], unused_tcp_port: int) -> None:
    address = f"127.0.0.1:{unused_tcp_port}"
    server = grpc.aio.server()
    if error is RequestRefused:
        server.add_insecure_port(address)
        await server.start()
    try:
        with pytest.raises(error):
            await fetch_registered_id(address, timeout_seconds=2.0)
    finally:
        await server.stop(None)

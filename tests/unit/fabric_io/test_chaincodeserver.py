"""What a chaincode server says it runs, asked of real ones."""

from __future__ import annotations

from datetime import UTC, datetime

import grpc.aio
import pytest

from fabric_admin.chaincodeserver import fetch_registered_id
from fabric_admin.errors import FabricError, RequestRefused, TransportError
from opssc_chaincode.contract import OpsscChaincode
from opssc_chaincode.shim.server import Server

PACKAGE_ID = f"opssc:{'c' * 64}"


def clock() -> datetime:
    return datetime.now(UTC)


async def test_a_server_names_its_package_and_goes_on_serving() -> None:
    async with Server(OpsscChaincode(clock), address="127.0.0.1:0", package_id=PACKAGE_ID) as server:
        address = f"127.0.0.1:{server.port}"
        names = [await fetch_registered_id(address), await fetch_registered_id(address)]

    assert names == [PACKAGE_ID, PACKAGE_ID]


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

"""Nodes are asked where they are said to be, whatever proxy the environment names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fabric_admin.transport import Connection

if TYPE_CHECKING:
    from unit.fabric_io.scripted import ScriptedNode


@pytest.mark.parametrize("variable", ["grpc_proxy", "https_proxy", "http_proxy"])
async def test_a_proxy_of_the_environment_diverts_no_connection(
    variable: str, node: ScriptedNode, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    # Given: a proxy that nobody runs
    for name in ("grpc_proxy", "https_proxy", "http_proxy", "no_grpc_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, f"http://127.0.0.1:{unused_tcp_port}")

    # When
    async with Connection(node.endpoint) as connection:
        # Then
        await connection.ready(timeout_seconds=5.0)

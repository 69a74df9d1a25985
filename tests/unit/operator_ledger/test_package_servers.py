"""What installed packages say of their chaincode servers."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from fabric_admin import package
from fabric_admin.errors import FabricError, TransportError
from opssc_operator.domain.server_address import STARTED_BY_PEERS, UNREADABLE, NamedServer
from opssc_operator.ledger.package_servers import PackageServers, named_by

if TYPE_CHECKING:
    from opssc_operator.ledger.peers import OwnPeers

CCAAS = package.build_ccaas("asset", "asset.svc:9999", dial_timeout="20s")
K8S = package.build_k8s("asset", "registry.example.com/asset", "sha256:" + "a" * 64)
SERVER = NamedServer("asset.svc:9999", dial_seconds=20.0)


class Peers:
    """One own peer that has a package, or does not give it."""

    def __init__(self, data: bytes | FabricError) -> None:
        self.data = data
        self.asked: list[str] = []
        self.patient_lifecycle = SimpleNamespace(get_installed_package=self._give)

    def get(self, name: str) -> Peers:
        self.asked.append(name)
        return self

    async def _give(self, package_id: str) -> bytes:
        assert package_id == "asset:00"
        if isinstance(self.data, FabricError):
            raise self.data
        return self.data


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(CCAAS, SERVER, id="ccaas"),
        pytest.param(K8S, STARTED_BY_PEERS, id="k8s"),
        pytest.param(b"\x00", UNREADABLE, id="no-package"),
    ],
)
def test_a_package_names_its_server(data: bytes, expected: NamedServer) -> None:
    assert named_by(data) == expected


async def test_a_package_is_read_once_from_a_peer_that_has_it() -> None:
    # Given
    peers, changed = Peers(CCAAS), asyncio.Event()
    servers = PackageServers(cast("OwnPeers", peers))
    assert servers.find("asset:00", (), changed.set) is None

    # When
    for _ in range(3):
        assert servers.find("asset:00", ("peer0", "peer1"), changed.set) is None
    async with asyncio.timeout(20):
        await changed.wait()

    # Then
    assert servers.find("asset:00", ("peer0",), changed.set) == SERVER
    assert peers.asked == ["peer0"]
    await servers.close()


async def test_a_package_that_no_peer_gave_is_asked_of_others_and_read_again_later() -> None:
    # Given
    peers, again = Peers(TransportError("peer0:7051", "refused")), asyncio.Event()
    servers = PackageServers(cast("OwnPeers", peers), again_seconds=0.01)

    # When
    servers.find("asset:00", ("peer0", "peer1"), again.set)
    async with asyncio.timeout(20):
        await again.wait()

    # Then
    assert peers.asked == ["peer0", "peer1"]

    # When
    peers.data = CCAAS
    again.clear()
    servers.find("asset:00", ("peer1",), again.set)
    async with asyncio.timeout(20):
        await again.wait()

    # Then
    assert servers.find("asset:00", (), again.set) == SERVER
    await servers.close()

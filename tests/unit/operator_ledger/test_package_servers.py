"""What installed packages say of their chaincode servers."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from fabric_admin import package
from fabric_admin.errors import FabricError, TransportError
from opssc_operator.domain.runtime import STARTED_BY_PEERS, UNREADABLE, NamedServer
from opssc_operator.ledger.package_servers import AGAIN_SECONDS, PackageServers, named_by

if TYPE_CHECKING:
    from opssc_operator.ledger.peers import OwnPeers

CCAAS = package.build_ccaas("asset", "asset.svc:9999", dial_timeout="20s")
K8S = package.build_k8s("asset", "registry.example.com/asset", "sha256:" + "a" * 64)
SERVER = NamedServer("asset.svc:9999", dial_seconds=20.0)


class Peers:
    """One own peer that has a package, or does not give it."""

    def __init__(self, data: bytes | FabricError) -> None:
        self.data = data
        self.reads = 0
        self.lifecycle = SimpleNamespace(get_installed_package=self._give)

    def get(self, name: str) -> Peers:
        assert name == "peer0"
        return self

    async def _give(self, package_id: str) -> bytes:
        assert package_id == "asset:00"
        self.reads += 1
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
    assert peers.reads == 1
    await servers.close()


async def test_a_package_that_no_peer_gave_is_read_again_later() -> None:
    # Given
    peers, moment = Peers(TransportError("peer0:7051", "refused")), [1000.0]
    servers = PackageServers(cast("OwnPeers", peers), clock=lambda: moment[0])

    async def find() -> None:
        servers.find("asset:00", ("peer0",), lambda: None)
        await asyncio.gather(*servers._reading)

    # When
    await find()
    await find()
    reads = peers.reads
    moment[0] += AGAIN_SECONDS
    await find()

    # Then
    assert (reads, peers.reads) == (1, 2)

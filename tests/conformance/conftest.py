"""One network per backend and run: `embedded` always, `fabric` when FABRIC_HOME is set; the same tests on both."""

from __future__ import annotations

import itertools
import os
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from component.rawdeployment import RawDeployment
from conformance.consortium import Consortium

from fabric_devnet.network import Network
from fabric_devnet.official.home import VARIABLE
from fabric_devnet.spec import BackendName, NetworkSpec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_numbers = itertools.count(1)


def _backends() -> Iterator[object]:
    yield pytest.param(BackendName.EMBEDDED, id="embedded")
    if os.environ.get(VARIABLE):
        yield pytest.param(BackendName.FABRIC, id="fabric", marks=pytest.mark.fabric)


@pytest.fixture(scope="session", params=_backends())
def backend(request: pytest.FixtureRequest) -> BackendName:
    return BackendName(request.param)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def network(backend: BackendName, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Network]:
    """Three organizations with one peer each, on two channels."""
    spec = NetworkSpec(directory=tmp_path_factory.mktemp(f"network-{backend}"), backend=backend)
    async with Network.start(spec) as network:
        yield network


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def consortium(network: Network) -> AsyncIterator[Consortium]:
    """Every organization's administrator and client, connected to their own peer."""
    async with AsyncExitStack() as stack:
        yield await Consortium.connect(network, "mychannel", stack)


@pytest_asyncio.fixture(loop_scope="session")
async def raw(consortium: Consortium) -> AsyncIterator[RawDeployment]:
    """A chaincode of its own, deployed by everybody, that does what the test tells it to."""
    async with RawDeployment.start(consortium, f"raw{next(_numbers)}") as deployment:
        yield deployment


@pytest.fixture
def name() -> str:
    """A chaincode name no other test uses."""
    return f"asset{next(_numbers)}"

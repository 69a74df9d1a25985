"""Embedded networks and orderers for the component tests."""

from __future__ import annotations

import itertools
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from component.orderersite import Site, join, running_orderer
from component.rawdeployment import RawDeployment
from conformance.consortium import Consortium

from fabric_devnet.network import Network
from fabric_devnet.spec import ChannelSpec, NetworkSpec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_numbers = itertools.count(1)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def embedded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Consortium]:
    """Three organizations with one peer each on one channel."""
    spec = NetworkSpec(
        directory=tmp_path_factory.mktemp("embedded"), channels=(ChannelSpec("mychannel"),), batch_timeout="50ms"
    )
    async with Network.start(spec) as network, AsyncExitStack() as stack:
        yield await Consortium.connect(network, "mychannel", stack)


@pytest_asyncio.fixture(loop_scope="session")
async def raw(embedded: Consortium) -> AsyncIterator[RawDeployment]:
    """A chaincode of its own, deployed by everybody, that does what the test tells it to."""
    async with RawDeployment.start(embedded, f"raw{next(_numbers)}") as deployment:
        yield deployment


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """One orderer that has joined nothing."""
    async with running_orderer(tmp_path) as running:
        yield running


@pytest_asyncio.fixture
async def joined(site: Site) -> Site:
    """One orderer that has joined its channel."""
    await join(site)
    return site

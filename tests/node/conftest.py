"""A real Kubernetes node; where the machine cannot run one, everything here skips and says why."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from opssc_tools.node import assetimage, machine
from opssc_tools.node.real import RealNode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from opssc_tools.node.oci import Image

HERE = Path(__file__).parent
SECONDS = 600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of a module in the event loop that its node lives in, each with time for pods to start."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(SECONDS), append=False)
            if inspect.iscoroutinefunction(getattr(item, "obj", None)):
                item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)


@pytest.fixture(scope="session", autouse=True)
def able() -> None:
    """Skip where the machine cannot run a node."""
    shortages = machine.find_shortages()
    if shortages:
        pytest.skip(machine.describe(shortages))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asset(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The image of the asset chaincode's server."""
    return await assetimage.pack(tmp_path_factory.mktemp("image") / "asset.tar", "1.0")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(asset: Image, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RealNode]:
    """A Ready node that has the asset chaincode's image."""
    async with RealNode.start_node("node1", tmp_path_factory.mktemp("node")) as running:
        await running.import_image(asset.archive)
        yield running

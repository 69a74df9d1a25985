"""What every suite shares: the project root, recorded data next to it, one local Kubernetes API server."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from hypothesis import settings

from opssc_tools.cluster import LocalCluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# How long an example takes says how busy the machine is, nothing about the code.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

PROJECT_ROOT = Path(__file__).resolve().parent.parent


def pytest_configure() -> None:
    """Hear Ctrl-C again where a shell started the run in the background: every process started here inherits that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that reads recorded vectors, so that they run as a suite of their own."""
    for item in items:
        if "vectors" in getattr(item, "fixturenames", ()):
            item.add_marker("vectors")


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The root of the work tree."""
    return PROJECT_ROOT


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The recorded vectors: OPSSC_VECTORS, or ../shared/vectors next to the work tree."""
    configured = os.environ.get("OPSSC_VECTORS")
    folder = Path(configured) if configured else PROJECT_ROOT.parent / "shared" / "vectors"
    if not folder.is_dir() and configured:
        pytest.fail(f"OPSSC_VECTORS names {folder}, which is no folder")
    if not folder.is_dir():
        pytest.skip(f"no recorded vectors at {folder}; set OPSSC_VECTORS to their folder")
    return folder


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalCluster]:
    """One local cluster for the whole run; a test works in a namespace of its own."""
    async with LocalCluster.start("shared", tmp_path_factory.mktemp("kubernetes")) as cluster:
        yield cluster

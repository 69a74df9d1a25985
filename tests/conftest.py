"""What every suite shares: the project root, and the data recorded from real Fabric next to it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

PROJECT_ROOT = Path(__file__).resolve().parent.parent


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

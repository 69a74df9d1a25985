from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from opssc_operator.api.group import Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="session")
def crd(project_root: Path) -> Callable[[Kind], dict[str, Any]]:
    """The CustomResourceDefinition of a kind, as the file says it."""
    return lambda kind: yaml.safe_load((project_root / "crds" / f"{kind.plural}.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def schema(crd: Callable[[Kind], dict[str, Any]]) -> Callable[[Kind], dict[str, Any]]:
    """The schema of a kind's objects."""
    return lambda kind: crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
import yaml

from opssc_tools.errors import KubectlError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from opssc_tools.cluster import LocalCluster


@dataclass(frozen=True, slots=True)
class Api:
    """A namespace of an API server that serves our kinds, and the samples to begin with."""

    cluster: LocalCluster
    namespace: str
    samples: Path

    def sample(self, name: str, changes: Mapping[str, object] | None = None) -> dict[str, Any]:
        """A sample with values set by dotted path (`spec.peers.explicit.0.name`); None removes."""
        manifest: dict[str, Any] = copy.deepcopy(yaml.safe_load((self.samples / name).read_text(encoding="utf-8")))
        for path, value in (changes or {}).items():
            *folders, leaf = [int(part) if part.isdigit() else part for part in path.split(".")]
            place: Any = manifest
            for folder in folders:
                place = place[folder]
            if value is None:
                place.pop(leaf, None)
            else:
                place[leaf] = value
        return manifest

    async def run(self, *arguments: str, manifest: Mapping[str, object] | None = None) -> str:
        """Kubectl in the namespace; `manifest` goes to its standard input."""
        stdin = None if manifest is None else json.dumps(manifest)
        return await self.cluster.kubectl(*arguments, "--namespace", self.namespace, stdin=stdin)

    async def refusal(self, *arguments: str, manifest: Mapping[str, object]) -> str:
        """What the API server answers to a manifest it must refuse."""
        with pytest.raises(KubectlError) as refused:
            await self.run(*arguments, "-f", "-", manifest=manifest)
        return refused.value.stderr

    async def read(self, kind: str, name: str) -> dict[str, Any]:
        """An object as the API server returns it."""
        return dict(json.loads(await self.run("get", kind, name, "-o", "json")))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def served(kubernetes: LocalCluster, project_root: Path) -> LocalCluster:
    """The API server with our CRDs."""
    await kubernetes.apply_crds(project_root / "crds")
    return kubernetes


@pytest_asyncio.fixture
async def api(served: LocalCluster, project_root: Path, request: pytest.FixtureRequest) -> Api:
    """One namespace per test file; a test names its objects so that they are its own."""
    namespace = request.path.stem.replace("_", "-")
    await served.create_namespace(namespace)
    return Api(served, namespace, project_root / "config" / "samples")

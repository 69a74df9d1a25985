"""What is shown to the host that a package is fetched from: the Secrets of trust.credentials, and no other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from opssc_chaincode.model import ArchivePackage, Package
from opssc_operator.api.conditions import Reason
from opssc_operator.api.group import Kind
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.verdict import Verdict
from opssc_operator.reconcile.packages import Packages
from opssc_operator.reconcile.queue import WorkQueue
from opssc_operator.reconcile.store import ObjectStore
from opssc_operator.sources.reach import Credential, Reach

if TYPE_CHECKING:
    from opssc_operator.kube.client import KubeClient
    from opssc_operator.sources.desk import FetchDesk

    from .conftest import Manifests

HOST = "files.example.com"
ARCHIVE = Package(archive=ArchivePackage(label="a", sha256="0" * 64, urls=(f"https://{HOST}/a.tgz",)))
REF = ProposalRef("Org1MSP", "basic-1")


class Desk:
    """Gives back what it may reach, in place of a package."""

    async def obtain(self, source: object, load_reach: Any, asker: object, wake: object) -> Any:
        del source, asker, wake
        return await load_reach()


@dataclass
class Secrets:
    """The Secrets of a namespace; notes which were read."""

    data: dict[str, dict[str, bytes]]
    read: list[str] = field(default_factory=list)

    async def get_secret(self, namespace: str, name: str) -> dict[str, bytes] | None:
        self.read.append(f"{namespace}/{name}")
        return self.data.get(name)


async def reach_with(manifests: Manifests, secrets: Secrets) -> Reach | Verdict:
    store, body = ObjectStore(), manifests.organization()
    body["spec"]["trust"] = {
        "archiveHosts": [HOST],
        "credentials": [{"host": HOST, "secretRef": {"name": "files"}}],
    }
    store.put(Kind.FABRIC_ORGANIZATION, body)
    packages = Packages(cast("KubeClient", secrets), store, WorkQueue(), cast("FetchDesk", Desk()))
    return cast("Reach | Verdict", await packages.obtain("org1", ARCHIVE, REF))


@pytest.mark.parametrize(
    ("data", "credential"),
    [
        pytest.param({"token": b"abc\n"}, Credential(token="abc"), id="token"),
        pytest.param({"username": b"me", "password": b"pw"}, Credential("me", "pw"), id="password"),
    ],
)
async def test_a_host_is_shown_what_its_secret_says(
    manifests: Manifests, data: dict[str, bytes], credential: Credential
) -> None:
    # Given
    secrets = Secrets({"files": data})

    # When
    reach = await reach_with(manifests, secrets)

    # Then
    assert isinstance(reach, Reach)
    assert (reach.credentials, secrets.read) == ({HOST: credential}, ["org1/files"])
    assert not [secret for secret in ("abc", "pw") if secret in repr(reach) or secret in repr(credential)]


@pytest.mark.parametrize(
    ("stored", "problem"),
    [
        pytest.param({}, "does not exist; create it", id="no-secret"),
        pytest.param({"files": {"password": b"pw"}}, "has no keys username and password, nor token", id="no-username"),
    ],
)
async def test_a_secret_that_cannot_be_used_is_named_and_tried_again(
    manifests: Manifests, stored: dict[str, dict[str, bytes]], problem: str
) -> None:
    # When
    verdict = await reach_with(manifests, Secrets(stored))

    # Then
    assert isinstance(verdict, Verdict)
    assert (verdict.status, verdict.reason) == ("Unknown", Reason.DOWNLOAD_FAILED)
    assert f"Secret org1/files for trust.credentials of {HOST} {problem}" in verdict.message
    assert "pw" not in verdict.message

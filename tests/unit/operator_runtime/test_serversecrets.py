"""The CA of chaincode servers: one for each organization, whoever asks first, and the next one in time."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from cryptography import x509

from opssc_operator.api.servers import ChaincodeServers, ServerSettings
from opssc_operator.domain.servers import Served
from opssc_operator.domain.serverset import Owner, ServerPlan, tls_secret_name
from opssc_operator.errors import TransientError
from opssc_operator.kube.resources import SECRETS
from opssc_operator.reconcile.servercertificates import (
    AUTHORITY_KEY,
    AUTHORITY_LIFETIME,
    AUTHORITY_RENEWAL,
    CERTIFICATE_KEY,
)
from opssc_operator.reconcile.serversecrets import ServerSecrets

from .memoryobjects import MemoryObjects

if TYPE_CHECKING:
    from opssc_operator.reconcile.serversecrets import HeldCertificate

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OWNER = Owner("org1", "org1", "uid-1")


def plan(label: str) -> ServerPlan:
    served = Served(f"{label}:{'c' * 64}", label, "example.com/asset", f"sha256:{'ab' * 32}", 9999, tls=True)
    return ServerPlan(served, ServerSettings(deploy=True), ChaincodeServers(), OWNER)


PLANS = [plan("asset-0123456789ab"), plan("bonds-0123456789ab")]


@dataclass(slots=True)
class Kube:
    """Secrets in memory, as KubeClient reads them."""

    objects: MemoryObjects = field(default_factory=MemoryObjects)

    async def get_secret(self, namespace: str, name: str) -> dict[str, bytes] | None:
        body = await self.objects.get(SECRETS, namespace, name)
        return None if body is None else {key: base64.b64decode(value) for key, value in body["data"].items()}

    async def authorities(self) -> list[bytes]:
        """The CA's certificate as the CA's Secret has it, and then as each server's has it."""
        names = ["org1-chaincode-ca", *(tls_secret_name(plan.served.package_id) for plan in PLANS)]
        secrets = [await self.get_secret("org1", name) or {} for name in names]
        return [secret.get(AUTHORITY_KEY, b"") for secret in secrets]

    def secrets(self) -> ServerSecrets:
        return ServerSecrets(cast("Any", self))


async def test_servers_made_at_once_are_below_one_ca() -> None:
    kube = Kube()
    secrets = kube.secrets()

    await asyncio.gather(*(secrets.ensure(each, NOW) for each in PLANS))

    assert len(set(await kube.authorities())) == 1


async def test_a_ca_that_another_process_made_meanwhile_is_kept() -> None:
    # Given: both find none
    kube = Kube()
    both = list(zip((kube.secrets(), kube.secrets()), PLANS, strict=True))

    # When: one comes second, and tries again
    answers: list[HeldCertificate | BaseException] = await asyncio.gather(
        *(secrets.ensure(each, NOW) for secrets, each in both), return_exceptions=True
    )
    first, *_ = await kube.authorities()
    for secrets, each in both:
        await secrets.ensure(each, NOW)

    # Then
    assert [type(answer) for answer in answers if isinstance(answer, BaseException)] == [TransientError]
    assert set(await kube.authorities()) == {first}


@pytest.mark.parametrize("days_left", [1, 29, 100, 364])
async def test_a_ca_near_its_end_is_replaced_once_and_its_servers_are_still_trusted(days_left: int) -> None:
    # Given
    kube = Kube()
    secrets = kube.secrets()
    await secrets.ensure(PLANS[0], NOW)
    before, *_ = await kube.authorities()

    # When
    late = NOW + AUTHORITY_LIFETIME - timedelta(days=days_left)
    held = await secrets.ensure(PLANS[0], late)
    again = await secrets.ensure(PLANS[0], late + timedelta(hours=1))

    # Then: no new pods every time it is looked at, and peers told of the certificate before verify the server
    assert held.fingerprint == again.fingerprint
    after, shown, _ = await kube.authorities()
    assert after == shown != before
    data = await kube.get_secret("org1", tls_secret_name(PLANS[0].served.package_id)) or {}
    certificate = x509.load_pem_x509_certificate(data[CERTIFICATE_KEY])
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(before))


async def test_a_ca_stays_until_a_year_before_its_end() -> None:
    kube = Kube()
    secrets = kube.secrets()
    await secrets.ensure(PLANS[0], NOW)
    before, *_ = await kube.authorities()

    await secrets.ensure(PLANS[0], NOW + AUTHORITY_LIFETIME - AUTHORITY_RENEWAL - timedelta(hours=1))

    after, *_ = await kube.authorities()
    assert after == before

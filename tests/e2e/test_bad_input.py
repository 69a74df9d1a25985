"""What is wrong shows as one condition with a stable reason and a next step, heals when fixed, and ends no operator."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from e2e.clinic import Clinic, holding, without

from fabric_devnet.channels import create_channel
from fabric_devnet.spec import ChannelSpec
from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_tools.environment.manifests import build_identity_secret
from opssc_tools.environment.objects import condition, is_true

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from e2e.scenario import Scenario

    from opssc_tools.environment import Consortium
    from opssc_tools.environment.manifests import Manifest
    from opssc_tools.environment.objects import Body

IDENTITY, PEERS, GOVERNANCE = "IdentityReady", "PeersReady", "GovernanceReady"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def opened_clinic(consortium: Consortium) -> AsyncIterator[Clinic]:
    async with Clinic.open(consortium) as clinic:
        yield clinic


@pytest_asyncio.fixture(loop_scope="session")
async def clinic(opened_clinic: Clinic) -> AsyncIterator[Clinic]:
    """Empty, with an operator that has outlived every patient so far."""
    yield opened_clinic
    opened_clinic.operator.check()
    await opened_clinic.discharge()


def expired() -> tuple[bytes, bytes]:
    """A certificate that ended yesterday, and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Admin@org4.example.com")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now - timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private


def with_expired_certificate(secrets: dict[str, Manifest]) -> list[Manifest]:
    certificate, key = expired()
    return [holding(secrets["admin"], cert_pem=certificate, key_pem=key)]


def with_other_key(secrets: dict[str, Manifest]) -> list[Manifest]:
    return [holding(secrets["admin"], key_pem=expired()[1])]


def with_other_ca(secrets: dict[str, Manifest]) -> list[Manifest]:
    return [holding(secrets["tls-ca"], ca_crt=expired()[0])]


def without_secret(secrets: dict[str, Manifest]) -> list[Manifest]:
    secrets.pop("admin")
    return []


SECRET_CASES = [
    pytest.param(without_secret, IDENTITY, "SecretNotFound", "create it", id="no-Secret"),
    pytest.param(
        lambda secrets: [without(secrets["admin"], "key.pem")], IDENTITY, "SecretKeyMissing", "add them", id="no-key"
    ),
    pytest.param(
        lambda secrets: [holding(secrets["admin"], cert_pem=b"-")], IDENTITY, "IdentityInvalid", "PEM", id="no-PEM"
    ),
    pytest.param(with_other_key, IDENTITY, "IdentityInvalid", "does not belong", id="key-of-another-certificate"),
    pytest.param(with_expired_certificate, IDENTITY, "CertificateExpired", "renew it", id="expired-certificate"),
    pytest.param(with_other_ca, PEERS, "PeerUnreachable", "check its address, its tlsCA", id="CA-of-somebody-else"),
]


@pytest.mark.parametrize(("spoil", "kind", "reason", "words"), SECRET_CASES)
async def test_a_wrong_secret_shows_as_one_condition_and_heals_when_it_is_right(
    clinic: Clinic, spoil: Callable[[dict[str, Manifest]], list[Manifest]], kind: str, reason: str, words: str
) -> None:
    # Given
    secrets = clinic.secrets()
    spoilt = spoil(secrets)
    await clinic.apply(*secrets.values(), *spoilt)

    # When
    await clinic.apply(clinic.manifest())

    # Then
    found = await clinic.until_ill(kind, reason)
    assert words in found["message"]
    await clinic.until_ill("Ready", reason)
    assert clinic.failing() == {kind, "Ready"} | ({GOVERNANCE} if kind == PEERS else set())
    await clinic.apply(*clinic.secrets().values())
    await clinic.until_healthy()


async def test_an_msp_nobody_knows_shows_as_one_condition_and_heals_when_it_is_right(clinic: Clinic) -> None:
    # Given
    wrong = clinic.manifest()
    wrong["spec"]["mspID"] = "NobodyMSP"

    # When
    await clinic.apply(*clinic.secrets().values(), wrong)

    # Then: an MSP ID cannot be changed, so the organization is made anew
    found = await clinic.until_ill(PEERS, "UnknownMSP")
    assert "check spec.mspID" in found["message"]
    await clinic.until_ill("Ready", "UnknownMSP")
    await clinic.discharge()
    await clinic.apply(*clinic.secrets().values(), clinic.manifest())
    await clinic.until_healthy()


async def test_a_peer_that_does_not_answer_shows_as_one_condition_and_heals_when_it_does(clinic: Clinic) -> None:
    # Given
    wrong = clinic.manifest()
    right = wrong["spec"]["peers"]["explicit"][0]["address"]
    wrong["spec"]["peers"]["explicit"][0]["address"] = "127.0.0.1:9"

    # When
    await clinic.apply(*clinic.secrets().values(), wrong)

    # Then
    found = await clinic.until_ill(PEERS, "PeerUnreachable")
    assert "peer0.org4.example.com does not answer; check its address" in found["message"]
    await clinic.until_ill("Ready", "PeerUnreachable")
    wrong["spec"]["peers"]["explicit"][0]["address"] = right
    await clinic.apply(wrong)
    await clinic.until_healthy()


async def test_a_governance_channel_that_does_not_exist_shows_as_one_condition(clinic: Clinic) -> None:
    # Given
    wrong = clinic.manifest()
    wrong["spec"]["governance"]["channel"] = "no-such-channel"

    # When
    await clinic.apply(*clinic.secrets().values(), wrong)

    # Then: a governance channel cannot be changed, so the organization is made anew
    found = await clinic.until_ill(GOVERNANCE, "ChannelNotFound")
    assert "no-such-channel" in found["message"]
    assert clinic.failing() == {GOVERNANCE, "Ready"}
    await clinic.discharge()
    await clinic.apply(*clinic.secrets().values(), clinic.manifest())
    await clinic.until_healthy()


async def test_an_organization_notices_a_peer_that_stops_and_one_that_comes_back(consortium: Consortium) -> None:
    # Given
    member = consortium.member(4)
    (peer,) = member.organization.peers

    def unreachable(body: Body | None) -> bool:
        return condition(body, PEERS).get("reason") == "PeerUnreachable"

    # When
    await peer.stop()

    # Then
    kind, name = Kind.FABRIC_ORGANIZATION, member.name
    try:
        await member.until(kind, name, unreachable, "PeersReady is False", seconds=30.0)
    finally:
        await peer.start()
    await member.until_true(kind, name, ConditionType.READY)


async def test_a_proposal_for_a_channel_that_does_not_exist_yet_waits_for_it(
    consortium: Consortium, new_scenario: Callable[..., Scenario]
) -> None:
    # Given
    scenario = new_scenario()
    manifest = scenario.manifest(channel="tomorrow")

    # When
    await scenario.creator.apply(manifest)

    # Then: it waits, holds nothing else up, and goes on by itself once the peers have joined the channel
    await scenario.until(ConditionType.READY, "False", "ChannelNotFound", scenario.creator)
    other = new_scenario()
    await other.propose()
    await create_channel(consortium.network, ChannelSpec("tomorrow"))
    await scenario.creator.until(
        Kind.CHAINCODE_PROPOSAL,
        scenario.ref.id,
        lambda body: is_true(body, ConditionType.VERIFIED),
        "Verified",
        seconds=60.0,
    )


async def test_a_certificate_of_another_organization_shows_as_one_condition_and_heals_when_it_is_right(
    clinic: Clinic, consortium: Consortium
) -> None:
    # Given: a certificate and key that belong together, of a CA that this MSP does not know
    secrets = clinic.secrets()
    stranger = consortium.member(1).organization.client
    await clinic.apply(secrets["admin"], build_identity_secret("org4-client", stranger), secrets["tls-ca"])

    # When
    await clinic.apply(clinic.manifest())

    # Then
    found = await clinic.until_ill(PEERS, "UnknownMSP")
    assert "check spec.mspID and that its CA issued the certificates" in found["message"]
    await clinic.until_ill("Ready", "UnknownMSP")
    await clinic.apply(secrets["client"])
    await clinic.until_healthy()

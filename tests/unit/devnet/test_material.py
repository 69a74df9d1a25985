"""Key material of a development network is what Fabric accepts."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID

from fabric_admin.errors import IdentityError
from fabric_admin.identity import SigningIdentity
from fabric_admin.msp import MSP
from fabric_admin.principals import Role as MSPRole
from fabric_devnet.crypto import CertificateAuthority, Role
from fabric_devnet.material import write_organization, write_user

if TYPE_CHECKING:
    from pathlib import Path

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
DOMAIN = "org1.example.com"


@pytest.fixture(scope="module")
def organization(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("organization")
    write_organization(directory, DOMAIN, Role.PEER, (f"peer0.{DOMAIN}",))
    return directory


@pytest.mark.parametrize(
    ("owner", "role"),
    [
        pytest.param(f"peers/peer0.{DOMAIN}", MSPRole.PEER, id="peer"),
        pytest.param(f"users/Admin@{DOMAIN}", MSPRole.ADMIN, id="administrator"),
        pytest.param(f"users/User1@{DOMAIN}", MSPRole.CLIENT, id="client"),
    ],
)
def test_everybody_has_exactly_the_role_of_their_folder(organization: Path, owner: str, role: MSPRole) -> None:
    msp = MSP.from_directory(organization / "msp", "Org1MSP")
    signer = SigningIdentity.from_directory("Org1MSP", organization / owner / "msp")

    identity = msp.deserialize(signer.creator)

    msp.validate(identity)
    roles = msp.roles(identity)
    assert role in roles
    assert roles & {MSPRole.PEER, MSPRole.ADMIN, MSPRole.CLIENT, MSPRole.ORDERER} == {role}


def test_a_certificate_without_role_is_refused_by_node_ous(tmp_path: Path) -> None:
    authorities = write_organization(tmp_path, DOMAIN, Role.PEER, ())
    user = write_user(tmp_path, authorities, "Nobody", None)
    msp = MSP.from_directory(tmp_path / "msp", "Org1MSP")
    identity = msp.deserialize(SigningIdentity.from_directory("Org1MSP", user / "msp").creator)

    with pytest.raises(IdentityError, match="does not have an OU that resolves to client, peer"):
        msp.validate(identity)


def test_certificate_signatures_are_always_low_s() -> None:
    authority = CertificateAuthority.create("ca.test", "test")

    issued = [authority.issue_identity(f"user{number}", "test", Role.CLIENT).certificate for number in range(12)]

    assert all(decode_dss_signature(each.signature)[1] <= P256_ORDER // 2 for each in issued)


def test_a_tls_certificate_serves_and_connects_under_name_localhost_and_loopback(organization: Path) -> None:
    pem = (organization / "peers" / f"peer0.{DOMAIN}" / "tls" / "server.crt").read_bytes()

    certificate = x509.load_pem_x509_certificate(pem)

    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {f"peer0.{DOMAIN}", "localhost"}
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert {*usages} == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


def test_private_keys_are_for_their_owner_only(organization: Path) -> None:
    keys = [*organization.rglob("priv_sk"), *organization.rglob("*.key")]

    assert len(keys) == 8
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fabric_protos.msp import identities_pb2
from hypothesis import given
from hypothesis import strategies as st
from unit.fabric.authority import authority

from fabric_admin.certificates import curve_order
from fabric_admin.errors import IdentityError
from fabric_admin.identity import SigningIdentity, verify_signature

if TYPE_CHECKING:
    from pathlib import Path

ORG1 = authority("Org1MSP")
ALICE = ORG1.issue("admin", name="alice")
ORDER = curve_order(ec.SECP256R1())
EDDIE = ORG1.issue("admin", name="eddie", ed25519_key=True)


def _key_pem(identity: SigningIdentity) -> bytes:
    return identity.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@given(st.binary(max_size=200))
def test_a_signature_verifies_and_is_always_low_s(message: bytes) -> None:
    signature = ALICE.sign(message)

    verify_signature(ALICE.certificate.public_key(), message, signature)
    _, s = utils.decode_dss_signature(signature)
    assert s <= ORDER // 2


@given(st.binary(max_size=200), st.binary(max_size=80))
def test_bytes_that_are_no_signature_are_refused_with_a_typed_error(message: bytes, junk: bytes) -> None:
    with pytest.raises(IdentityError):
        verify_signature(ALICE.certificate.public_key(), message, junk)


def test_a_high_s_signature_is_refused_although_it_is_mathematically_valid() -> None:
    r, s = utils.decode_dss_signature(ALICE.sign(b"message"))
    high = utils.encode_dss_signature(r, ORDER - s)

    with pytest.raises(IdentityError, match="Must be smaller than half the order"):
        verify_signature(ALICE.certificate.public_key(), b"message", high)


def test_an_ed25519_identity_signs_the_message_itself() -> None:
    verify_signature(EDDIE.certificate.public_key(), b"message", EDDIE.sign(b"message"))

    with pytest.raises(IdentityError, match="The signature is invalid"):
        verify_signature(EDDIE.certificate.public_key(), b"another", EDDIE.sign(b"message"))


def test_the_creator_is_the_serialized_identity() -> None:
    creator = identities_pb2.SerializedIdentity.FromString(ALICE.creator)

    assert creator.mspid == "Org1MSP"
    assert creator.id_bytes == ALICE.certificate_pem


def test_a_key_of_another_certificate_is_refused() -> None:
    with pytest.raises(IdentityError, match="does not belong to the certificate"):
        SigningIdentity.from_pem("Org1MSP", ALICE.certificate_pem, _key_pem(EDDIE))


@pytest.mark.parametrize(
    ("certificate", "key", "reason"),
    [
        pytest.param(b"", _key_pem(ALICE), "not PEM", id="no-certificate"),
        pytest.param(ALICE.certificate_pem, b"", "not an unencrypted PEM key", id="no-key"),
        pytest.param(ALICE.certificate_pem, b"secret-looking junk", "not an unencrypted PEM key", id="junk-key"),
        pytest.param(
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", _key_pem(ALICE), "malformed", id="junk"
        ),
    ],
)
def test_unusable_pem_is_refused_without_quoting_the_key(certificate: bytes, key: bytes, reason: str) -> None:
    with pytest.raises(IdentityError, match=reason) as refused:
        SigningIdentity.from_pem("Org1MSP", certificate, key)

    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None or "secret" not in str(refused.value.__cause__)


def test_an_identity_is_read_from_an_msp_folder(tmp_path: Path) -> None:
    (tmp_path / "signcerts").mkdir()
    (tmp_path / "keystore").mkdir()
    (tmp_path / "signcerts" / "cert.pem").write_bytes(ALICE.certificate_pem)
    (tmp_path / "keystore" / "priv_sk").write_bytes(_key_pem(ALICE))

    loaded = SigningIdentity.from_directory("Org1MSP", tmp_path)

    assert loaded.creator == ALICE.creator


def test_a_folder_without_a_key_is_refused_by_naming_the_folder(tmp_path: Path) -> None:
    (tmp_path / "signcerts").mkdir()
    (tmp_path / "signcerts" / "cert.pem").write_bytes(ALICE.certificate_pem)

    with pytest.raises(IdentityError, match="keystore"):
        SigningIdentity.from_directory("Org1MSP", tmp_path)


def test_a_printed_identity_shows_no_key() -> None:
    assert "PrivateKey" not in repr(ALICE)

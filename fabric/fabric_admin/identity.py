"""Who signs: an MSP ID, a certificate and its private key; and how a signature is checked.

Pure: reading keys from a directory is done by ``msp_directory``. Private keys are never printed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from fabric_protos.msp import identities_pb2

from fabric_admin import msp_directory
from fabric_admin.certificates import curve_order, decode_pem, parse_certificate
from fabric_admin.errors import IdentityError

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_ONE_LENGTH_BYTE: Final = 0x81
_UNDETERMINED: Final = "could not determine the validity of the signature: "
_INVALID: Final = "The signature is invalid"
_ECDSA: Final = ec.ECDSA(hashes.SHA256())
_ECDSA_OF_DIGEST: Final = ec.ECDSA(utils.Prehashed(hashes.SHA256()))


@dataclass(frozen=True, slots=True)
class SigningIdentity:
    """An X.509 identity that can sign for one organization."""

    msp_id: str
    certificate: x509.Certificate
    private_key: PrivateKey = field(repr=False)
    creator: bytes = field(init=False, repr=False)
    """``pb(SerializedIdentity)``, as it stands in every header this identity creates."""

    def __post_init__(self) -> None:
        """Refuse a key that does not belong to the certificate."""
        if self.certificate.public_key() != self.private_key.public_key():
            raise IdentityError(f"{self.msp_id}: the private key does not belong to the certificate")
        serialized = identities_pb2.SerializedIdentity(mspid=self.msp_id, id_bytes=self.certificate_pem)
        object.__setattr__(self, "creator", serialized.SerializeToString())

    @classmethod
    def from_pem(cls, msp_id: str, certificate_pem: bytes, key_pem: bytes) -> Self:
        """Return the identity in two PEM texts; raises IdentityError without ever quoting the key."""
        der = decode_pem(certificate_pem)
        if der is None:
            raise IdentityError(f"{msp_id}: the certificate is not PEM")
        try:
            key = serialization.load_pem_private_key(key_pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise IdentityError(f"{msp_id}: the private key is not an unencrypted PEM key") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
            raise IdentityError(f"{msp_id}: the private key is neither ECDSA nor Ed25519")
        return cls(msp_id, parse_certificate(der), key)

    @classmethod
    def from_directory(cls, msp_id: str, path: Path) -> Self:
        """Return the identity in an MSP folder (``signcerts/``, ``keystore/``); raises IdentityError."""
        certificate_pem, key_pem = msp_directory.read_signing_material(path)
        return cls.from_pem(msp_id, certificate_pem, key_pem)

    @property
    def certificate_pem(self) -> bytes:
        """The certificate as PEM, 64 columns, newline at the end."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def subject(self) -> str:
        """The certificate's subject as an RFC 4514 string."""
        return self.certificate.subject.rfc4514_string()

    @property
    def not_after(self) -> datetime:
        """The certificate's end of validity, in UTC."""
        return self.certificate.not_valid_after_utc

    def sign(self, message: bytes) -> bytes:
        """Return the signature Fabric expects: ECDSA over SHA-256 as low-S DER, or raw Ed25519."""
        if isinstance(self.private_key, ed25519.Ed25519PrivateKey):
            return self.private_key.sign(message)
        r, s = utils.decode_dss_signature(self.private_key.sign(message, _ECDSA))
        order = curve_order(self.private_key.curve)
        return utils.encode_dss_signature(r, min(s, order - s))


def verify_signature(public_key: CertificatePublicKeyTypes, message: bytes, signature: bytes) -> None:
    """Check an ECDSA (SHA-256, low-S, DER) or Ed25519 signature; raises IdentityError.

    A high-S signature is refused although it is mathematically valid (``fabric: bccsp/sw/ecdsa.go``).
    """
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        verify_digest(public_key, hashlib.sha256(message).digest(), signature)
        return
    _refuse_empty(signature)
    if not isinstance(public_key, ed25519.Ed25519PublicKey):
        raise IdentityError(_UNDETERMINED + "the public key is neither ECDSA nor Ed25519")
    try:
        public_key.verify(signature, message)
    except InvalidSignature as exc:
        raise IdentityError(_INVALID) from exc


def verify_digest(public_key: ec.EllipticCurvePublicKey, digest: bytes, signature: bytes) -> None:
    """Check an ECDSA signature as `verify_signature` does, given the SHA-256 of the message; raises IdentityError."""
    _refuse_empty(signature)
    try:
        public_key.verify(_low_s(public_key, signature), digest, _ECDSA_OF_DIGEST)
    except InvalidSignature as exc:
        raise IdentityError(_INVALID) from exc


def _refuse_empty(signature: bytes) -> None:
    if not signature:
        raise IdentityError(_UNDETERMINED + "Invalid signature. Cannot be empty.")


def _low_s(public_key: ec.EllipticCurvePublicKey, signature: bytes) -> bytes:
    """Return the signature without bytes after the DER structure, which Fabric ignores; refuse high S."""
    prefix = _UNDETERMINED + "Failed verifing with opts [<nil>]: "
    try:
        r, s = _parse_der_signature(signature)
    except ValueError as exc:
        raise IdentityError(f"{prefix}Failed unmashalling signature [{exc}]") from exc
    half = curve_order(public_key.curve) // 2
    if s > half:
        raise IdentityError(f"{prefix}Invalid S. Must be smaller than half the order [{s}][{half}].")
    return utils.encode_dss_signature(r, s)


def _parse_der_signature(data: bytes) -> tuple[int, int]:
    """Return (r, s); reads DER as Go does, so ``cryptography``'s stricter parser cannot be used. Raises ValueError."""
    content = _der_content(data, tag=0x30)
    first = _der_content(content, tag=0x02)
    second = _der_content(content[2 + len(first) :], tag=0x02)
    for name, number in (("R", first), ("S", second)):
        if not number or (len(number) > 1 and number[0] in (0x00, 0xFF) and number[0] >> 7 == number[1] >> 7):
            raise ValueError("asn1: structure error: integer not minimally-encoded")
        if int.from_bytes(number, "big", signed=True) <= 0:
            raise ValueError(f"invalid signature, {name} must be larger than zero")
    return int.from_bytes(first, "big"), int.from_bytes(second, "big")


def _der_content(data: bytes, *, tag: int) -> bytes:
    long_form = len(data) > 1 and data[1] == _ONE_LENGTH_BYTE
    start = 3 if long_form else 2
    if len(data) < start or data[0] != tag or (data[1] & 0x80 and not long_form):
        raise ValueError("asn1: structure error")
    end = start + data[start - 1]
    if end > len(data):
        raise ValueError("asn1: syntax error: data truncated")
    return data[start:end]

"""Certificate authorities and certificates of a development network: ECDSA P-256, low-S signatures, NodeOU roles.

In memory only; `material` decides which file each one becomes.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_HALF_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551 // 2
LIFETIME = dt.timedelta(days=3650)
_BACKDATE = dt.timedelta(minutes=5)


class Role(StrEnum):
    """NodeOU roles, spelt as the certificate's organizational unit (Fabric: msp/mspimplvalidate.go)."""

    CLIENT = "client"
    PEER = "peer"
    ADMIN = "admin"
    ORDERER = "orderer"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate with its private key."""

    certificate: x509.Certificate
    private_key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key as unencrypted PKCS #8 PEM."""
        return self.private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """A self-signed authority that issues enrollment or TLS certificates of one organization."""

    name: str
    pair: KeyPair

    @classmethod
    def create(cls, name: str, organization: str) -> Self:
        """Make a new authority with common name `name`."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name, organization)
        builder = (
            _builder(subject, subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_key_usage(ca=True), critical=True)
        )
        return cls(name, KeyPair(_sign_low_s(builder, key), key))

    @classmethod
    def load(cls, name: str, certificate_pem: bytes, key_pem: bytes) -> Self:
        """Take up an authority that was made before; raises ValueError when it is none of this network."""
        key = serialization.load_pem_private_key(key_pem, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{name}: the key is not ECDSA")  # noqa: TRY004 - it is a wrong value of the right type
        return cls(name, KeyPair(x509.load_pem_x509_certificate(certificate_pem), key))

    @property
    def certificate_pem(self) -> bytes:
        """The authority's certificate as PEM."""
        return self.pair.certificate_pem

    def issue_identity(self, common_name: str, organization: str, role: Role | None) -> KeyPair:
        """Issue an enrollment certificate that carries `role` as its only organizational unit (none without role)."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._leaf(_name(common_name, organization, role), key)
        return KeyPair(_sign_low_s(builder, self.pair.private_key), key)

    def issue_tls(self, common_name: str, organization: str, *, lifetime: dt.timedelta = LIFETIME) -> KeyPair:
        """Issue a TLS certificate for servers and clients alike, valid for `common_name`, localhost and 127.0.0.1."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [
            x509.DNSName(common_name),
            x509.DNSName("localhost"),
            x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")),
        ]
        builder = (
            self._leaf(_name(common_name, organization), key, lifetime)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
        )
        return KeyPair(_sign_low_s(builder, self.pair.private_key), key)

    def _leaf(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, lifetime: dt.timedelta = LIFETIME
    ) -> x509.CertificateBuilder:
        issuer = self.pair.certificate
        authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.pair.private_key.public_key())
        return (
            _builder(subject, issuer.subject, key.public_key(), lifetime)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(ca=False), critical=True)
            .add_extension(authority_key, critical=False)
        )


def _name(common_name: str, organization: str, role: Role | None = None) -> x509.Name:
    attributes = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
        x509.NameAttribute(NameOID.COMMON_NAME, common_name),
    ]
    if role is not None:
        attributes.insert(1, x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role.value))
    return x509.Name(attributes)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, lifetime: dt.timedelta = LIFETIME
) -> x509.CertificateBuilder:
    start = dt.datetime.now(dt.UTC) - _BACKDATE
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=not ca,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _sign_low_s(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """Sign until S is in the lower half: Fabric re-encodes other certificates and then compares its own bytes."""
    while True:
        certificate = builder.sign(key, hashes.SHA256())
        if decode_dss_signature(certificate.signature)[1] <= _HALF_ORDER:
            return certificate

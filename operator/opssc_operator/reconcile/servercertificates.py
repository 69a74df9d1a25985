"""Certificates of chaincode servers: one CA for each organization, one certificate for each server. No I/O.

Peers trust the CA through their builder's configuration, which is set once; certificates below it may change any day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CERTIFICATE_KEY: Final = "tls.crt"
PRIVATE_KEY: Final = "tls.key"
AUTHORITY_KEY: Final = "ca.crt"

AUTHORITY_LIFETIME: Final = timedelta(days=3650)
AUTHORITY_RENEWAL: Final = timedelta(days=365)
"""How long before its end a CA is replaced: what people have for telling their peers of the next certificate."""
LIFETIME: Final = timedelta(days=90)
RENEWAL: Final = timedelta(days=30)
"""How long before its end a certificate is replaced."""
_BACKDATED: Final = timedelta(minutes=5)
"""Clocks of peers may be behind."""
_LONGEST_COMMON_NAME: Final = 64


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls, organization: str, now: datetime) -> Self:
        """A new CA, valid for ten years."""
        key = ec.generate_private_key(ec.SECP256R1())
        return cls._sign(_name(f"chaincode servers of {organization}"), key, now)

    def is_old(self, now: datetime) -> bool:
        """Whether it is time for the next one."""
        return self.certificate.not_valid_after_utc - AUTHORITY_RENEWAL <= now

    def renew(self, now: datetime) -> Self:
        """The same CA for another ten years.

        With the same name and key, so that peers which were told of the certificate before go on trusting its servers.
        """
        return self._sign(self.certificate.subject, self.key, now)

    @classmethod
    def _sign(cls, name: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime) -> Self:
        builder = (
            _builder(name, name, key.public_key(), now, AUTHORITY_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def read(cls, data: Mapping[str, bytes]) -> Self | None:
        """The CA of a Secret's data; None when it holds none."""
        pair = _read_pair(data)
        return None if pair is None else cls(*pair)

    def to_data(self) -> dict[str, bytes]:
        """The data of its Secret."""
        pem = self.certificate.public_bytes(serialization.Encoding.PEM)
        return {CERTIFICATE_KEY: pem, PRIVATE_KEY: _key_pem(self.key), AUTHORITY_KEY: pem}

    def issue(self, server_names: Sequence[str], now: datetime) -> dict[str, bytes]:
        """The Secret's data of a new server certificate for these names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        lifetime = min(LIFETIME, self.certificate.not_valid_after_utc - now)
        names = x509.SubjectAlternativeName([_general_name(name) for name in server_names])
        builder = (
            _builder(_name(server_names[0]), self.certificate.subject, key.public_key(), now, lifetime)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(names, critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        certificate = builder.sign(self.key, hashes.SHA256())
        return {
            CERTIFICATE_KEY: certificate.public_bytes(serialization.Encoding.PEM),
            PRIVATE_KEY: _key_pem(key),
            AUTHORITY_KEY: self.certificate.public_bytes(serialization.Encoding.PEM),
        }


def renewal_of(authority: Authority, data: Mapping[str, bytes], server_names: Sequence[str]) -> datetime | None:
    """When a server's certificate is to be replaced; None when it cannot be used at all."""
    pair = _read_pair(data)
    if pair is None or data.get(AUTHORITY_KEY) != authority.to_data()[AUTHORITY_KEY]:
        return None
    certificate, _ = pair
    try:
        certificate.verify_directly_issued_by(authority.certificate)
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):
        return None
    if set(found) != {_general_name(name) for name in server_names}:
        return None
    return certificate.not_valid_after_utc - RENEWAL


def _general_name(name: str) -> x509.GeneralName:
    """A name or an address as clients look for it: none finds an address among names."""
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def fingerprint(data: Mapping[str, bytes]) -> str:
    """A short name of a certificate: 16 hex digits of the SHA-256 of its PEM text."""
    return hashlib.sha256(data[CERTIFICATE_KEY]).hexdigest()[:16]


def _read_pair(data: Mapping[str, bytes]) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None:
    try:
        certificate = x509.load_pem_x509_certificate(data[CERTIFICATE_KEY])
        key = serialization.load_pem_private_key(data[PRIVATE_KEY], None)
    except (KeyError, ValueError, TypeError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        return None
    return certificate, key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + lifetime)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:_LONGEST_COMMON_NAME])])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

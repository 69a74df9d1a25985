"""Creators of transactions, as bytes, for the contract's tests; the peer's validation of them is not the subject."""

import json
from datetime import UTC, datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from fabric_protos.msp import identities_pb2

from opssc_chaincode.shim.server import TLS

_KEY = ec.generate_private_key(ec.SECP256R1())
_ATTRIBUTES = x509.ObjectIdentifier("1.2.3.4.5.6.7.8.1")


@cache
def creator(msp_id: str, *units: str, role: str | None = None) -> bytes:
    """A SerializedIdentity with these organizational units and, if given, the attribute `opssc.role`."""
    extension = None if role is None else json.dumps({"attrs": {"opssc.role": role}}).encode()
    return serialized(msp_id, certificate(units, extension))


def serialized(msp_id: str, pem: bytes) -> bytes:
    return identities_pb2.SerializedIdentity(mspid=msp_id, id_bytes=pem).SerializeToString()


def certificate(units: tuple[str, ...], attributes: bytes | None = None) -> bytes:
    """A certificate as PEM, with the attribute extension as given."""
    named = [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units]
    name = x509.Name([*named, x509.NameAttribute(NameOID.COMMON_NAME, "somebody")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(_KEY.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2036, 1, 1, tzinfo=UTC))
    )
    if attributes is not None:
        builder = builder.add_extension(x509.UnrecognizedExtension(_ATTRIBUTES, attributes), critical=False)
    return builder.sign(_KEY, hashes.SHA256()).public_bytes(Encoding.PEM)


def admin(msp_id: str) -> bytes:
    return creator(msp_id, "admin")


def client(msp_id: str) -> bytes:
    return creator(msp_id, "client")


def server_tls() -> TLS:
    """A self-signed certificate for localhost, its own CA."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    pem = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(_KEY.public_key())
        .serial_number(2)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2036, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(_KEY, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )
    return TLS(pem, _KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def signing_key() -> ec.EllipticCurvePrivateKey:
    """The key of every certificate here."""
    return _KEY

"""X.509 as Fabric reads it: PEM, names, and low-S certificates. Owns nothing of MSPs or chains; does no I/O."""

from __future__ import annotations

import base64
import binascii
import warnings
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import MD5, SHA1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import SignatureAlgorithmOID

from fabric_admin import der
from fabric_admin.errors import IdentityError

SUPPORTED_CURVES: Final = (ec.SECP224R1, ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_ECDSA_SIGNED: Final = frozenset(
    {
        SignatureAlgorithmOID.ECDSA_WITH_SHA1,
        SignatureAlgorithmOID.ECDSA_WITH_SHA256,
        SignatureAlgorithmOID.ECDSA_WITH_SHA384,
        SignatureAlgorithmOID.ECDSA_WITH_SHA512,
    }
)
_EXPLICIT_VERSION: Final = 0xA0
_OU_OID: Final = bytes.fromhex("55040b")
MALFORMED: Final = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What ``cryptography`` raises for bytes it cannot read."""
MAX_PEM_ATTEMPTS: Final = 16
_PEM_BEGIN, _PEM_END, _PEM_DASHES = b"-----BEGIN ", b"-----END ", b"-----"


def decode_pem(data: bytes) -> bytes | None:
    """Return the DER bytes of the first PEM block of any type, or None (Go's ``pem.Decode``).

    Gives up after ``MAX_PEM_ATTEMPTS`` blocks that are none, as each of them may reach to the end of the input.
    """
    position = 0
    for _ in range(MAX_PEM_ATTEMPTS):
        start = _pem_start(data, position)
        if start is None:
            return None
        label, position = start
        content = _pem_content(data, position, label)
        if content is not None:
            return content
    return None


def _pem_start(data: bytes, position: int) -> tuple[bytes, int] | None:
    """Return the label of the next line that begins a block, and where the line after it starts."""
    while True:
        if position or not data.startswith(_PEM_BEGIN):
            position = data.find(b"\n" + _PEM_BEGIN, max(position - 1, 0)) + 1
            if position == 0:
                return None
        line, position = _pem_line(data, position)
        if line.endswith(_PEM_DASHES):
            return line[len(_PEM_BEGIN) : -len(_PEM_DASHES)], position


def _pem_line(data: bytes, position: int) -> tuple[bytes, int]:
    end = data.find(b"\n", position)
    end = len(data) if end < 0 else end
    return data[position:end].rstrip(b" \t\r"), end + 1


def _pem_content(data: bytes, position: int, label: bytes) -> bytes | None:
    """Return what a block holds between its headers and the line that ends it."""
    while b":" in (header := _pem_line(data, position))[0]:
        position = header[1]
    end = position if data.startswith(_PEM_END, position) else data.find(b"\n" + _PEM_END, position) + 1
    if end == 0:
        return None
    if _pem_line(data, end)[0] != _PEM_END + label + _PEM_DASHES:
        return None
    try:
        return base64.b64decode(b"".join(data[position:end].split()), validate=True)
    except binascii.Error:
        return None


def parse_certificate(data: bytes) -> x509.Certificate:
    """Return the certificate in DER bytes; raises IdentityError when it, its key or an extension is malformed."""
    try:
        with warnings.catch_warnings():
            # A serial number of zero is somebody else's mistake, and accepted.
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            certificate = x509.load_der_x509_certificate(data)
            certificate.public_key()
            list(certificate.extensions)
            organizational_units(certificate)
            if certificate.serial_number < 0:
                raise ValueError("negative serial number")
    except MALFORMED as exc:
        raise IdentityError(f"x509: malformed certificate: {exc}") from exc
    return certificate


def certificate_der(certificate: x509.Certificate) -> bytes:
    """Return the certificate's DER bytes."""
    return certificate.public_bytes(Encoding.DER)


def subject_text(certificate: x509.Certificate) -> str:
    """Return the subject for people; raw hex when it repeats an attribute inside one name part."""
    try:
        return certificate.subject.rfc4514_string()
    except ValueError:
        return names(certificate)[1].hex()


def organizational_units(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the subject's OUs in certificate order, repeated ones included."""
    parts = (attribute for group in der.elements(names(certificate)[1]) for attribute in der.elements(group.content))
    pairs = (der.elements(attribute.content)[:2] for attribute in parts)
    return tuple(value.content.decode("utf-8", "replace") for oid, value in pairs if oid.content == _OU_OID)


def is_ca(certificate: x509.Certificate) -> bool:
    """Return whether the basic constraints say CA=true."""
    constraints = basic_constraints(certificate)
    return constraints is not None and constraints.ca


def subject_key_identifier(certificate: x509.Certificate) -> bytes | None:
    """Return the SubjectKeyIdentifier extension's bytes, or None."""
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return None


def is_ecdsa_signed(certificate: x509.Certificate) -> bool:
    """Return whether the certificate's own signature is ECDSA."""
    return certificate.signature_algorithm_oid in _ECDSA_SIGNED


def signed_itself(certificate: x509.Certificate) -> bool:
    """Return whether the certificate is a CA whose signature verifies under its own key."""
    return names(certificate)[0] == names(certificate)[1] and signature_problem(certificate, certificate) is None


def low_s_certificate(certificate: x509.Certificate, signer: x509.Certificate) -> x509.Certificate:
    """Return the certificate with its ECDSA signature in low-S form (``fabric: msp/cert.go``).

    Raises IdentityError when the signer's key is not ECDSA on a NIST curve or the signature is not DER.
    """
    key = signer.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise IdentityError("the certificate is ECDSA-signed, but its signer's key is not ECDSA")
    order = curve_order(key.curve)
    try:
        r, s = utils.decode_dss_signature(certificate.signature)
    except ValueError as exc:
        raise IdentityError(f"failed unmashalling signature: {exc}") from exc
    if s <= order // 2:
        return certificate
    (whole,) = der.elements(certificate_der(certificate))
    tbs, algorithm, _ = der.elements(whole.content)
    signature = utils.encode_dss_signature(r, order - s)
    return parse_certificate(der.encode(0x30, tbs.raw + algorithm.raw + der.encode(0x03, b"\x00" + signature)))


def curve_order(curve: ec.EllipticCurve) -> int:
    """Return the group order of a curve Fabric knows; raises IdentityError for any other."""
    if not isinstance(curve, SUPPORTED_CURVES):
        raise IdentityError(f"curve {curve.name} is not supported")
    return curve.group_order


def basic_constraints(certificate: x509.Certificate) -> x509.BasicConstraints | None:
    """Return the basic constraints extension, or None."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return None


def signature_problem(child: x509.Certificate, parent: x509.Certificate) -> str | None:
    """Return why ``parent`` did not sign ``child``, in Go's words; None when it did."""
    if not is_ca(parent):
        return "x509: invalid signature: parent certificate cannot sign this kind of certificate"
    try:
        usage = parent.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        usage = None
    if usage is not None and not usage.key_cert_sign:
        return "x509: invalid signature: parent certificate cannot sign this kind of certificate"
    try:
        if isinstance(child.signature_hash_algorithm, MD5 | SHA1):
            return "x509: cannot verify signature: insecure algorithm"
        child.verify_directly_issued_by(parent)
    except InvalidSignature:
        return "x509: signature verification failure"
    except MALFORMED as exc:
        return f"x509: cannot verify signature: {exc}"
    return None


def names(certificate: x509.Certificate) -> tuple[bytes, bytes]:
    """Return (issuer, subject) as encoded, without their outer SEQUENCE; Go compares these bytes."""
    (tbs,) = der.elements(certificate.tbs_certificate_bytes)
    fields = der.elements(tbs.content)
    versioned = 1 if fields[0].raw[0] == _EXPLICIT_VERSION else 0
    return fields[versioned + 2].content, fields[versioned + 4].content

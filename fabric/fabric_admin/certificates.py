"""X.509 as Fabric reads it: PEM, low-S certificates, and chains the way Go's ``x509.Verify`` builds them.

Owns nothing of MSPs; does no I/O and never looks at the clock, because Fabric verifies every chain at one second
after the certificate's own start (``fabric: msp/mspimpl.go``, ``getValidityOptsForCert``).
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import MD5, SHA1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, SignatureAlgorithmOID

from fabric_admin import der
from fabric_admin.errors import IdentityError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

Chain = tuple[x509.Certificate, ...]

MAX_SIGNATURE_CHECKS: Final = 100
UNKNOWN_AUTHORITY: Final = "x509: certificate signed by unknown authority"
SUPPORTED_CURVES: Final = (ec.SECP224R1, ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_ECDSA_SIGNED: Final = frozenset(
    {
        SignatureAlgorithmOID.ECDSA_WITH_SHA1,
        SignatureAlgorithmOID.ECDSA_WITH_SHA256,
        SignatureAlgorithmOID.ECDSA_WITH_SHA384,
        SignatureAlgorithmOID.ECDSA_WITH_SHA512,
    }
)
_HANDLED_CRITICAL: Final = frozenset(
    {
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
    }
)
_EXPLICIT_VERSION: Final = 0xA0
_OU_OID: Final = bytes.fromhex("55040b")
_PEM_BLOCK: Final = re.compile(
    rb"(?:\A|\n)-----BEGIN ([^\n]*?)-----[ \t\r]*\n(.*?)\n?-----END \1-----[ \t\r]*(?:\n|\Z)", re.DOTALL
)


def decode_pem(data: bytes) -> bytes | None:
    """Return the DER bytes of the first PEM block of any type, or None (Go's ``pem.Decode``)."""
    found = _PEM_BLOCK.search(data)
    if found is None:
        return None
    body = b"".join(line for line in found[2].splitlines() if b":" not in line)
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error:
        return None


def parse_certificate(data: bytes) -> x509.Certificate:
    """Return the certificate in DER bytes; raises IdentityError when it, its key or an extension is malformed."""
    try:
        certificate = x509.load_der_x509_certificate(data)
        certificate.public_key()
        list(certificate.extensions)
        _names(certificate)
        if certificate.serial_number < 0:
            raise ValueError("negative serial number")
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion) as exc:
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
        return _names(certificate)[1].hex()


def organizational_units(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the subject's OUs in certificate order, repeated ones included."""
    parts = (attribute for group in der.elements(_names(certificate)[1]) for attribute in der.elements(group.content))
    pairs = (der.elements(attribute.content)[:2] for attribute in parts)
    return tuple(value.content.decode("utf-8", "replace") for oid, value in pairs if oid.content == _OU_OID)


def is_ca(certificate: x509.Certificate) -> bool:
    """Return whether the basic constraints say CA=true."""
    constraints = _basic_constraints(certificate)
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
    return _names(certificate)[0] == _names(certificate)[1] and _signature_problem(certificate, certificate) is None


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


@dataclass(frozen=True, slots=True)
class Pool:
    """The roots and intermediates a certificate may chain to."""

    roots: tuple[x509.Certificate, ...]
    intermediates: tuple[x509.Certificate, ...] = ()

    def unique_chain(self, certificate: x509.Certificate) -> Chain:
        """Return the one chain from ``certificate`` (first) to a root (last).

        Raises IdentityError with Fabric's text when there is none or more than one
        (``fabric: msp/mspimpl.go``, ``getUniqueValidationChain``).
        """
        try:
            chains = _Verification(self, certificate).chains()
        except _RefusedError as exc:
            raise IdentityError(f"the supplied identity is not valid: {exc}") from exc
        if len(chains) != 1:
            raise IdentityError(f"this MSP only supports a single validation chain, got {len(chains)}")
        return chains[0]


class _RefusedError(Exception):
    """Why a chain cannot be built, in Go's words."""


class _Verification:
    """One run of Go's ``Certificate.Verify`` with its default key usage (serverAuth)."""

    def __init__(self, pool: Pool, leaf: x509.Certificate) -> None:
        self._pool = pool
        self._leaf = leaf
        self._at = leaf.not_valid_before_utc + timedelta(seconds=1)
        self._signature_checks = 0

    def chains(self) -> list[Chain]:
        self._check_valid(self._leaf, (), intermediate=False)
        chains = [(self._leaf,)] if self._leaf in self._pool.roots else self._build((self._leaf,))
        usable = [chain for chain in chains if _allows_server_auth(chain)]
        if not usable:
            raise _RefusedError("x509: certificate specifies an incompatible key usage")
        return usable

    def _build(self, chain: Chain) -> list[Chain]:
        found: list[Chain] = []
        refusal: _RefusedError | None = None
        hint = ""
        child = chain[-1]
        for parent, is_root in self._candidates(child, chain):
            self._signature_checks += 1
            if self._signature_checks > MAX_SIGNATURE_CHECKS:
                raise _RefusedError("x509: signature check attempts limit reached while verifying certificate chain")
            problem = _signature_problem(child, parent)
            if problem is not None:
                hint = hint or f' (possibly because of "{problem}")'
                continue
            try:
                self._check_valid(parent, chain, intermediate=not is_root)
                found += [(*chain, parent)] if is_root else self._build((*chain, parent))
            except _RefusedError as exc:
                refusal = exc
        if found:
            return found
        raise refusal or _RefusedError(UNKNOWN_AUTHORITY + hint)

    def _candidates(self, child: x509.Certificate, chain: Chain) -> Iterable[tuple[x509.Certificate, bool]]:
        for certificates, is_root in ((self._pool.roots, True), (self._pool.intermediates, False)):
            for parent in certificates:
                if _names(parent)[1] == _names(child)[0] and not _already_in(parent, chain):
                    yield parent, is_root

    def _check_valid(self, certificate: x509.Certificate, chain: Chain, *, intermediate: bool) -> None:
        if any(each.critical and each.oid not in _HANDLED_CRITICAL for each in certificate.extensions):
            raise _RefusedError("x509: unhandled critical extension")
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        stale = "x509: certificate has expired or is not yet valid: current time"
        if self._at < start:
            raise _RefusedError(f"{stale} {self._at:%Y-%m-%dT%H:%M:%SZ} is before {start:%Y-%m-%dT%H:%M:%SZ}")
        if self._at > end:
            raise _RefusedError(f"{stale} {self._at:%Y-%m-%dT%H:%M:%SZ} is after {end:%Y-%m-%dT%H:%M:%SZ}")
        if intermediate and not is_ca(certificate):
            raise _RefusedError("x509: certificate is not authorized to sign other certificates")
        constraints = _basic_constraints(certificate)
        limit = None if constraints is None else constraints.path_length
        if limit is not None and len(chain) - 1 > limit:
            raise _RefusedError("x509: too many intermediates for path length constraint")


def _basic_constraints(certificate: x509.Certificate) -> x509.BasicConstraints | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return None


def _already_in(certificate: x509.Certificate, chain: Chain) -> bool:
    key, subject = certificate.public_key(), _names(certificate)[1]
    return any(_names(other)[1] == subject and _same_key(other.public_key(), key) for other in chain)


def _same_key(one: CertificatePublicKeyTypes, other: CertificatePublicKeyTypes) -> bool:
    return type(one) is type(other) and one == other


def _signature_problem(child: x509.Certificate, parent: x509.Certificate) -> str | None:
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
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        return f"x509: cannot verify signature: {exc}"
    return None


def _allows_server_auth(chain: Sequence[x509.Certificate]) -> bool:
    for certificate in chain:
        try:
            usage = set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        except x509.ExtensionNotFound:
            continue
        if not usage & {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}:
            return False
    return True


def _names(certificate: x509.Certificate) -> tuple[bytes, bytes]:
    """Return (issuer, subject) as encoded, without their outer SEQUENCE; Go compares these bytes."""
    (tbs,) = der.elements(certificate.tbs_certificate_bytes)
    fields = der.elements(tbs.content)
    versioned = 1 if fields[0].raw[0] == _EXPLICIT_VERSION else 0
    return fields[versioned + 2].content, fields[versioned + 4].content

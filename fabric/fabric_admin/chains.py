"""Certificate chains the way Go's ``x509.Verify`` builds them.

Never looks at the clock: Fabric verifies an identity's chain at one second after the certificate's own start
(``fabric: msp/mspimpl.go``, ``getValidityOptsForCert``), for anything else the caller gives the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from fabric_admin.certificates import basic_constraints, is_ca, names, signature_problem
from fabric_admin.errors import IdentityError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

Chain = tuple[x509.Certificate, ...]


MAX_SIGNATURE_CHECKS: Final = 100
MAX_AUTHORITIES: Final = 500
UNKNOWN_AUTHORITY: Final = "x509: certificate signed by unknown authority"
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
_SERVER: Final = frozenset({ExtendedKeyUsageOID.SERVER_AUTH})
_CLIENT_OR_SERVER: Final = frozenset({ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH})


@dataclass(frozen=True, slots=True)
class Pool:
    """The roots and intermediates a certificate may chain to."""

    roots: tuple[x509.Certificate, ...]
    intermediates: tuple[x509.Certificate, ...] = ()
    _by_subject: Mapping[bytes, Sequence[tuple[x509.Certificate, bool]]] = field(
        init=False, repr=False, compare=False, hash=False
    )
    """Certificates and whether each is a root, roots first; pools of strangers may be large."""

    def __post_init__(self) -> None:
        """Sort the certificates by subject; raises IdentityError for more than anybody needs."""
        if len(self.roots) + len(self.intermediates) > MAX_AUTHORITIES:
            raise IdentityError(f"more than {MAX_AUTHORITIES} certificate authorities")
        found: dict[bytes, list[tuple[x509.Certificate, bool]]] = {}
        for certificates, is_root in ((self.roots, True), (self.intermediates, False)):
            for certificate in certificates:
                found.setdefault(names(certificate)[1], []).append((certificate, is_root))
        object.__setattr__(self, "_by_subject", found)

    def named(self, subject: bytes) -> Sequence[tuple[x509.Certificate, bool]]:
        """Return the authorities of that name, each with whether it is a root; roots first."""
        return self._by_subject.get(subject, ())

    def unique_chain(self, certificate: x509.Certificate) -> Chain:
        """Return the one chain from ``certificate`` (first) to a root (last).

        Raises IdentityError with Fabric's text when there is none or more than one
        (``fabric: msp/mspimpl.go``, ``getUniqueValidationChain``).
        """
        at = certificate.not_valid_before_utc + timedelta(seconds=1)
        try:
            chains = _Verification(self, certificate, at, _SERVER).chains()
        except _RefusedError as exc:
            raise IdentityError(f"the supplied identity is not valid: {exc}") from exc
        if len(chains) != 1:
            raise IdentityError(f"this MSP only supports a single validation chain, got {len(chains)}")
        return chains[0]

    def verify_tls(self, certificate: x509.Certificate, at: datetime) -> None:
        """Check that a TLS certificate of a client or server chains to a root at a time; raises IdentityError."""
        try:
            _Verification(self, certificate, at, _CLIENT_OR_SERVER).chains()
        except _RefusedError as exc:
            raise IdentityError(str(exc)) from exc


class _RefusedError(Exception):
    """Why a chain cannot be built, in Go's words."""


class _Verification:
    """One run of Go's ``Certificate.Verify`` at a time and for any of some key usages."""

    def __init__(
        self, pool: Pool, leaf: x509.Certificate, at: datetime, usages: frozenset[x509.ObjectIdentifier]
    ) -> None:
        self._pool = pool
        self._leaf = leaf
        self._at = at
        self._usages = usages
        self._signature_checks = 0

    def chains(self) -> list[Chain]:
        self._check_valid(self._leaf, (), intermediate=False)
        chains = [(self._leaf,)] if self._leaf in self._pool.roots else self._build((self._leaf,))
        usable = [chain for chain in chains if _allows(chain, self._usages)]
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
            problem = signature_problem(child, parent)
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
        for parent, is_root in self._pool.named(names(child)[0]):
            if not _already_in(parent, chain):
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
        constraints = basic_constraints(certificate)
        limit = None if constraints is None else constraints.path_length
        if limit is not None and len(chain) - 1 > limit:
            raise _RefusedError("x509: too many intermediates for path length constraint")


def _already_in(certificate: x509.Certificate, chain: Chain) -> bool:
    key, subject = certificate.public_key(), names(certificate)[1]
    return any(names(other)[1] == subject and _same_key(other.public_key(), key) for other in chain)


def _same_key(one: CertificatePublicKeyTypes, other: CertificatePublicKeyTypes) -> bool:
    return type(one) is type(other) and one == other


def _allows(chain: Sequence[x509.Certificate], wanted: frozenset[x509.ObjectIdentifier]) -> bool:
    """Tell whether one of the wanted usages is allowed all along the chain; no extension allows every usage."""
    left = set(wanted)
    for certificate in chain:
        try:
            usage = set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        except x509.ExtensionNotFound:
            continue
        if ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in usage:
            left &= usage
    return bool(left)

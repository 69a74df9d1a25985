"""The certificate authorities of one MSP: whom they vouch for, and whom they have revoked.

Follows ``fabric: msp/mspimplsetup.go`` and ``mspimplvalidate.go``; knows certificates, not identities or roles.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from fabric_admin import certificates
from fabric_admin.chains import Chain, Pool
from fabric_admin.errors import IdentityError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fabric_protos.msp import msp_config_pb2

_CACHED_CHAINS: Final = 512


class Authorities:
    """Roots, intermediates and revocation lists of one organization, checked when built."""

    def __init__(self, definition: msp_config_pb2.FabricMSPConfig) -> None:
        """Read them from an MSP definition; raises IdentityError with Fabric's reason."""
        if not definition.root_certs:
            raise IdentityError("expected at least one CA certificate")
        roots, intermediates = _load_pem(definition.root_certs), _load_pem(definition.intermediate_certs)
        self._pool = Pool(roots, intermediates)
        self._pool = Pool(tuple(map(self.sanitized, roots)), tuple(map(self.sanitized, intermediates)))
        self._revocation_lists = tuple(map(_load_crl, definition.revocation_list))
        self._internal_nodes: frozenset[x509.Certificate] = frozenset()
        self._check(self._pool)
        self._internal_nodes = frozenset(
            node for each in self._pool.intermediates for node in self._pool.unique_chain(each)[1:]
        )
        self._check(Pool(_load_pem(definition.tls_root_certs), _load_pem(definition.tls_intermediate_certs)))
        self.chain_of = lru_cache(maxsize=_CACHED_CHAINS)(self._find_chain)

    def sanitized(self, certificate: x509.Certificate) -> x509.Certificate:
        """Return the certificate in low-S form; an ECDSA-signed one must chain to this MSP to get it."""
        if not certificates.is_ecdsa_signed(certificate):
            return certificate
        if certificates.signed_itself(certificate):
            return certificates.low_s_certificate(certificate, certificate)
        chain = self._pool.unique_chain(certificate)
        if len(chain) > 1:
            return certificates.low_s_certificate(certificate, chain[1])
        raise IdentityError(
            "failed to traverse certificate verification chain for leaf or intermediate certificate, "
            f"with subject {certificates.subject_text(certificate)}"
        )

    def _find_chain(self, certificate: x509.Certificate) -> Chain:
        """Return the chain of an identity's certificate, root last; raises IdentityError."""
        if certificates.is_ca(certificate):
            raise IdentityError(
                "An X509 certificate with Basic Constraint: Certificate Authority equals true "
                "cannot be used as an identity"
            )
        try:
            chain = self._pool.unique_chain(certificate)
        except IdentityError as exc:
            raise IdentityError(f"failed getting validation chain: {exc}") from exc
        if len(chain) < 2:  # noqa: PLR2004 - the identity and whoever issued it
            raise IdentityError(f"expected a chain of length at least 2, got {len(chain)}")
        self._require_tree_leaf(chain[1], certificate)
        return chain

    def _require_tree_leaf(self, issuer: x509.Certificate, certificate: x509.Certificate) -> None:
        if issuer in self._internal_nodes:
            raise IdentityError(
                "invalid validation chain. Parent certificate should be a leaf of the certification tree "
                f"[{certificates.subject_text(certificate)}]"
            )

    def is_revoked(self, chain: Chain) -> bool:
        """Whether a CRL signed by the issuer lists the first certificate; its dates do not matter to Fabric."""
        certificate, issuer = chain[0], chain[1]
        issuer_key_id = certificates.subject_key_identifier(issuer)
        for revocation_list in self._revocation_lists:
            try:
                authority = revocation_list.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
            except x509.ExtensionNotFound:
                raise IdentityError("could not obtain Authority Key Identifier for crl") from None
            if authority.key_identifier != issuer_key_id:
                continue
            if revocation_list.get_revoked_certificate_by_serial_number(certificate.serial_number) is None:
                continue
            if _signed_by(revocation_list, issuer):
                return True
        return False

    def certifiers_of(self, pem: bytes) -> bytes:
        """Return the certifiers identifier of the CA certificate an OU entry pins."""
        certificate = self.sanitized(_load_pem([pem])[0])
        if certificate in self._pool.roots:
            return certifiers_identifier((certificate,))
        if certificate not in self._pool.intermediates:
            raise IdentityError(
                f"Failed adding OU. Certificate [{certificates.subject_text(certificate)}] "
                "not in root or intermediate certs."
            )
        chain = self._pool.unique_chain(certificate)
        self._require_tree_leaf(chain[0], certificate)
        return certifiers_identifier(chain)

    def _check(self, pool: Pool) -> None:
        for certificate in (*pool.roots, *pool.intermediates):
            if not certificates.is_ca(certificate):
                raise IdentityError(
                    f"CA Certificate did not have the CA attribute, (SN: {certificate.serial_number:x})"
                )
            if certificates.subject_key_identifier(certificate) is None:
                raise IdentityError(
                    f"CA Certificate problem with Subject Key Identifier extension, (SN: {certificate.serial_number:x})"
                )
            prefix = f"CA Certificate is not valid, (SN: {certificate.serial_number}): "
            try:
                chain = pool.unique_chain(certificate)
            except IdentityError as exc:
                raise IdentityError(f"{prefix}could not obtain certification chain: {exc}") from exc
            if len(chain) > 1 and self.is_revoked(chain):
                raise IdentityError(f"{prefix}The certificate has been revoked")


def _load_pem(pems: Sequence[bytes]) -> tuple[x509.Certificate, ...]:
    return tuple(map(_load_one, pems))


def _load_one(pem: bytes) -> x509.Certificate:
    der = certificates.decode_pem(pem)
    if der is None:
        raise IdentityError("getCertFromPem error: could not decode pem bytes")
    try:
        return certificates.parse_certificate(der)
    except IdentityError as exc:
        raise IdentityError(f"getCertFromPem error: failed to parse x509 cert: {exc}") from exc


def _load_crl(data: bytes) -> x509.CertificateRevocationList:
    try:
        loaded = x509.load_der_x509_crl(certificates.decode_pem(data) or data)
        list(loaded.extensions)
    except certificates.MALFORMED as exc:
        raise IdentityError(f"could not parse RevocationList: {exc}") from exc
    return loaded


def _signed_by(revocation_list: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    key = issuer.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey):
        return False
    try:
        return revocation_list.is_signature_valid(key)
    except certificates.MALFORMED:
        return False


def certifiers_identifier(chain: Chain) -> bytes:
    """Return the hash Fabric calls certifiers identifier: over the DER of the CAs, issuer first."""
    return hashlib.sha256(b"".join(map(certificates.certificate_der, chain))).digest()

"""Membership service providers: which certificates belong to an organization, and in which role.

Follows ``fabric: msp/mspimpl.go``, ``mspimplsetup.go`` and ``mspimplvalidate.go`` of 3.1.5; ``certificates`` builds
the chains, ``principals`` decides roles. No clock is read: Fabric does not look at expiry here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from fabric_protos.msp import identities_pb2, msp_config_pb2

from fabric_admin import certificates, msp_directory, principals
from fabric_admin.certificates import Chain, Pool
from fabric_admin.errors import IdentityError
from fabric_admin.identity import verify_signature
from fabric_admin.principals import Role
from fabric_admin.wire import decode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from fabric_protos.msp import msp_principal_pb2

_CACHED_IDENTITIES: Final = 512


class MSPVersion(IntEnum):
    """The rules an MSP is read by, decided by the channel's capabilities (``common/capabilities/channel.go``)."""

    V1_0 = 100
    V1_1 = 110
    V1_3 = 130
    V1_4_3 = 143
    V3_0 = 300


@dataclass(frozen=True, slots=True)
class OrganizationalUnit:
    """An OU name together with the hash of the CA chain that certified it (empty: any chain)."""

    name: str
    certifiers_identifier: bytes

    def __str__(self) -> str:
        return f"{self.name}({self.certifiers_identifier[:8].hex().upper()})"


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate of an organization, in the form (low-S) in which Fabric compares and hashes it."""

    msp_id: str
    certificate: x509.Certificate
    identifier: str
    """Hex SHA-256 of the certificate's DER: equal for the same certificate in any encoding."""

    def verify(self, message: bytes, signature: bytes) -> None:
        """Check a signature by this identity; raises IdentityError."""
        verify_signature(self.certificate.public_key(), message, signature)


class MSP:
    """One organization's MSP, set up from its definition; immutable once built."""

    def __init__(self, config: msp_config_pb2.MSPConfig, version: MSPVersion) -> None:
        if config.type != msp_directory.FABRIC_MSP_TYPE:
            raise IdentityError(f"MSP type {config.type} is not supported, only X.509 (type 0) is")
        self._config = config
        definition = decode(
            msp_config_pb2.FabricMSPConfig, config.config, IdentityError, "failed unmarshalling MSP config"
        )
        self._definition = definition
        self.msp_id = definition.name
        self.version = version
        self._chain_of = lru_cache(maxsize=_CACHED_IDENTITIES)(self._find_chain)
        self._validated = lru_cache(maxsize=_CACHED_IDENTITIES)(self._validate)
        self._deserialized = lru_cache(maxsize=_CACHED_IDENTITIES)(self._identity_from_pem)
        self._set_up()

    @classmethod
    def from_config(cls, config: msp_config_pb2.MSPConfig, version: MSPVersion = MSPVersion.V3_0) -> Self:
        """Return the MSP a definition describes; raises IdentityError with Fabric's reason."""
        return cls(config, version)

    @classmethod
    def from_directory(cls, path: Path, msp_id: str, version: MSPVersion = MSPVersion.V3_0) -> Self:
        """Return the MSP in a folder laid out by Fabric's tools; raises IdentityError naming the file at fault."""
        return cls(msp_directory.read_config(path, msp_id), version)

    def to_config(self) -> msp_config_pb2.MSPConfig:
        """Return the definition this MSP was built from, byte for byte."""
        copy = msp_config_pb2.MSPConfig()
        copy.CopyFrom(self._config)
        return copy

    @property
    def tls_root_certs(self) -> tuple[bytes, ...]:
        """PEM texts of the TLS root and intermediate CAs: what a client trusts when connecting to this organization."""
        return (*self._definition.tls_root_certs, *self._definition.tls_intermediate_certs)

    @property
    def node_ous_enforced(self) -> bool:
        """Whether roles are told by the certificate's OU."""
        return bool(self._role_ous)

    def deserialize(self, data: bytes) -> Identity:
        """Return the identity in ``pb(SerializedIdentity)``; raises IdentityError. Not yet validated."""
        serialized = decode(
            identities_pb2.SerializedIdentity, data, IdentityError, "could not deserialize a SerializedIdentity"
        )
        if serialized.mspid != self.msp_id:
            raise IdentityError(f"expected MSP ID {self.msp_id}, received {serialized.mspid}")
        return self._deserialized(serialized.id_bytes)

    def validate(self, identity: Identity) -> None:
        """Check that the identity is a valid member of this MSP; raises IdentityError with Fabric's reason."""
        self._validated(identity)

    def satisfies(self, identity: Identity, principal: msp_principal_pb2.MSPPrincipal) -> None:
        """Check the identity against a principal; raises IdentityError with Fabric's reason."""
        principals.check(self, identity, principal)

    def roles(self, identity: Identity) -> frozenset[Role]:
        """Return every role this identity satisfies; empty for an invalid one."""
        return principals.roles(self, identity)

    def has_ou_role(self, identity: Identity, role: Role) -> None:
        """Check that the identity carries the OU of a role; raises IdentityError."""
        if not self._role_ous:
            raise IdentityError("NodeOUs not activated. Cannot tell apart identities.")
        expected = self._role_ous.get(role)
        if expected is None:
            raise IdentityError(
                f"cannot test for classification, node ou for type [{role.name}], not defined, msp: [{self.msp_id}]"
            )
        if expected.name not in (unit.name for unit in self.organizational_units(identity)):
            raise IdentityError(f"The identity does not contain OU [{role.name}], MSP: [{self.msp_id}]")

    def is_listed_admin(self, identity: Identity) -> bool:
        """Whether the certificate is one of those the definition lists as administrators."""
        return any(admin.identifier == identity.identifier for admin in self._admins)

    def organizational_units(self, identity: Identity) -> tuple[OrganizationalUnit, ...]:
        """Return the identity's OUs in certificate order; empty when its chain cannot be built."""
        try:
            certifiers = _certifiers_identifier(self._identity_chain(identity)[1:])
        except IdentityError:
            return ()
        return tuple(
            OrganizationalUnit(name, certifiers) for name in certificates.organizational_units(identity.certificate)
        )

    def _set_up(self) -> None:
        definition = self._definition
        if not definition.root_certs:
            raise IdentityError("expected at least one CA certificate")
        roots, intermediates = _load_pem(definition.root_certs), _load_pem(definition.intermediate_certs)
        self._pool = Pool(roots, intermediates)
        self._pool = Pool(tuple(map(self._sanitized, roots)), tuple(map(self._sanitized, intermediates)))
        self._revocation_lists = tuple(map(_load_crl, definition.revocation_list))
        self._internal_nodes: frozenset[x509.Certificate] = frozenset()
        self._check_authorities(self._pool)
        self._internal_nodes = frozenset(
            node for each in self._pool.intermediates for node in self._pool.unique_chain(each)[1:]
        )
        tls = Pool(_load_pem(definition.tls_root_certs), _load_pem(definition.tls_intermediate_certs))
        self._check_authorities(tls)
        self._listed_ous = tuple(
            OrganizationalUnit(entry.organizational_unit_identifier, self._certifiers_of(entry.certificate))
            for entry in definition.organizational_unit_identifiers
        )
        self._role_ous = self._read_role_ous()
        self._admins = tuple(self._identity_from_pem(pem) for pem in definition.admins)
        self._check_admins()

    def _check_authorities(self, pool: Pool) -> None:
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
            if len(chain) > 1 and self._is_revoked(chain):
                raise IdentityError(f"{prefix}The certificate has been revoked")

    def _read_role_ous(self) -> Mapping[Role, OrganizationalUnit]:
        node_ous = self._definition.fabric_node_ous
        if not node_ous.enable or self.version < MSPVersion.V1_1:
            return {}
        entries = {Role.CLIENT: node_ous.client_ou_identifier, Role.PEER: node_ous.peer_ou_identifier}
        if self.version >= MSPVersion.V1_4_3:
            entries |= {Role.ADMIN: node_ous.admin_ou_identifier, Role.ORDERER: node_ous.orderer_ou_identifier}
        return {
            role: OrganizationalUnit(
                entry.organizational_unit_identifier,
                self._certifiers_of(entry.certificate) if entry.certificate else b"",
            )
            for role, entry in entries.items()
            if entry.organizational_unit_identifier
        }

    def _check_admins(self) -> None:
        if not self._admins and Role.ADMIN not in self._role_ous:
            raise IdentityError("administrators must be declared when no admin ou classification is set")
        for index, admin in enumerate(self._admins):
            if not self._role_ous:
                try:
                    self.validate(admin)
                except IdentityError as exc:
                    raise IdentityError(f"admin {index} is invalid: {exc}") from exc
                continue
            problems = []
            for role in (Role.CLIENT, Role.ADMIN):
                try:
                    self.has_ou_role(admin, role)
                except IdentityError as exc:
                    problems.append(str(exc))
            if len(problems) > 1:
                raise IdentityError(f"admin {index} is invalid [{','.join(problems)}]")

    def _certifiers_of(self, pem: bytes) -> bytes:
        """Return the certifiers identifier of the CA certificate an OU entry pins."""
        certificate = self._sanitized(_load_pem([pem])[0])
        if certificate in self._pool.roots:
            return _certifiers_identifier((certificate,))
        if certificate not in self._pool.intermediates:
            raise IdentityError(
                f"Failed adding OU. Certificate [{certificates.subject_text(certificate)}] "
                "not in root or intermediate certs."
            )
        chain = self._pool.unique_chain(certificate)
        self._require_tree_leaf(chain[0], certificate)
        return _certifiers_identifier(chain)

    def _sanitized(self, certificate: x509.Certificate) -> x509.Certificate:
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

    def _identity_from_pem(self, pem: bytes) -> Identity:
        der = certificates.decode_pem(pem)
        if der is None:
            raise IdentityError("could not decode the PEM structure")
        try:
            certificate = certificates.parse_certificate(der)
        except IdentityError as exc:
            raise IdentityError(f"parseCertificate failed: {exc}") from exc
        certificate = self._sanitized(certificate)
        identifier = hashlib.sha256(certificates.certificate_der(certificate)).hexdigest()
        return Identity(self.msp_id, certificate, identifier)

    def _validate(self, identity: Identity) -> None:
        self._check_key_algorithm(identity)
        try:
            chain = self._identity_chain(identity)
        except IdentityError as exc:
            raise IdentityError(f"could not obtain certification chain: {exc}") from exc
        if self._is_revoked(chain):
            raise IdentityError(
                "could not validate identity against certification chain: The certificate has been revoked"
            )
        try:
            self._check_organizational_units(identity)
        except IdentityError as exc:
            raise IdentityError(f"could not validate identity's OUs: {exc}") from exc

    def _check_key_algorithm(self, identity: Identity) -> None:
        key = identity.certificate.public_key()
        if isinstance(key, ec.EllipticCurvePublicKey):
            return
        is_ed25519 = isinstance(key, ed25519.Ed25519PublicKey)
        if is_ed25519 and self.version >= MSPVersion.V3_0:
            return
        name = "Ed25519" if is_ed25519 else "RSA" if isinstance(key, rsa.RSAPublicKey) else type(key).__name__
        raise IdentityError(f"could not validate identity's public key algorithm: {name} is not supported")

    def _identity_chain(self, identity: Identity) -> Chain:
        return self._chain_of(identity.certificate)

    def _find_chain(self, certificate: x509.Certificate) -> Chain:
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

    def _is_revoked(self, chain: Chain) -> bool:
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

    def _check_organizational_units(self, identity: Identity) -> None:
        units = self.organizational_units(identity)
        shown = f"[{' '.join(map(str, units))}]"
        if self._listed_ous and not any(unit in self._listed_ous for unit in units):
            if not units:
                raise IdentityError("the identity certificate does not contain an Organizational Unit (OU)")
            raise IdentityError(f"none of the identity's organizational units {shown} are in MSP {self.msp_id}")
        if not self._role_ous:
            return
        by_name = {unit.name: unit for unit in self._role_ous.values()}
        found = 0
        for unit in units:
            expected = by_name.get(unit.name)
            if expected is None:
                continue
            if expected.certifiers_identifier not in (b"", unit.certifiers_identifier):
                raise IdentityError(f"certifiersIdentifier does not match: {shown}, MSP: [{self.msp_id}]")
            found += 1
        if found == 0:
            raise IdentityError(
                "the identity does not have an OU that resolves to client, peer, orderer, or admin role. "
                f"OUs: {shown}, MSP: [{self.msp_id}]"
            )
        if found > 1:
            raise IdentityError(
                "the identity must have a client, a peer, an orderer, or an admin OU role to be valid, "
                f"not a combination of them. OUs: {shown}, MSP: [{self.msp_id}]"
            )


class MSPManager:
    """The MSPs of one channel (or of one node), by MSP ID."""

    def __init__(self, msps: Mapping[str, MSP]) -> None:
        self._msps = dict(msps)

    @property
    def msps(self) -> Mapping[str, MSP]:
        """The MSPs by MSP ID."""
        return self._msps

    def get(self, msp_id: str) -> MSP:
        """Return the MSP of that ID; raises IdentityError when the channel has none."""
        try:
            return self._msps[msp_id]
        except KeyError:
            raise IdentityError(f"MSP {msp_id} is unknown") from None

    def deserialize(self, data: bytes) -> Identity:
        """Return the identity in ``pb(SerializedIdentity)``, read by its own MSP; raises IdentityError."""
        serialized = decode(
            identities_pb2.SerializedIdentity, data, IdentityError, "could not deserialize a SerializedIdentity"
        )
        return self.get(serialized.mspid).deserialize(data)

    def validate(self, identity: Identity) -> None:
        """Check the identity against its own MSP; raises IdentityError."""
        self.get(identity.msp_id).validate(identity)

    def satisfies(self, identity: Identity, principal: msp_principal_pb2.MSPPrincipal) -> None:
        """Check the identity against a principal; raises IdentityError."""
        self.get(identity.msp_id).satisfies(identity, principal)


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
    except (ValueError, TypeError, x509.DuplicateExtension) as exc:
        raise IdentityError(f"could not parse RevocationList: {exc}") from exc
    return loaded


def _signed_by(revocation_list: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    key = issuer.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey):
        return False
    try:
        return revocation_list.is_signature_valid(key)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


def _certifiers_identifier(chain: Chain) -> bytes:
    return hashlib.sha256(b"".join(map(certificates.certificate_der, chain))).digest()

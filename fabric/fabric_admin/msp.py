"""Membership service providers: which certificates belong to an organization, and in which role.

Follows ``fabric: msp/mspimpl.go``, ``mspimplsetup.go`` and ``mspimplvalidate.go`` of 3.1.5; ``trust`` holds the
authorities, ``principals`` decides roles. No clock is read: Fabric does not look at expiry here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Self

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from fabric_protos.msp import identities_pb2, msp_config_pb2, msp_principal_pb2

from fabric_admin import certificates, msp_directory, principals
from fabric_admin.errors import IdentityError
from fabric_admin.identity import verify_digest, verify_signature
from fabric_admin.principals import Role
from fabric_admin.trust import Authorities, certifiers_identifier
from fabric_admin.wire import decode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

_CACHED_IDENTITIES: Final = 512
_CACHED_VERDICTS: Final = 4096


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
    certificate: x509.Certificate = field(compare=False)
    identifier: str
    """Hex SHA-256 of the certificate's DER: equal for the same certificate in any encoding."""

    def verify(self, message: bytes, signature: bytes) -> None:
        """Check a signature by this identity; raises IdentityError.

        Verdicts are remembered: the signatures of one transaction are checked for several policies.
        """
        key = _public_key(self.certificate)
        if not isinstance(key, ec.EllipticCurvePublicKey):
            verify_signature(key, message, signature)
            return
        problem = _signature_problem(self.certificate, hashlib.sha256(message).digest(), signature)
        if problem is not None:
            raise IdentityError(problem)


@lru_cache(maxsize=_CACHED_IDENTITIES)
def _public_key(certificate: x509.Certificate) -> CertificatePublicKeyTypes:
    return certificate.public_key()


@lru_cache(maxsize=_CACHED_VERDICTS)
def _signature_problem(certificate: x509.Certificate, digest: bytes, signature: bytes) -> str | None:
    """Return why an ECDSA signature over a SHA-256 digest does not hold, None when it does."""
    key = _public_key(certificate)
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return "the public key is not ECDSA"
    try:
        verify_digest(key, digest, signature)
    except IdentityError as exc:
        return str(exc)
    return None


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
        self._authorities = Authorities(definition)
        self._units_of = lru_cache(maxsize=_CACHED_IDENTITIES)(self._find_organizational_units)
        self._invalidity = lru_cache(maxsize=_CACHED_IDENTITIES)(self._find_invalidity)
        self._dissatisfaction = lru_cache(maxsize=_CACHED_VERDICTS)(self._find_dissatisfaction)
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
        return (*self.tls_roots, *self.tls_intermediates)

    @property
    def tls_roots(self) -> tuple[bytes, ...]:
        """PEM texts of the TLS root CAs."""
        return tuple(self._definition.tls_root_certs)

    @property
    def tls_intermediates(self) -> tuple[bytes, ...]:
        """PEM texts of the TLS intermediate CAs."""
        return tuple(self._definition.tls_intermediate_certs)

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
        reason = self._invalidity(identity)
        if reason is not None:
            raise IdentityError(reason)

    def satisfies(self, identity: Identity, principal: msp_principal_pb2.MSPPrincipal) -> None:
        """Check the identity against a principal; raises IdentityError with Fabric's reason."""
        reason = self._dissatisfaction(identity, principal.principal_classification, principal.principal)
        if reason is not None:
            raise IdentityError(reason)

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
        return self._units_of(identity)

    def _find_organizational_units(self, identity: Identity) -> tuple[OrganizationalUnit, ...]:
        try:
            certifiers = certifiers_identifier(self._authorities.chain_of(identity.certificate)[1:])
        except IdentityError:
            return ()
        return tuple(
            OrganizationalUnit(name, certifiers) for name in certificates.organizational_units(identity.certificate)
        )

    def _set_up(self) -> None:
        definition = self._definition
        self._listed_ous = tuple(
            OrganizationalUnit(entry.organizational_unit_identifier, self._authorities.certifiers_of(entry.certificate))
            for entry in definition.organizational_unit_identifiers
        )
        self._role_ous = self._read_role_ous()
        self._admins = tuple(self._identity_from_pem(pem) for pem in definition.admins)
        self._check_admins()

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
                self._authorities.certifiers_of(entry.certificate) if entry.certificate else b"",
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

    def _identity_from_pem(self, pem: bytes) -> Identity:
        der = certificates.decode_pem(pem)
        if der is None:
            raise IdentityError("could not decode the PEM structure")
        try:
            certificate = certificates.parse_certificate(der)
        except IdentityError as exc:
            raise IdentityError(f"parseCertificate failed: {exc}") from exc
        certificate = self._authorities.sanitized(certificate)
        identifier = hashlib.sha256(certificates.certificate_der(certificate)).hexdigest()
        return Identity(self.msp_id, certificate, identifier)

    def _find_dissatisfaction(
        self, identity: Identity, kind: msp_principal_pb2.MSPPrincipal.Classification.ValueType, content: bytes
    ) -> str | None:
        principal = msp_principal_pb2.MSPPrincipal(principal_classification=kind, principal=content)
        try:
            principals.check(self, identity, principal)
        except IdentityError as exc:
            return str(exc)
        return None

    def _find_invalidity(self, identity: Identity) -> str | None:
        try:
            self._validate(identity)
        except IdentityError as exc:
            return str(exc)
        return None

    def _validate(self, identity: Identity) -> None:
        self._check_key_algorithm(identity)
        try:
            chain = self._authorities.chain_of(identity.certificate)
        except IdentityError as exc:
            raise IdentityError(f"could not obtain certification chain: {exc}") from exc
        if self._authorities.is_revoked(chain):
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
            raise IdentityError(f"MSP {msp_id} is not defined on channel") from None

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

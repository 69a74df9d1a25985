"""Which principals of a policy an identity satisfies (``fabric: msp/mspimpl.go``, ``satisfiesPrincipal*``).

Pure decisions over the small view of an MSP that ``Membership`` describes.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final, Protocol

from fabric_protos.msp import msp_principal_pb2

from fabric_admin.errors import IdentityError
from fabric_admin.wire import decode

if TYPE_CHECKING:
    from fabric_admin.msp import Identity, MSPVersion, OrganizationalUnit

_PRINCIPAL_V1_3: Final = 130
_MAX_COMBINED_DEPTH: Final = 16


class Role(IntEnum):
    """Roles as ``MSPRole.MSPRoleType`` numbers them."""

    MEMBER = 0
    ADMIN = 1
    CLIENT = 2
    PEER = 3
    ORDERER = 4


class Membership(Protocol):
    """What a principal's check asks of an MSP."""

    msp_id: str
    version: MSPVersion

    @property
    def node_ous_enforced(self) -> bool:
        """Whether roles are told by OU."""
        ...

    def deserialize(self, data: bytes) -> Identity:
        """Return a serialized identity of this MSP."""
        ...

    def validate(self, identity: Identity) -> None:
        """Check membership."""
        ...

    def has_ou_role(self, identity: Identity, role: Role) -> None:
        """Check a role's OU."""
        ...

    def is_listed_admin(self, identity: Identity) -> bool:
        """Whether the certificate is listed as administrator."""
        ...

    def organizational_units(self, identity: Identity) -> tuple[OrganizationalUnit, ...]:
        """Return the certificate's OUs."""
        ...


def role_principal(msp_id: str, role: Role) -> msp_principal_pb2.MSPPrincipal:
    """Return the principal "anyone of this organization in this role"."""
    content = msp_principal_pb2.MSPRole(
        msp_identifier=msp_id, role=msp_principal_pb2.MSPRole.MSPRoleType.Value(role.name)
    ).SerializeToString()
    return msp_principal_pb2.MSPPrincipal(
        principal_classification=msp_principal_pb2.MSPPrincipal.ROLE, principal=content
    )


def check(msp: Membership, identity: Identity, principal: msp_principal_pb2.MSPPrincipal, depth: int = 0) -> None:
    """Check an identity against a principal; raises IdentityError with Fabric's reason."""
    kind = principal.principal_classification
    if kind == msp_principal_pb2.MSPPrincipal.COMBINED and msp.version >= _PRINCIPAL_V1_3:
        _check_combined(msp, identity, principal.principal, depth)
    elif kind == msp_principal_pb2.MSPPrincipal.ANONYMITY and msp.version >= _PRINCIPAL_V1_3:
        _check_anonymity(principal.principal)
    elif kind == msp_principal_pb2.MSPPrincipal.ROLE:
        _check_role(msp, identity, principal.principal)
    elif kind == msp_principal_pb2.MSPPrincipal.IDENTITY:
        _check_identity(msp, identity, principal.principal)
    elif kind == msp_principal_pb2.MSPPrincipal.ORGANIZATION_UNIT:
        _check_organization_unit(msp, identity, principal.principal)
    else:
        raise IdentityError(f"invalid principal type {kind}")


def roles(msp: Membership, identity: Identity) -> frozenset[Role]:
    """Return every role the identity satisfies."""
    return frozenset(role for role in Role if _satisfies_role(msp, identity, role))


def _satisfies_role(msp: Membership, identity: Identity, role: Role) -> bool:
    try:
        check(msp, identity, role_principal(msp.msp_id, role))
    except IdentityError:
        return False
    return True


def _check_combined(msp: Membership, identity: Identity, content: bytes, depth: int) -> None:
    combined = decode(
        msp_principal_pb2.CombinedPrincipal,
        content,
        IdentityError,
        "could not unmarshal CombinedPrincipal from principal",
    )
    if not combined.principals:
        raise IdentityError("No principals in CombinedPrincipal")
    if depth >= _MAX_COMBINED_DEPTH:
        raise IdentityError(f"combined principals are nested more than {_MAX_COMBINED_DEPTH} levels deep")
    for each in combined.principals:
        check(msp, identity, each, depth + 1)


def _check_anonymity(content: bytes) -> None:
    anonymity = decode(
        msp_principal_pb2.MSPIdentityAnonymity,
        content,
        IdentityError,
        "could not unmarshal MSPIdentityAnonymity from principal",
    )
    if anonymity.anonymity_type == msp_principal_pb2.MSPIdentityAnonymity.ANONYMOUS:
        raise IdentityError("Principal is anonymous, but X.509 MSP does not support anonymous identities")
    if anonymity.anonymity_type != msp_principal_pb2.MSPIdentityAnonymity.NOMINAL:
        raise IdentityError(f"Unknown principal anonymity type: {anonymity.anonymity_type}")


def _check_role(msp: Membership, identity: Identity, content: bytes) -> None:
    principal = decode(msp_principal_pb2.MSPRole, content, IdentityError, "could not unmarshal MSPRole from principal")
    _require_same_msp(msp, identity, principal.msp_identifier)
    number = int(principal.role)
    if number == Role.MEMBER:
        msp.validate(identity)
    elif number == Role.ADMIN:
        _check_admin(msp, identity)
    elif number in (Role.CLIENT, Role.PEER) or (number == Role.ORDERER and msp.node_ous_enforced):
        role = Role(number)
        _require_valid(msp, identity)
        _prefix(f"The identity is not a [{role.name}] under this MSP [{msp.msp_id}]", msp, identity, role)
    else:
        raise IdentityError(f"invalid MSP role type {number}")


def _check_admin(msp: Membership, identity: Identity) -> None:
    if msp.is_listed_admin(identity):
        return
    if not msp.node_ous_enforced:
        raise IdentityError("This identity is not an admin")
    _require_valid(msp, identity)
    _prefix(f"The identity is not an admin under this MSP [{msp.msp_id}]", msp, identity, Role.ADMIN)


def _require_valid(msp: Membership, identity: Identity) -> None:
    try:
        msp.validate(identity)
    except IdentityError as exc:
        raise IdentityError(f"The identity is not valid under this MSP [{msp.msp_id}]: {exc}") from exc


def _prefix(text: str, msp: Membership, identity: Identity, role: Role) -> None:
    try:
        msp.has_ou_role(identity, role)
    except IdentityError as exc:
        raise IdentityError(f"{text}: {exc}") from exc


def _check_identity(msp: Membership, identity: Identity, content: bytes) -> None:
    try:
        expected = msp.deserialize(content)
    except IdentityError as exc:
        raise IdentityError(f"invalid identity principal, not a certificate: {exc}") from exc
    if expected.identifier != identity.identifier:
        raise IdentityError("The identities do not match")
    msp.validate(expected)


def _check_organization_unit(msp: Membership, identity: Identity, content: bytes) -> None:
    unit = decode(
        msp_principal_pb2.OrganizationUnit,
        content,
        IdentityError,
        "could not unmarshal OrganizationUnit from principal",
    )
    _require_same_msp(msp, identity, unit.msp_identifier)
    msp.validate(identity)
    for own in msp.organizational_units(identity):
        if (own.name, own.certifiers_identifier) == (unit.organizational_unit_identifier, unit.certifiers_identifier):
            return
    raise IdentityError("The identities do not match")


def _require_same_msp(msp: Membership, identity: Identity, msp_id: str) -> None:
    if msp_id != msp.msp_id:
        raise IdentityError(f"the identity is a member of a different MSP (expected {msp_id}, got {identity.msp_id})")

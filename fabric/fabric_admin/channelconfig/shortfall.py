"""What a set of signatures still lacks to satisfy a policy: "1 of (Org2MSP.admin, Org3MSP.admin)"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from fabric_protos.common import policies_pb2
from fabric_protos.msp import identities_pb2, msp_principal_pb2

from fabric_admin.errors import ConfigError, IdentityError, PolicyNotSatisfied
from fabric_admin.policy import Identities, ImplicitMetaPolicy, MissingPolicy, Policy, SignaturePolicy
from fabric_admin.principals import Role
from fabric_admin.rule import NOutOf
from fabric_admin.wire import decode

if TYPE_CHECKING:
    from fabric_admin.msp import Identity

Part = str | NOutOf

_ROLE_NAMES: Final = {int(role): role.name.lower() for role in Role}
NOBODY: Final = "nobody"
"""Stands for a part that no signature can satisfy."""


def shortfall(policy: Policy, signers: Sequence[Identity], identities: Identities) -> Part | None:
    """Return the rule over principals (``Org2MSP.admin``) that is still open, None for a satisfied policy."""
    try:
        policy.check(signers, identities)
    except PolicyNotSatisfied:
        return _open(policy, signers, identities)
    return None


def principals(part: Part | None) -> tuple[str, ...]:
    """Return whoever a shortfall mentions, sorted; a part nobody can satisfy is not among them."""
    if part is None:
        return ()
    mentioned = {part} if isinstance(part, str) else part.members()
    return tuple(sorted(each for each in mentioned if not each.startswith(NOBODY)))


def _open(policy: Policy, signers: Sequence[Identity], identities: Identities) -> Part:
    if isinstance(policy, ImplicitMetaPolicy):
        parts = [shortfall(each, signers, identities) for each in policy.sub_policies]
        return _gate(policy.threshold, parts)
    if isinstance(policy, SignaturePolicy):
        return _rule(policy, policy.envelope.rule, signers, identities, [False] * len(signers)) or NOBODY
    if isinstance(policy, MissingPolicy):
        return f"{NOBODY} (no such policy: '{policy.name}')"
    return NOBODY


def _rule(
    policy: SignaturePolicy,
    rule: policies_pb2.SignaturePolicy,
    signers: Sequence[Identity],
    identities: Identities,
    used: list[bool],
) -> Part | None:
    """Walk a rule as evaluation does, using up signers in order; return what stays open."""
    if rule.WhichOneof("Type") == "n_out_of":
        parts: list[Part | None] = []
        for each in rule.n_out_of.rules:
            attempt = list(used)
            part = _rule(policy, each, signers, identities, attempt)
            if part is None:
                used[:] = attempt
            parts.append(part)
        met = sum(part is None for part in parts)
        return None if met >= rule.n_out_of.n else _gate(rule.n_out_of.n, parts)
    principal = policy.envelope.identities[rule.signed_by]
    for index, signer in enumerate(signers):
        if not used[index] and _satisfies(identities, signer, principal):
            used[index] = True
            return None
    return _name(principal)


def _gate(needed: int, parts: Sequence[Part | None]) -> Part:
    unmet = tuple(part for part in parts if part is not None)
    needed -= len(parts) - len(unmet)
    return unmet[0] if needed == 1 and len(unmet) == 1 else NOutOf(needed, unmet)


def _satisfies(identities: Identities, signer: Identity, principal: msp_principal_pb2.MSPPrincipal) -> bool:
    try:
        identities.satisfies(signer, principal)
    except IdentityError:
        return False
    return True


def _name(principal: msp_principal_pb2.MSPPrincipal) -> str:
    kind, content = principal.principal_classification, principal.principal
    try:
        if kind == msp_principal_pb2.MSPPrincipal.ROLE:
            role = decode(msp_principal_pb2.MSPRole, content, ConfigError, "")
            named = _ROLE_NAMES.get(int(role.role), str(role.role))
            return f"{role.msp_identifier}.{named}"
        if kind == msp_principal_pb2.MSPPrincipal.ORGANIZATION_UNIT:
            unit = decode(msp_principal_pb2.OrganizationUnit, content, ConfigError, "")
            return f"{unit.msp_identifier}.{unit.organizational_unit_identifier}"
        if kind == msp_principal_pb2.MSPPrincipal.IDENTITY:
            return f"{decode(identities_pb2.SerializedIdentity, content, ConfigError, '').mspid}.identity"
    except ConfigError:
        return f"{NOBODY} (unreadable principal)"
    return f"{NOBODY} (principal of kind {kind})"

"""What a policy asks of organizations, once it is forgotten which of their people sign.

Refuses (ConfigError) rather than approximates: a rule that counts people, or names one, has no such form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fabric_protos.msp import msp_principal_pb2

from fabric_admin import signature_policy
from fabric_admin.errors import ConfigError, PolicySyntaxError
from fabric_admin.policy import ImplicitMetaPolicy, MissingPolicy, NOutOf, Policy, SignaturePolicy
from fabric_admin.wire import decode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from fabric_protos.common import policies_pb2

_Part = str | NOutOf

_ROLES: Final = msp_principal_pb2.MSPRole
_ADMIN_ROLES: Final = frozenset({_ROLES.ADMIN, _ROLES.MEMBER})
_ALL_ROLES: Final = frozenset(_ROLES.MSPRoleType.values())


@dataclass(frozen=True, slots=True)
class _Voters:
    """The organizations whose agreement counts, and the roles their people can show."""

    members: AbstractSet[str]
    roles: frozenset[int]


def policy_text(policy: Policy) -> str:
    """Return a policy for people: its text where the language has one."""
    if isinstance(policy, ImplicitMetaPolicy):
        return f"{policy.rule} {policy.sub_policy}"
    if isinstance(policy, SignaturePolicy):
        try:
            return signature_policy.format(policy.envelope)
        except PolicySyntaxError:
            return " ".join(str(policy.envelope).split())
    return f"no such policy: '{policy.name}'" if isinstance(policy, MissingPolicy) else type(policy).__name__


def organization_rule(policy: Policy, members: AbstractSet[str], *, signed_by_admins: bool = False) -> NOutOf:
    """Return the rule over ``members`` (MSP IDs) that a compiled policy amounts to.

    Organizations that are no members can never agree, so they are left out and the number needed stays; with
    ``signed_by_admins`` so are principals that no administrator is, such as peers. Raises
    ConfigError with the policy's text when it needs more than "which organizations agree" to be decided.
    """
    part = _part(policy, _Voters(members, _ADMIN_ROLES if signed_by_admins else _ALL_ROLES))
    if part is None:
        return NOutOf(1, ())
    return NOutOf(1, (part,)) if isinstance(part, str) else part


def _part(policy: Policy, voters: _Voters) -> _Part | None:
    if isinstance(policy, ImplicitMetaPolicy):
        if policy.threshold == 0 and policy.sub_policies:
            raise ConfigError(f"policy {policy_text(policy)} has a rule nobody knows")
        return _gate(policy.threshold, [_part(each, voters) for each in policy.sub_policies])
    if isinstance(policy, SignaturePolicy):
        return _signature_part(policy, policy.envelope.rule, voters)
    return None


def _signature_part(policy: SignaturePolicy, rule: policies_pb2.SignaturePolicy, voters: _Voters) -> _Part | None:
    if rule.WhichOneof("Type") == "signed_by":
        return _principal(policy, rule.signed_by, voters)
    gate = rule.n_out_of
    parts = [_signature_part(policy, each, voters) for each in gate.rules]
    if gate.n > 1:
        _require_disjoint(policy, [part for part in parts if part is not None])
    return _gate(max(gate.n, 0), parts)


def _principal(policy: SignaturePolicy, index: int, voters: _Voters) -> str | None:
    principal = policy.envelope.identities[index]
    if principal.principal_classification != msp_principal_pb2.MSPPrincipal.ROLE:
        raise ConfigError(f"policy {policy_text(policy)} names identities or units, not organizations")
    # The policy's text is only made when it is needed: it is as long as the policy, for each of its principals.
    try:
        role = decode(msp_principal_pb2.MSPRole, principal.principal, ConfigError, "")
    except ConfigError as exc:
        raise ConfigError(f"policy {policy_text(policy)}{exc}") from exc
    may = role.msp_identifier in voters.members and role.role in voters.roles
    return role.msp_identifier if may else None


def _require_disjoint(policy: SignaturePolicy, parts: Sequence[_Part]) -> None:
    """Signers are used up in order, so one organization in two needed branches depends on how many people sign."""
    seen: set[str] = set()
    for part in parts:
        mentioned = {part} if isinstance(part, str) else set(part.members())
        if seen & mentioned:
            raise ConfigError(
                f"policy {policy_text(policy)} asks for several signers of {', '.join(sorted(seen & mentioned))}"
            )
        seen |= mentioned


def _gate(needed: int, parts: Sequence[_Part | None]) -> _Part:
    """Build "needed of parts", without parts that can never be met and without gates around a single part."""
    usable = [part for part in parts if part is not None]
    if needed == 1:
        usable = list(dict.fromkeys(usable))
        if len(usable) == 1:
            return usable[0]
    return NOutOf(needed, tuple(usable))

"""What a policy asks of organizations, once it is forgotten which of their people sign.

Refuses (ConfigError) rather than approximates: a rule that counts people, or names one, has no such form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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


def organization_rule(policy: Policy, members: AbstractSet[str]) -> NOutOf:
    """Return the rule over ``members`` (MSP IDs) that a compiled policy amounts to.

    Organizations that are no members can never agree, so they are left out and the number needed stays. Raises
    ConfigError with the policy's text when it needs more than "which organizations agree" to be decided.
    """
    part = _part(policy, members)
    if part is None:
        return NOutOf(1, ())
    return NOutOf(1, (part,)) if isinstance(part, str) else part


def _part(policy: Policy, members: AbstractSet[str]) -> _Part | None:
    if isinstance(policy, ImplicitMetaPolicy):
        if policy.threshold == 0 and policy.sub_policies:
            raise ConfigError(f"policy {policy_text(policy)} has a rule nobody knows")
        return _gate(policy.threshold, [_part(each, members) for each in policy.sub_policies])
    if isinstance(policy, SignaturePolicy):
        return _signature_part(policy, policy.envelope.rule, members)
    return None


def _signature_part(
    policy: SignaturePolicy, rule: policies_pb2.SignaturePolicy, members: AbstractSet[str]
) -> _Part | None:
    if rule.WhichOneof("Type") == "signed_by":
        return _principal(policy, rule.signed_by, members)
    gate = rule.n_out_of
    parts = [_signature_part(policy, each, members) for each in gate.rules]
    if gate.n > 1:
        _require_disjoint(policy, [part for part in parts if part is not None])
    return _gate(max(gate.n, 0), parts)


def _principal(policy: SignaturePolicy, index: int, members: AbstractSet[str]) -> str | None:
    principal = policy.envelope.identities[index]
    if principal.principal_classification != msp_principal_pb2.MSPPrincipal.ROLE:
        raise ConfigError(f"policy {policy_text(policy)} names identities or units, not organizations")
    # The policy's text is only made when it is needed: it is as long as the policy, for each of its principals.
    try:
        role = decode(msp_principal_pb2.MSPRole, principal.principal, ConfigError, "")
    except ConfigError as exc:
        raise ConfigError(f"policy {policy_text(policy)}{exc}") from exc
    return role.msp_identifier if role.msp_identifier in members else None


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

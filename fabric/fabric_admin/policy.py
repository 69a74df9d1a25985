"""Policies: their text, what they mean, and whether a set of signatures satisfies them.

Evaluation is Fabric's (``common/cauthdsl``, ``common/policies``): distinct valid identities first, then greedy
matching in order without backtracking.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol

from fabric_protos.common import policies_pb2

from fabric_admin.errors import IdentityError, PolicyNotSatisfied, PolicySyntaxError
from fabric_admin.rule import NOutOf
from fabric_admin.signature_policy import format, parse  # noqa: A004 - the public pair of this module
from fabric_admin.wire import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from fabric_protos.common import configtx_pb2
    from fabric_protos.msp import msp_principal_pb2

    from fabric_admin.msp import Identity

__all__ = [
    "ImplicitMetaPolicy",
    "MissingPolicy",
    "NOutOf",
    "Policy",
    "PolicyManager",
    "SignaturePolicy",
    "SignedData",
    "compile_policy",
    "evaluate",
    "format",
    "parse",
    "parse_implicit_meta",
    "valid_identities",
]

NOT_SATISFIED: Final = "signature set did not satisfy policy"
MAX_RULE_DEPTH: Final = 64
_CACHED_VERDICTS: Final = 1024
_IMPLICIT_RULES: Final = ("ANY", "ALL", "MAJORITY")


@dataclass(frozen=True, slots=True)
class SignedData:
    """One signature: what was signed, ``pb(SerializedIdentity)`` of the signer, and the signature."""

    data: bytes
    identity: bytes
    signature: bytes


class Identities(Protocol):
    """Who can read identities and judge them: an MSPManager, or one MSP."""

    def deserialize(self, data: bytes) -> Identity:
        """Return a serialized identity; raises IdentityError."""
        ...

    def satisfies(self, identity: Identity, principal: msp_principal_pb2.MSPPrincipal) -> None:
        """Check an identity against a principal; raises IdentityError."""
        ...


def parse_implicit_meta(text: str) -> policies_pb2.ImplicitMetaPolicy:
    """Return the policy a text such as ``MAJORITY Admins`` describes; raises PolicySyntaxError."""
    tokens = text.split(" ")
    if len(tokens) != 2:  # noqa: PLR2004 - rule and sub-policy
        raise PolicySyntaxError(f"expected two space separated tokens, but got {len(tokens)}")
    rule, sub_policy = tokens
    if rule not in _IMPLICIT_RULES:
        raise PolicySyntaxError(f"unknown rule type '{rule}', expected ALL, ANY, or MAJORITY")
    return policies_pb2.ImplicitMetaPolicy(sub_policy=sub_policy, rule=policies_pb2.ImplicitMetaPolicy.Rule.Value(rule))


def valid_identities(signed: Iterable[SignedData], identities: Identities) -> tuple[Identity, ...]:
    """Return the distinct signers whose signature verifies, in order; others are dropped, as Fabric does."""
    found: dict[tuple[str, str], Identity] = {}
    for each in signed:
        try:
            identity = identities.deserialize(each.identity)
            key = (identity.msp_id, identity.identifier)
            if key in found:
                continue
            identity.verify(each.data, each.signature)
        except IdentityError:
            continue
        found[key] = identity
    return tuple(found.values())


def evaluate(
    envelope: policies_pb2.SignaturePolicyEnvelope, signed: Sequence[SignedData], identities: Identities
) -> None:
    """Check signatures against a signature policy; raises PolicyNotSatisfied, PolicySyntaxError if it is unusable."""
    policy = SignaturePolicy(envelope)
    policy.check(valid_identities(signed, identities), identities)


class Policy(Protocol):
    """A compiled policy."""

    def check(self, signers: Sequence[Identity], identities: Identities) -> None:
        """Check distinct valid signers; raises PolicyNotSatisfied."""
        ...


@dataclass(frozen=True, slots=True)
class SignaturePolicy:
    """A rule over principals; unusable ones are refused when built (PolicySyntaxError)."""

    envelope: policies_pb2.SignaturePolicyEnvelope

    def __post_init__(self) -> None:
        """Refuse what Fabric's compiler refuses."""
        if self.envelope.version != 0:
            raise PolicySyntaxError(
                f"This evaluator only understands messages of version 0, but version was {self.envelope.version}"
            )
        if not self.envelope.HasField("rule"):
            raise PolicySyntaxError("Empty policy element")
        self._compile(self.envelope.rule, 0)

    def check(self, signers: Sequence[Identity], identities: Identities) -> None:
        """Check distinct valid signers; raises PolicyNotSatisfied."""
        if not self._met(self.envelope.rule, signers, identities, [False] * len(signers)):
            raise PolicyNotSatisfied(NOT_SATISFIED)

    def _compile(self, rule: policies_pb2.SignaturePolicy, depth: int) -> None:
        kind = rule.WhichOneof("Type")
        if kind is None:
            raise PolicySyntaxError("Unknown type: <nil>:<nil>")
        if depth > MAX_RULE_DEPTH:
            raise PolicySyntaxError(f"the policy is nested more than {MAX_RULE_DEPTH} levels deep")
        if kind == "n_out_of":
            for each in rule.n_out_of.rules:
                self._compile(each, depth + 1)
        elif not 0 <= rule.signed_by < len(self.envelope.identities):
            raise PolicySyntaxError(
                f"identity index out of range, requested {rule.signed_by}, "
                f"but identities length is {len(self.envelope.identities)}"
            )

    def _met(
        self,
        rule: policies_pb2.SignaturePolicy,
        signers: Sequence[Identity],
        identities: Identities,
        used: list[bool],
    ) -> bool:
        """Decide one rule, marking the signers it consumes; a failed branch gives its own back."""
        if rule.WhichOneof("Type") == "n_out_of":
            met = 0
            for each in rule.n_out_of.rules:
                attempt = list(used)
                if self._met(each, signers, identities, attempt):
                    met += 1
                    used[:] = attempt
            return met >= rule.n_out_of.n
        principal = self.envelope.identities[rule.signed_by]
        for index, signer in enumerate(signers):
            if not used[index] and _satisfies(identities, signer, principal):
                used[index] = True
                return True
        return False


@dataclass(frozen=True, slots=True)
class ImplicitMetaPolicy:
    """So many of the child groups' policies of one name."""

    rule: str
    sub_policy: str
    threshold: int
    sub_policies: tuple[Policy, ...]

    def check(self, signers: Sequence[Identity], identities: Identities) -> None:
        """Check distinct valid signers; raises PolicyNotSatisfied."""
        remaining = self.threshold
        for policy in self.sub_policies:
            try:
                policy.check(signers, identities)
            except PolicyNotSatisfied:
                continue
            remaining -= 1
            if remaining == 0:
                return
        if remaining != 0:
            raise PolicyNotSatisfied(
                f"implicit policy evaluation failed - {self.threshold - remaining} sub-policies were satisfied, "
                f"but this policy requires {self.threshold} of the '{self.sub_policy}' sub-policies to be satisfied"
            )


@dataclass(frozen=True, slots=True)
class MissingPolicy:
    """What a name resolves to that no policy has: it rejects everyone."""

    name: str

    def check(self, signers: Sequence[Identity], identities: Identities) -> None:  # noqa: ARG002 - the Policy protocol
        """Raise PolicyNotSatisfied."""
        raise PolicyNotSatisfied(f"no such policy: '{self.name}'")


def compile_policy(data: bytes) -> SignaturePolicy:
    """Return the policy in ``pb(SignaturePolicyEnvelope)``; raises PolicySyntaxError."""
    what = "Error unmarshalling to SignaturePolicy"
    return SignaturePolicy(decode(policies_pb2.SignaturePolicyEnvelope, data, PolicySyntaxError, what))


@dataclass(frozen=True, slots=True)
class PolicyManager:
    """All policies of one channel, by path (``/Channel/Application/Admins``) or relative to the root group."""

    root: str
    identities: Identities
    _policies: Mapping[str, Policy] = field(repr=False)
    _problem: Callable[[str, tuple[Identity, ...]], str | None] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Remember verdicts: policies and identities do not change, and the same few signers come again and again."""
        object.__setattr__(self, "_problem", lru_cache(maxsize=_CACHED_VERDICTS)(self._find_problem))

    @classmethod
    def from_group(
        cls, group: configtx_pb2.ConfigGroup, identities: Identities, root: str = "Channel"
    ) -> PolicyManager:
        """Compile every policy of a config group and of those below it; raises PolicySyntaxError with the path."""
        return cls(root, identities, _compile_group(group, root))

    def get(self, path: str) -> Policy:
        """Return the policy at a path; one that does not exist rejects everyone (MissingPolicy)."""
        relative = path
        if path.startswith("/"):
            if not path.startswith(f"/{self.root}"):
                return MissingPolicy(path)
            relative = path[len(self.root) + 2 :]
        return self._policies.get(relative, MissingPolicy(relative))

    def has(self, path: str) -> bool:
        """Return whether a policy exists at a path."""
        return not isinstance(self.get(path), MissingPolicy)

    def evaluate(self, path: str, signed: Sequence[SignedData]) -> None:
        """Check signatures against the policy at a path; raises PolicyNotSatisfied with Fabric's text."""
        problem = self._problem(path, valid_identities(signed, self.identities))
        if problem is not None:
            raise PolicyNotSatisfied(problem)

    def _find_problem(self, path: str, signers: tuple[Identity, ...]) -> str | None:
        try:
            self.get(path).check(signers, self.identities)
        except PolicyNotSatisfied as exc:
            return str(exc)
        return None


def _satisfies(identities: Identities, signer: Identity, principal: msp_principal_pb2.MSPPrincipal) -> bool:
    try:
        identities.satisfies(signer, principal)
    except IdentityError:
        return False
    return True


def _compile_group(group: configtx_pb2.ConfigGroup, path: str) -> dict[str, Policy]:
    """Return the group's policies by relative path, those of its children included (``common/policies/policy.go``)."""
    children = {name: _compile_group(child, f"{path}/{name}") for name, child in sorted(group.groups.items())}
    found: dict[str, Policy] = {}
    subs: dict[str, tuple[Policy, ...]] = {}
    for name, item in group.policies.items():
        if not item.HasField("policy"):
            raise PolicySyntaxError(f"policy {name} at path {path} was nil")
        kind, value = item.policy.type, item.policy.value
        try:
            if kind == policies_pb2.Policy.IMPLICIT_META:
                found[name] = _implicit(value, path, children, subs)
            elif kind == policies_pb2.Policy.SIGNATURE:
                found[name] = compile_policy(value)
            else:
                raise PolicySyntaxError(f"policy {name} at path {path} has unknown policy type: {kind}")
        except PolicySyntaxError as exc:
            if re.match(rf"policy {re.escape(name)} at path", str(exc)):
                raise
            what = "implicit policy" if kind == policies_pb2.Policy.IMPLICIT_META else "policy"
            raise PolicySyntaxError(f"{what} {name} at path {path} did not compile: {exc}") from exc
    for child, policies in children.items():
        found |= {f"{child}/{name}": policy for name, policy in policies.items()}
    return found


def _implicit(
    value: bytes, path: str, children: Mapping[str, Mapping[str, Policy]], known: dict[str, tuple[Policy, ...]]
) -> ImplicitMetaPolicy:
    """Compile a rule over the children; ``known`` are their policies by name, looked for once for all rules of one."""
    definition = decode(
        policies_pb2.ImplicitMetaPolicy, value, PolicySyntaxError, "error unmarshalling to ImplicitMetaPolicy"
    )
    sub_policy = definition.sub_policy
    if sub_policy not in known:
        missing = MissingPolicy(sub_policy)
        known[sub_policy] = tuple(
            policies.get(_below(sub_policy, f"{path}/{child}") if sub_policy.startswith("/") else sub_policy, missing)
            for child, policies in children.items()
        )
    subs = known[sub_policy]
    rule = _IMPLICIT_RULES[definition.rule] if 0 <= definition.rule < len(_IMPLICIT_RULES) else str(definition.rule)
    thresholds = {"ANY": 1, "ALL": len(subs), "MAJORITY": len(subs) // 2 + 1}
    return ImplicitMetaPolicy(rule, sub_policy, thresholds.get(rule, 0) if subs else 0, subs)


def _below(sub_policy: str, path: str) -> str:
    """Resolve an absolute sub-policy name inside one child group: it must lie below it."""
    return sub_policy.removeprefix(f"/{path}/")

"""Which policies of a config tree anybody could still satisfy, told from the tree alone, without any signature."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from fabric_protos.common import configtx_pb2, policies_pb2
from fabric_protos.msp import identities_pb2, msp_config_pb2, msp_principal_pb2
from google.protobuf.message import Message

from fabric_admin.errors import ConfigError
from fabric_admin.wire import decode

_PRINCIPAL_TYPES: Mapping[int, type[Message]] = {
    msp_principal_pb2.MSPPrincipal.ROLE: msp_principal_pb2.MSPRole,
    msp_principal_pb2.MSPPrincipal.ORGANIZATION_UNIT: msp_principal_pb2.OrganizationUnit,
    msp_principal_pb2.MSPPrincipal.IDENTITY: identities_pb2.SerializedIdentity,
}
_SUB_RULES = (
    policies_pb2.ImplicitMetaPolicy.ANY,
    policies_pb2.ImplicitMetaPolicy.ALL,
    policies_pb2.ImplicitMetaPolicy.MAJORITY,
)


@dataclass(frozen=True, slots=True)
class Reach:
    """Who can satisfy a policy: somebody of the channel at all, or anybody without signing.

    ``alone`` are the organizations of which one identity is enough, as is all that a request to a node can show.
    """

    somebody: bool
    anybody: bool
    alone: frozenset[str] = frozenset()


NOBODY = Reach(somebody=False, anybody=False)


def policy_reach(root: configtx_pb2.ConfigGroup) -> Mapping[str, Reach]:
    """Return the reach of every policy by absolute path (``/Channel/Application/Admins``).

    The work grows with the size of the config, whatever is in it: updates of strangers are looked at before anything
    else was checked.
    """
    return {f"/Channel/{path}": reach for path, reach in _walk(root, _msp_ids(root)).items()}


def group_msp_id(group: configtx_pb2.ConfigGroup) -> str:
    """Return the MSP ID of an organization's group, empty when it has no readable MSP."""
    if "MSP" not in group.values:
        return ""
    try:
        definition = decode(msp_config_pb2.MSPConfig, group.values["MSP"].value, ConfigError, "")
        return decode(msp_config_pb2.FabricMSPConfig, definition.config, ConfigError, "").name
    except ConfigError:
        return ""


def _msp_ids(group: configtx_pb2.ConfigGroup) -> frozenset[str]:
    own = group_msp_id(group)
    below = (_msp_ids(child) for child in group.groups.values())
    return frozenset({own} if own else ()).union(*below)


def _walk(group: configtx_pb2.ConfigGroup, members: frozenset[str]) -> dict[str, Reach]:
    """Return the reach of the group's policies and of all below it, by path from the group."""
    found: dict[str, Reach] = {}
    below: dict[str, list[Reach]] = {}
    for name, child in group.groups.items():
        for path, reach in _walk(child, members).items():
            found[f"{name}/{path}"] = reach
            below.setdefault(path, []).append(reach)
    children = _Children(len(group.groups), below, members)
    for name, item in group.policies.items():
        try:
            found[name] = _reach(item.policy, children, members)
        except ConfigError:
            found[name] = NOBODY
    return found


def _reach(policy: policies_pb2.Policy, children: _Children, members: frozenset[str]) -> Reach:
    if policy.type == policies_pb2.Policy.IMPLICIT_META:
        return children.reach(decode(policies_pb2.ImplicitMetaPolicy, policy.value, ConfigError, ""))
    if policy.type == policies_pb2.Policy.SIGNATURE:
        envelope = decode(policies_pb2.SignaturePolicyEnvelope, policy.value, ConfigError, "")
        return _Signatures(envelope, members).reach(envelope.rule)
    return NOBODY


@dataclass(frozen=True, slots=True)
class _Children:
    """How many child groups there are, and what their policies reach, by path from the child."""

    count: int
    below: Mapping[str, list[Reach]]
    members: frozenset[str]
    _known: dict[tuple[str, int], Reach] = field(default_factory=dict)

    def reach(self, rule: policies_pb2.ImplicitMetaPolicy) -> Reach:
        """Return the reach of a rule over the children, which any number of policies may have."""
        # A rule nobody knows needs nobody, as in PolicyManager and in Fabric.
        known = self.count and rule.rule in _SUB_RULES
        needed = (1, self.count, self.count // 2 + 1)[rule.rule] if known else 0
        key = rule.sub_policy, needed
        if key not in self._known:
            subs = self.below.get(rule.sub_policy, [])
            # Every sub-policy is asked with the same signatures.
            self._known[key] = _count(needed, subs, self._in_several(subs, needed))
        return self._known[key]

    def _in_several(self, subs: Sequence[Reach], needed: int) -> frozenset[str]:
        """Return the organizations that are enough for so many of the sub-policies."""
        needed -= sum(len(sub.alone) == len(self.members) for sub in subs)
        if needed <= 0:
            return self.members
        found = Counter(chain.from_iterable(sub.alone for sub in subs if len(sub.alone) < len(self.members)))
        return frozenset(each for each, times in found.items() if times >= needed)


@dataclass(frozen=True, slots=True)
class _Signatures:
    """A signature policy, its principals read once however often its rule names them."""

    envelope: policies_pb2.SignaturePolicyEnvelope
    members: frozenset[str]
    _known: dict[int, Reach] = field(default_factory=dict)

    def reach(self, rule: policies_pb2.SignaturePolicy) -> Reach:
        """Return the reach of a rule; raises ConfigError for an unreadable principal."""
        if rule.WhichOneof("Type") == "n_out_of":
            needed, parts = rule.n_out_of.n, [self.reach(each) for each in rule.n_out_of.rules]
            return _count(needed, parts, self._in_one(parts, needed))
        if not 0 <= rule.signed_by < len(self.envelope.identities):
            return NOBODY
        if rule.signed_by not in self._known:
            self._known[rule.signed_by] = self._principal_reach(self.envelope.identities[rule.signed_by])
        return self._known[rule.signed_by]

    def _in_one(self, parts: Sequence[Reach], needed: int) -> frozenset[str]:
        """Return the organizations of which one signature is enough: it counts for one part only."""
        if needed <= 0 or (needed == 1 and any(len(part.alone) == len(self.members) for part in parts)):
            return self.members
        return frozenset(chain.from_iterable(part.alone for part in parts)) if needed == 1 else frozenset()

    def _principal_reach(self, principal: msp_principal_pb2.MSPPrincipal) -> Reach:
        kind = _PRINCIPAL_TYPES.get(principal.principal_classification)
        if kind is None:
            # Combined and anonymous principals do not name an organization; give them the benefit of the doubt.
            return Reach(somebody=True, anybody=False, alone=self.members)
        message = decode(kind, principal.principal, ConfigError, "")
        msp_id = message.mspid if isinstance(message, identities_pb2.SerializedIdentity) else _identifier(message)
        is_member = msp_id in self.members
        return Reach(somebody=is_member, anybody=False, alone=frozenset({msp_id} if is_member else ()))


def _identifier(message: Message) -> str:
    if isinstance(message, msp_principal_pb2.MSPRole | msp_principal_pb2.OrganizationUnit):
        return message.msp_identifier
    return ""


def _count(needed: int, parts: Sequence[Reach], alone: frozenset[str]) -> Reach:
    return Reach(
        somebody=sum(part.somebody for part in parts) >= needed,
        anybody=sum(part.anybody for part in parts) >= needed,
        alone=alone,
    )

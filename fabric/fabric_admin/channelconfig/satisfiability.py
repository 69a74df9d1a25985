"""Which policies of a config tree anybody could still satisfy, told from the tree alone, without any signature."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

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
    """Return the reach of every policy by absolute path (``/Channel/Application/Admins``)."""
    found: dict[str, Reach] = {}
    _walk(root, "/Channel", _msp_ids(root), found)
    return found


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


def _walk(group: configtx_pb2.ConfigGroup, path: str, members: AbstractSet[str], found: dict[str, Reach]) -> None:
    for name, child in group.groups.items():
        _walk(child, f"{path}/{name}", members, found)
    children = [f"{path}/{name}" for name in group.groups]
    for name, item in group.policies.items():
        try:
            found[f"{path}/{name}"] = _reach(item.policy, children, members, found)
        except ConfigError:
            found[f"{path}/{name}"] = NOBODY


def _reach(
    policy: policies_pb2.Policy, children: list[str], members: AbstractSet[str], found: Mapping[str, Reach]
) -> Reach:
    if policy.type == policies_pb2.Policy.IMPLICIT_META:
        rule = decode(policies_pb2.ImplicitMetaPolicy, policy.value, ConfigError, "")
        subs = [found.get(f"{child}/{rule.sub_policy}", NOBODY) for child in children]
        # A rule nobody knows needs nobody, as in PolicyManager and in Fabric.
        needed = (1, len(subs), len(subs) // 2 + 1)[rule.rule] if subs and rule.rule in _SUB_RULES else 0
        # Every sub-policy is asked with the same signatures.
        alone = frozenset(each for each in members if sum(each in sub.alone for sub in subs) >= needed)
        return _count(needed, subs, alone)
    if policy.type == policies_pb2.Policy.SIGNATURE:
        envelope = decode(policies_pb2.SignaturePolicyEnvelope, policy.value, ConfigError, "")
        return _rule_reach(envelope, envelope.rule, members)
    return NOBODY


def _rule_reach(
    envelope: policies_pb2.SignaturePolicyEnvelope, rule: policies_pb2.SignaturePolicy, members: AbstractSet[str]
) -> Reach:
    if rule.WhichOneof("Type") == "n_out_of":
        needed, parts = rule.n_out_of.n, [_rule_reach(envelope, each, members) for each in rule.n_out_of.rules]
        # A signature counts for one rule only.
        alone = frozenset().union(*(part.alone for part in parts)) if needed == 1 else frozenset[str]()
        return _count(needed, parts, alone if needed > 0 else frozenset(members))
    if not 0 <= rule.signed_by < len(envelope.identities):
        return NOBODY
    principal = envelope.identities[rule.signed_by]
    kind = _PRINCIPAL_TYPES.get(principal.principal_classification)
    if kind is None:
        # Combined and anonymous principals do not name an organization; give them the benefit of the doubt.
        return Reach(somebody=True, anybody=False, alone=frozenset(members))
    message = decode(kind, principal.principal, ConfigError, "")
    msp_id = message.mspid if isinstance(message, identities_pb2.SerializedIdentity) else _identifier(message)
    is_member = msp_id in members
    return Reach(somebody=is_member, anybody=False, alone=frozenset({msp_id} if is_member else ()))


def _identifier(message: Message) -> str:
    if isinstance(message, msp_principal_pb2.MSPRole | msp_principal_pb2.OrganizationUnit):
        return message.msp_identifier
    return ""


def _count(needed: int, parts: list[Reach], alone: frozenset[str]) -> Reach:
    return Reach(
        somebody=sum(part.somebody for part in parts) >= needed,
        anybody=sum(part.anybody for part in parts) >= needed,
        alone=alone,
    )

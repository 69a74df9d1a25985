"""Building blocks of a config tree: groups with policies, values, and the usual policies of an organization."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fabric_protos.common import configtx_pb2, configuration_pb2, policies_pb2
from fabric_protos.msp import msp_config_pb2

from fabric_admin.errors import ConfigError, PolicySyntaxError
from fabric_admin.policy import parse, parse_implicit_meta
from fabric_admin.wire import decode

if TYPE_CHECKING:
    from google.protobuf.message import Message

ADMINS: Final = "Admins"
IMPLICIT_META: Final = "ImplicitMeta"
SIGNATURE: Final = "Signature"
_IMPLICIT_RULES: Final = ("ANY", "ALL", "MAJORITY")


@dataclass(frozen=True, slots=True)
class Rule:
    """A policy's text with its type spelled out, ``ImplicitMeta`` or ``Signature``, as configtx files do."""

    type: str
    text: str


Policies = Mapping[str, str | Rule]
"""Policies by name; a bare text is ImplicitMeta when it starts with ANY, ALL or MAJORITY, else a signature policy."""

CHANNEL_POLICIES: Final[Policies] = {"Readers": "ANY Readers", "Writers": "ANY Writers", ADMINS: "MAJORITY Admins"}
ORDERER_POLICIES: Final[Policies] = {**CHANNEL_POLICIES, "BlockValidation": "ANY Writers"}
APPLICATION_POLICIES: Final[Policies] = {
    **CHANNEL_POLICIES,
    "Endorsement": "MAJORITY Endorsement",
    "LifecycleEndorsement": "MAJORITY Endorsement",
}


def application_organization_policies(msp_id: str) -> Policies:
    """Return the usual policies of a member: admins govern, clients write, peers endorse."""
    return {
        "Readers": f"OR('{msp_id}.admin', '{msp_id}.peer', '{msp_id}.client')",
        "Writers": f"OR('{msp_id}.admin', '{msp_id}.client')",
        ADMINS: f"OR('{msp_id}.admin')",
        "Endorsement": f"OR('{msp_id}.peer')",
    }


def orderer_organization_policies(msp_id: str) -> Policies:
    """Return the usual policies of an organization that runs orderers."""
    member = f"OR('{msp_id}.member')"
    return {"Readers": member, "Writers": member, ADMINS: f"OR('{msp_id}.admin')"}


def build_group(policies: Policies, mod_policy: str = ADMINS) -> configtx_pb2.ConfigGroup:
    """Return a group with the policies every group must have; raises ConfigError naming the one at fault."""
    if not policies:
        raise ConfigError("no policies defined")
    for required in (ADMINS, "Readers", "Writers"):
        if required not in policies:
            raise ConfigError(f"no {required} policy defined")
    group = configtx_pb2.ConfigGroup(mod_policy=mod_policy)
    for name, rule in policies.items():
        group.policies[name].CopyFrom(configtx_pb2.ConfigPolicy(policy=build_policy(rule), mod_policy=mod_policy))
    return group


def build_policy(rule: str | Rule) -> policies_pb2.Policy:
    """Return the policy a text describes; raises ConfigError with the text and why it is none."""
    if isinstance(rule, str):
        implicit = rule.partition(" ")[0] in _IMPLICIT_RULES
        rule = Rule(IMPLICIT_META if implicit else SIGNATURE, rule)
    if rule.type not in (IMPLICIT_META, SIGNATURE):
        raise ConfigError(f"unknown policy type: {rule.type}")
    implicit = rule.type == IMPLICIT_META
    try:
        message: Message = parse_implicit_meta(rule.text) if implicit else parse(rule.text)
    except PolicySyntaxError as exc:
        kind = "implicit meta" if implicit else "signature"
        raise ConfigError(f"invalid {kind} policy rule '{rule.text}': {exc}") from exc
    kind_number = policies_pb2.Policy.IMPLICIT_META if implicit else policies_pb2.Policy.SIGNATURE
    return policies_pb2.Policy(type=kind_number, value=message.SerializeToString(deterministic=True))


def set_value(group: configtx_pb2.ConfigGroup, name: str, message: Message, mod_policy: str = ADMINS) -> None:
    """Set a value of a group, replacing it whole."""
    value = configtx_pb2.ConfigValue(value=message.SerializeToString(deterministic=True), mod_policy=mod_policy)
    group.values[name].CopyFrom(value)


def set_capabilities(group: configtx_pb2.ConfigGroup, names: Iterable[str]) -> None:
    """Set the capability levels a group requires."""
    levels = {name: configuration_pb2.Capability() for name in names}
    set_value(group, "Capabilities", configuration_pb2.Capabilities(capabilities=levels))


def msp_id_of(definition: msp_config_pb2.MSPConfig, organization: str) -> str:
    """Return the MSP ID in an MSP definition; raises ConfigError when it has none."""
    name = decode(msp_config_pb2.FabricMSPConfig, definition.config, ConfigError, f"MSP of {organization}").name
    if not name:
        raise ConfigError(f"MSP for org {organization} has empty MSP ID")
    return name

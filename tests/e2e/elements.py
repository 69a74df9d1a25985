"""A channel's configuration as plain data, element by element: what scenarios compare, made by nothing they test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from fabric_protos.common import configuration_pb2, policies_pb2
from fabric_protos.msp import msp_config_pb2, msp_principal_pb2
from fabric_protos.orderer import configuration_pb2 as orderer_pb2
from fabric_protos.orderer.etcdraft import configuration_pb2 as etcdraft_pb2
from fabric_protos.peer import configuration_pb2 as peer_pb2
from google.protobuf.json_format import MessageToDict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fabric_protos.common import configtx_pb2
    from google.protobuf.message import Message

Plain = dict[str, Any]

_VALUES: Final[Mapping[str, type[Message]]] = {
    "ACLs": peer_pb2.ACLs,
    "AnchorPeers": peer_pb2.AnchorPeers,
    "BatchSize": orderer_pb2.BatchSize,
    "BatchTimeout": orderer_pb2.BatchTimeout,
    "Capabilities": configuration_pb2.Capabilities,
    "Endpoints": configuration_pb2.OrdererAddresses,
}


@dataclass(frozen=True, slots=True)
class Element:
    """A group, value or policy: what an orderer keeps of it, byte for byte, and what it says."""

    version: int
    mod_policy: str
    content: bytes
    plain: Plain = field(compare=False)


def read_elements(config: configtx_pb2.Config) -> dict[str, Element]:
    """Every element by path; a value's path has a dot before its name, a policy's a colon."""
    return dict(_walk("/Channel", config.channel_group))


def changed_paths(before: Mapping[str, Element], after: Mapping[str, Element]) -> set[str]:
    """Where anything differs, be it a byte."""
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


def rule(kind: str, sub_policy: str) -> Plain:
    """An implicit meta policy, such as ANY Admins."""
    return {"type": "IMPLICIT_META", "rule": {"rule": kind, "sub_policy": sub_policy}}


def any_of(*principals: tuple[str, str]) -> Plain:
    """A signature policy: one of these (MSP ID, role)."""
    roles = [{"msp_identifier": msp_id, "role": role} for msp_id, role in principals]
    rules = [{"signed_by": number} for number in range(len(roles))]
    return {"type": "SIGNATURE", "rule": {"n_out_of": {"n": 1, "rules": rules}}, "principals": roles}


def _walk(path: str, group: configtx_pb2.ConfigGroup) -> Iterator[tuple[str, Element]]:
    yield path, Element(group.version, group.mod_policy, b"", {})
    for name, value in group.values.items():
        yield f"{path}.{name}", Element(value.version, value.mod_policy, value.value, _plain_value(name, value.value))
    for name, item in group.policies.items():
        content = item.policy.SerializeToString(deterministic=True)
        yield f"{path}:{name}", Element(item.version, item.mod_policy, content, _plain_policy(item.policy))
    for name, child in group.groups.items():
        yield from _walk(f"{path}/{name}", child)


def _plain_value(name: str, data: bytes) -> Plain:
    if name == "MSP":
        return plain(msp_config_pb2.FabricMSPConfig.FromString(msp_config_pb2.MSPConfig.FromString(data).config))
    if name == "ConsensusType":
        consensus = orderer_pb2.ConsensusType.FromString(data)
        metadata = etcdraft_pb2.ConfigMetadata.FromString(consensus.metadata)
        return {**plain(consensus), "metadata": plain(metadata)}
    return plain(_VALUES[name].FromString(data)) if name in _VALUES else {"bytes": data}


def _plain_policy(policy: policies_pb2.Policy) -> Plain:
    if policy.type == policies_pb2.Policy.IMPLICIT_META:
        meta = policies_pb2.ImplicitMetaPolicy.FromString(policy.value)
        kind = policies_pb2.ImplicitMetaPolicy.Rule.Name(meta.rule)
        return {"type": "IMPLICIT_META", "rule": {"rule": kind, "sub_policy": meta.sub_policy}}
    envelope = policies_pb2.SignaturePolicyEnvelope.FromString(policy.value)
    return {"type": "SIGNATURE", "rule": _signature_rule(envelope.rule), "principals": _principals(envelope)}


def _signature_rule(rule: policies_pb2.SignaturePolicy) -> Plain:
    if rule.WhichOneof("Type") == "signed_by":
        return {"signed_by": rule.signed_by}
    return {"n_out_of": {"n": rule.n_out_of.n, "rules": [_signature_rule(each) for each in rule.n_out_of.rules]}}


def _principals(envelope: policies_pb2.SignaturePolicyEnvelope) -> list[Plain]:
    found = []
    for principal in envelope.identities:
        role = msp_principal_pb2.MSPRole.FromString(principal.principal)
        found.append(
            {"msp_identifier": role.msp_identifier, "role": msp_principal_pb2.MSPRole.MSPRoleType.Name(role.role)}
        )
    return found


def plain(message: Message) -> Plain:
    """A message as its fields, those with default values left out."""
    found: Plain = MessageToDict(message, preserving_proto_field_name=True)
    return found

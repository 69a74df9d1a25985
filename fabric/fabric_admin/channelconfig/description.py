"""What config values and policies say, as labelled texts: the vocabulary of a readable difference."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Final

from fabric_protos.common import configuration_pb2, policies_pb2
from fabric_protos.msp import msp_config_pb2
from fabric_protos.orderer import configuration_pb2 as orderer_pb2
from fabric_protos.orderer.smartbft import configuration_pb2 as smartbft_pb2
from fabric_protos.peer import configuration_pb2 as peer_pb2
from google.protobuf.message import Message

from fabric_admin import certificates, signature_policy
from fabric_admin.channelconfig.consensus import BFT, ETCDRAFT, raft_metadata
from fabric_admin.channelconfig.values import VALUE_TYPES
from fabric_admin.errors import ConfigError, IdentityError, PolicySyntaxError
from fabric_admin.wire import decode

_RULES: Final = ("ANY", "ALL", "MAJORITY")
_CERTIFICATE_LISTS: Final = (
    ("root certificate", "root_certs"),
    ("intermediate certificate", "intermediate_certs"),
    ("administrator", "admins"),
    ("TLS root certificate", "tls_root_certs"),
    ("TLS intermediate certificate", "tls_intermediate_certs"),
)

Facts = Mapping[str, str]


def describe_value(name: str, data: bytes) -> Facts:
    """Return what a value says; one that cannot be read is told apart by its fingerprint."""
    kind = VALUE_TYPES.get(name)
    if kind is None:
        return _unreadable(data)
    try:
        message = decode(kind, data, ConfigError, name)
        special = _SPECIAL.get(type(message))
        return _fields(message) if special is None else special(message)
    except ConfigError:
        return _unreadable(data)


def describe_policy(policy: policies_pb2.Policy) -> str:
    """Return a policy's text: ``MAJORITY Admins``, ``OR('Org1MSP.admin')``."""
    try:
        if policy.type == policies_pb2.Policy.IMPLICIT_META:
            implicit = decode(policies_pb2.ImplicitMetaPolicy, policy.value, ConfigError, "")
            rule = _RULES[implicit.rule] if 0 <= implicit.rule < len(_RULES) else str(implicit.rule)
            return f"{rule} {implicit.sub_policy}"
        envelope = decode(policies_pb2.SignaturePolicyEnvelope, policy.value, ConfigError, "")
        return signature_policy.format(envelope)
    except (ConfigError, PolicySyntaxError):
        return f"policy of type {policy.type} {_fingerprint(policy.value)}"


def describe_certificate(pem: bytes) -> str:
    """Return a certificate's subject and fingerprint."""
    der = certificates.decode_pem(pem)
    try:
        if der is not None:
            return f"{certificates.subject_text(certificates.parse_certificate(der))} {_fingerprint(der)}"
    except IdentityError:
        pass
    return f"no certificate {_fingerprint(pem)}"


def _fields(message: Message) -> Facts:
    return {field.name: str(getattr(message, field.name)) for field in message.DESCRIPTOR.fields}


def _acls(message: peer_pb2.ACLs) -> Facts:
    return {name: resource.policy_ref for name, resource in message.acls.items()}


def _capabilities(message: configuration_pb2.Capabilities) -> Facts:
    return dict.fromkeys(message.capabilities, "")


def _anchor_peers(message: peer_pb2.AnchorPeers) -> Facts:
    return {f"anchor peer {each.host}:{each.port}": "" for each in message.anchor_peers}


def _addresses(message: configuration_pb2.OrdererAddresses) -> Facts:
    return {f"orderer {each}": "" for each in message.addresses}


def _consensus(message: orderer_pb2.ConsensusType) -> Facts:
    state = orderer_pb2.ConsensusType.State.DESCRIPTOR.values_by_number.get(message.state)
    facts = {"type": message.type, "state": str(message.state) if state is None else state.name}
    if message.type == ETCDRAFT:
        metadata = raft_metadata(message.metadata)
        facts |= _fields(metadata.options)
        for each in metadata.consenters:
            facts[f"consenter {each.host}:{each.port}"] = _tls(each.client_tls_cert, each.server_tls_cert)
    elif message.type == BFT:
        facts |= _fields(decode(smartbft_pb2.Options, message.metadata, ConfigError, ""))
    elif message.metadata:
        facts["metadata"] = _fingerprint(message.metadata)
    return facts


def _orderers(message: configuration_pb2.Orderers) -> Facts:
    return {
        f"consenter {each.id}": f"{each.host}:{each.port} of {each.msp_id}, {describe_certificate(each.identity)}, "
        + _tls(each.client_tls_cert, each.server_tls_cert)
        for each in message.consenter_mapping
    }


def _msp(message: msp_config_pb2.MSPConfig) -> Facts:
    definition = decode(msp_config_pb2.FabricMSPConfig, message.config, ConfigError, "")
    facts = {"MSP ID": definition.name}
    for label, field in _CERTIFICATE_LISTS:
        for pem in getattr(definition, field):
            facts[f"{label} {describe_certificate(pem)}"] = ""
    for crl in definition.revocation_list:
        facts[f"revocation list {_fingerprint(crl)}"] = ""
    units = definition.fabric_node_ous
    facts["NodeOUs"] = "on" if units.enable else "off"
    roles = {
        "client": units.client_ou_identifier,
        "peer": units.peer_ou_identifier,
        "admin": units.admin_ou_identifier,
        "orderer": units.orderer_ou_identifier,
    }
    for role, entry in roles.items():
        if entry.organizational_unit_identifier:
            facts[f"{role} OU"] = _unit(entry)
    facts |= {f"required OU {_unit(entry)}": "" for entry in definition.organizational_unit_identifiers}
    facts["hashes"] = " ".join(str(definition.crypto_config).split())
    return facts


def _unit(entry: msp_config_pb2.FabricOUIdentifier) -> str:
    pinned = f" certified by {describe_certificate(entry.certificate)}" if entry.certificate else ""
    return f"{entry.organizational_unit_identifier}{pinned}"


_SPECIAL: Final[Mapping[type[Message], Callable[..., Facts]]] = {
    peer_pb2.ACLs: _acls,
    peer_pb2.AnchorPeers: _anchor_peers,
    configuration_pb2.Capabilities: _capabilities,
    configuration_pb2.OrdererAddresses: _addresses,
    configuration_pb2.Orderers: _orderers,
    orderer_pb2.ConsensusType: _consensus,
    msp_config_pb2.MSPConfig: _msp,
}


def _tls(client: bytes, server: bytes) -> str:
    if client == server:
        return f"TLS {_fingerprint(client)}"
    return f"TLS client {_fingerprint(client)}, server {_fingerprint(server)}"


def _unreadable(data: bytes) -> Facts:
    return {"": f"{len(data)} bytes {_fingerprint(data)}"}


def _fingerprint(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()[:16]}"

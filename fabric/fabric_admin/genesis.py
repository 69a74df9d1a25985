"""Block 0 of a channel, as ``configtxgen`` makes it (``fabric: internal/configtxgen/encoder``).

Pure: the same profile, nonce and time give the same block. Every element has version 0 and mod_policy Admins.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from fabric_protos.common import common_pb2, configtx_pb2, configuration_pb2, policies_pb2
from fabric_protos.msp import msp_config_pb2
from fabric_protos.orderer import configuration_pb2 as orderer_pb2
from fabric_protos.orderer.etcdraft import configuration_pb2 as etcdraft_pb2
from fabric_protos.peer import configuration_pb2 as peer_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from fabric_admin import blocks
from fabric_admin.batch import Batch, duration_seconds
from fabric_admin.capabilities import Capabilities
from fabric_admin.channelconfig import APPLICATION, ETCDRAFT, ORDERER, Address, Consenter, RaftOptions
from fabric_admin.channelconfig.loading import check_channel_id
from fabric_admin.errors import ConfigError, PolicySyntaxError
from fabric_admin.policy import parse, parse_implicit_meta
from fabric_admin.wire import decode

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = [
    "Address",
    "ApplicationOrganization",
    "Batch",
    "Capabilities",
    "Consenter",
    "OrdererOrganization",
    "Profile",
    "RaftOptions",
    "build",
    "check_channel_id",
]

Policies = Mapping[str, str]
"""Policy texts by name: ``MAJORITY Admins``, or a signature policy."""

ADMINS: Final = "Admins"
CHANNEL_POLICIES: Final[Policies] = {"Readers": "ANY Readers", "Writers": "ANY Writers", ADMINS: "MAJORITY Admins"}
ORDERER_POLICIES: Final[Policies] = {**CHANNEL_POLICIES, "BlockValidation": "ANY Writers"}
APPLICATION_POLICIES: Final[Policies] = {
    **CHANNEL_POLICIES,
    "Endorsement": "MAJORITY Endorsement",
    "LifecycleEndorsement": "MAJORITY Endorsement",
}
_BLOCK_METADATA_ENTRIES: Final = 5
_MAX_UINT32: Final = 0xFFFFFFFF
_NANOSECONDS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ApplicationOrganization:
    """A member of the channel; ``name`` is its config group's, policies default to the usual ones for its MSP ID."""

    name: str
    msp: msp_config_pb2.MSPConfig
    anchor_peers: tuple[Address, ...] = ()
    policies: Policies | None = None


@dataclass(frozen=True, slots=True)
class OrdererOrganization:
    """An organization that runs orderers, with their addresses as ``host:port``."""

    name: str
    msp: msp_config_pb2.MSPConfig
    endpoints: tuple[str, ...] = ()
    policies: Policies | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """Everything a new channel's first configuration says."""

    channel_id: str
    organizations: tuple[ApplicationOrganization, ...]
    orderers: tuple[OrdererOrganization, ...]
    consenters: tuple[Consenter, ...]
    batch: Batch = field(default_factory=Batch)
    raft: RaftOptions = field(default_factory=RaftOptions)
    capabilities: Capabilities = field(default_factory=Capabilities)
    acls: Mapping[str, str] = field(default_factory=dict)
    channel_policies: Policies = field(default_factory=lambda: CHANNEL_POLICIES)
    orderer_policies: Policies = field(default_factory=lambda: ORDERER_POLICIES)
    application_policies: Policies = field(default_factory=lambda: APPLICATION_POLICIES)
    lifecycle_endorsement: str | None = None
    """Replaces the LifecycleEndorsement of ``application_policies``: ``MAJORITY Endorsement`` or a signature policy."""


def build(profile: Profile, *, nonce: bytes | None = None, unix_nanoseconds: int = 0) -> common_pb2.Block:
    """Return the genesis block of a channel.

    Without a nonce (24 bytes) one is derived from the config, so that the block depends on the profile alone. Nothing
    is signed. Like the original the channel ID is not checked here, see ``check_channel_id``. Raises ConfigError
    naming the element that is missing or malformed.
    """
    config = configtx_pb2.Config(sequence=0, channel_group=_channel_group(profile))
    data = configtx_pb2.ConfigEnvelope(config=config).SerializeToString(deterministic=True)
    nonce = hashlib.sha256(data).digest()[:24] if nonce is None else nonce
    seconds, nanos = divmod(unix_nanoseconds, _NANOSECONDS)
    channel_header = common_pb2.ChannelHeader(
        type=common_pb2.CONFIG,
        version=1,
        timestamp=Timestamp(seconds=seconds, nanos=nanos),
        channel_id=profile.channel_id,
        tx_id=hashlib.sha256(nonce).hexdigest(),
    )
    header = common_pb2.Header(
        channel_header=channel_header.SerializeToString(),
        signature_header=common_pb2.SignatureHeader(nonce=nonce).SerializeToString(),
    )
    envelope = common_pb2.Envelope(payload=common_pb2.Payload(header=header, data=data).SerializeToString())
    block_data = common_pb2.BlockData(data=[envelope.SerializeToString()])
    last_config = common_pb2.OrdererBlockMetadata(last_config=common_pb2.LastConfig(index=0))
    metadata = [b""] * _BLOCK_METADATA_ENTRIES
    metadata[common_pb2.BlockMetadataIndex.SIGNATURES] = common_pb2.Metadata(
        value=last_config.SerializeToString()
    ).SerializeToString()
    return common_pb2.Block(
        header=common_pb2.BlockHeader(number=0, data_hash=blocks.data_hash(block_data)),
        data=block_data,
        metadata=common_pb2.BlockMetadata(metadata=metadata),
    )


def _channel_group(profile: Profile) -> configtx_pb2.ConfigGroup:
    group = _group(profile.channel_policies, "channel group")
    _set(group, "HashingAlgorithm", configuration_pb2.HashingAlgorithm(name="SHA256"))
    _set(group, "BlockDataHashingStructure", configuration_pb2.BlockDataHashingStructure(width=_MAX_UINT32))
    _set_capabilities(group, profile.capabilities.channel)
    group.groups[ORDERER].CopyFrom(_orderer_group(profile))
    group.groups[APPLICATION].CopyFrom(_application_group(profile))
    return group


def _orderer_group(profile: Profile) -> configtx_pb2.ConfigGroup:
    if "BlockValidation" not in profile.orderer_policies:
        raise ConfigError("error adding policies to orderer group: no BlockValidation policy defined")
    group = _group(profile.orderer_policies, "orderer group")
    batch = profile.batch
    _set(
        group,
        "BatchSize",
        orderer_pb2.BatchSize(
            max_message_count=batch.max_message_count,
            absolute_max_bytes=batch.absolute_max_bytes,
            preferred_max_bytes=batch.preferred_max_bytes,
        ),
    )
    _set(group, "BatchTimeout", orderer_pb2.BatchTimeout(timeout=batch.timeout))
    _set(group, "ChannelRestrictions", orderer_pb2.ChannelRestrictions())
    _set(group, "ConsensusType", _consensus(profile))
    _set_capabilities(group, profile.capabilities.orderer)
    for organization in profile.orderers:
        if not organization.endpoints and profile.capabilities.organization_endpoints_only:
            raise ConfigError(
                f"orderer endpoints for organization {organization.name} are missing "
                "and must be configured when capability V3_0 is enabled"
            )
        _add_organization(group, organization, _orderer_organization_policies)
        if organization.endpoints:
            addresses = configuration_pb2.OrdererAddresses(addresses=organization.endpoints)
            _set(group.groups[organization.name], "Endpoints", addresses)
    return group


def _application_group(profile: Profile) -> configtx_pb2.ConfigGroup:
    policies = dict(profile.application_policies)
    if profile.lifecycle_endorsement is not None:
        policies["LifecycleEndorsement"] = profile.lifecycle_endorsement
    group = _group(policies, "application group")
    if profile.acls:
        acls = {name: peer_pb2.APIResource(policy_ref=reference) for name, reference in profile.acls.items()}
        _set(group, "ACLs", peer_pb2.ACLs(acls=acls))
    _set_capabilities(group, profile.capabilities.application)
    for organization in profile.organizations:
        _add_organization(group, organization, _application_organization_policies)
        if organization.anchor_peers:
            anchors = [peer_pb2.AnchorPeer(host=each.host, port=each.port) for each in organization.anchor_peers]
            _set(group.groups[organization.name], "AnchorPeers", peer_pb2.AnchorPeers(anchor_peers=anchors))
    return group


def _consensus(profile: Profile) -> orderer_pb2.ConsensusType:
    if not profile.consenters:
        raise ConfigError("etcdraft configuration did not specify any consenter")
    options = profile.raft
    if options.election_tick <= options.heartbeat_tick:
        raise ConfigError("election tick must be greater than heartbeat tick")
    try:
        duration_seconds(options.tick_interval)
    except ConfigError as exc:
        raise ConfigError(f"Etcdraft TickInterval ({options.tick_interval}) must be in time duration format") from exc
    metadata = etcdraft_pb2.ConfigMetadata(
        consenters=[_consenter(consenter) for consenter in profile.consenters],
        options=etcdraft_pb2.Options(
            tick_interval=options.tick_interval,
            election_tick=options.election_tick,
            heartbeat_tick=options.heartbeat_tick,
            max_inflight_blocks=options.max_inflight_blocks,
            snapshot_interval_size=options.snapshot_interval_size,
        ),
    )
    return orderer_pb2.ConsensusType(type=ETCDRAFT, metadata=metadata.SerializeToString())


def _consenter(consenter: Consenter) -> etcdraft_pb2.Consenter:
    for what, present in (
        ("host", consenter.address.host),
        ("port", consenter.address.port),
        ("client TLS cert", consenter.client_tls_cert),
        ("server TLS cert", consenter.server_tls_cert),
    ):
        if not present:
            raise ConfigError(f"consenter info in etcdraft configuration did not specify {what}")
    return etcdraft_pb2.Consenter(
        host=consenter.address.host,
        port=consenter.address.port,
        client_tls_cert=consenter.client_tls_cert,
        server_tls_cert=consenter.server_tls_cert,
    )


def _add_organization(
    section: configtx_pb2.ConfigGroup,
    organization: ApplicationOrganization | OrdererOrganization,
    default_policies: Callable[[str], Policies],
) -> None:
    definition = decode(
        msp_config_pb2.FabricMSPConfig, organization.msp.config, ConfigError, f"MSP of {organization.name}"
    )
    if not definition.name:
        raise ConfigError(f"MSP for org {organization.name} has empty MSP ID")
    if organization.name in section.groups:
        raise ConfigError(f"organization {organization.name} appears twice")
    policies = default_policies(definition.name) if organization.policies is None else organization.policies
    group = _group(policies, f"org group {organization.name}")
    _set(group, "MSP", organization.msp)
    section.groups[organization.name].CopyFrom(group)


def _application_organization_policies(msp_id: str) -> Policies:
    return {
        "Readers": f"OR('{msp_id}.admin', '{msp_id}.peer', '{msp_id}.client')",
        "Writers": f"OR('{msp_id}.admin', '{msp_id}.client')",
        ADMINS: f"OR('{msp_id}.admin')",
        "Endorsement": f"OR('{msp_id}.peer')",
    }


def _orderer_organization_policies(msp_id: str) -> Policies:
    member = f"OR('{msp_id}.member')"
    return {"Readers": member, "Writers": member, ADMINS: f"OR('{msp_id}.admin')"}


def _group(policies: Policies, where: str) -> configtx_pb2.ConfigGroup:
    if not policies:
        raise ConfigError(f"error adding policies to {where}: no policies defined")
    for required in (ADMINS, "Readers", "Writers"):
        if required not in policies:
            raise ConfigError(f"error adding policies to {where}: no {required} policy defined")
    group = configtx_pb2.ConfigGroup(mod_policy=ADMINS)
    for name, text in policies.items():
        group.policies[name].CopyFrom(configtx_pb2.ConfigPolicy(policy=_policy(text, where), mod_policy=ADMINS))
    return group


def _policy(text: str, where: str) -> policies_pb2.Policy:
    """Read a policy text: an ImplicitMeta rule starts with its rule word, all else is a signature policy."""
    implicit = text.partition(" ")[0] in ("ANY", "ALL", "MAJORITY")
    try:
        message: Message = parse_implicit_meta(text) if implicit else parse(text)
    except PolicySyntaxError as exc:
        kind = "implicit meta" if implicit else "signature"
        raise ConfigError(f"error adding policies to {where}: invalid {kind} policy rule '{text}': {exc}") from exc
    kind_number = policies_pb2.Policy.IMPLICIT_META if implicit else policies_pb2.Policy.SIGNATURE
    return policies_pb2.Policy(type=kind_number, value=message.SerializeToString(deterministic=True))


def _set(group: configtx_pb2.ConfigGroup, name: str, message: Message) -> None:
    value = configtx_pb2.ConfigValue(value=message.SerializeToString(deterministic=True), mod_policy=ADMINS)
    group.values[name].CopyFrom(value)


def _set_capabilities(group: configtx_pb2.ConfigGroup, names: frozenset[str]) -> None:
    if names:
        levels = {name: configuration_pb2.Capability() for name in names}
        _set(group, "Capabilities", configuration_pb2.Capabilities(capabilities=levels))

"""Block 0 of a channel, as ``configtxgen`` makes it (``fabric: internal/configtxgen/encoder``).

Pure: the same profile, nonce and time give the same block. Every element has version 0 and mod_policy Admins. Errors
are those of the tool; ``configtx`` reads its profiles.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from fabric_protos.common import common_pb2, configtx_pb2, configuration_pb2, policies_pb2
from fabric_protos.msp import msp_config_pb2
from fabric_protos.orderer import configuration_pb2 as orderer_pb2
from fabric_protos.orderer.smartbft import configuration_pb2 as smartbft_pb2
from fabric_protos.peer import configuration_pb2 as peer_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from fabric_admin import blocks, configtree
from fabric_admin.batch import Batch
from fabric_admin.capabilities import Capabilities
from fabric_admin.channelconfig import APPLICATION, BFT, ETCDRAFT, ORDERER, Address, Consenter, RaftOptions
from fabric_admin.channelconfig.bft import DEFAULT_OPTIONS, block_validation_policy
from fabric_admin.channelconfig.consenters import build_mapping, build_raft_metadata
from fabric_admin.channelconfig.loading import BLOCK_DATA_WIDTH, check_channel_id
from fabric_admin.configtree import (
    ADMINS,
    APPLICATION_POLICIES,
    CHANNEL_POLICIES,
    ORDERER_POLICIES,
    Policies,
    set_capabilities,
    set_value,
)
from fabric_admin.errors import ConfigError

__all__ = [
    "APPLICATION_POLICIES",
    "CHANNEL_POLICIES",
    "ORDERER_POLICIES",
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

CONSORTIUMS: Final = "Consortiums"
ORDERER_ADMINS: Final = "/Channel/Orderer/Admins"
_BLOCK_METADATA_ENTRIES: Final = 5
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
    consensus_type: str = ETCDRAFT
    """``etcdraft`` or ``BFT``; any other type has no metadata."""
    bft: smartbft_pb2.Options = field(default_factory=lambda: DEFAULT_OPTIONS)
    global_orderer_addresses: tuple[str, ...] = ()
    """Old style, not with channel capability V3_0."""
    max_channels: int = 0
    empty_capabilities: frozenset[str] = frozenset()
    """Sections (``Channel``, ``Orderer``, ``Application``) that list capabilities although they require none."""
    has_application: bool = True
    """False leaves the Application section out, which only the block of an old system channel does."""
    consortium: str = ""
    consortiums: Mapping[str, tuple[ApplicationOrganization, ...]] | None = None
    """Only for the block of an old system channel."""


def build(profile: Profile, *, nonce: bytes | None = None, unix_nanoseconds: int = 0) -> common_pb2.Block:
    """Return the genesis block of a channel.

    Without a nonce (24 bytes) one is derived from the config, so that the block depends on the profile alone. Nothing
    is signed. Like the original the channel ID is not checked here, see ``check_channel_id``. Raises ConfigError
    naming the element that is missing or malformed.
    """
    with _step("could not create bootstrapper: could not create channel group"):
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
    with _step("error adding policies to channel group"):
        group = configtree.build_group(profile.channel_policies)
    set_value(group, "HashingAlgorithm", configuration_pb2.HashingAlgorithm(name="SHA256"))
    structure = configuration_pb2.BlockDataHashingStructure(width=BLOCK_DATA_WIDTH)
    set_value(group, "BlockDataHashingStructure", structure)
    if profile.global_orderer_addresses:
        addresses = configuration_pb2.OrdererAddresses(addresses=profile.global_orderer_addresses)
        set_value(group, "OrdererAddresses", addresses, ORDERER_ADMINS)
    if profile.consortium:
        set_value(group, "Consortium", configuration_pb2.Consortium(name=profile.consortium))
    _set_capabilities(group, profile, "Channel", profile.capabilities.channel)
    with _step("could not create orderer group"):
        group.groups[ORDERER].CopyFrom(_orderer_group(profile))
    if profile.has_application:
        with _step("could not create application group"):
            group.groups[APPLICATION].CopyFrom(_application_group(profile))
    if profile.consortiums is not None:
        with _step("could not create consortiums group"):
            group.groups[CONSORTIUMS].CopyFrom(_consortiums_group(profile.consortiums))
    return group


def _orderer_group(profile: Profile) -> configtx_pb2.ConfigGroup:
    v3 = profile.capabilities.organization_endpoints_only
    if profile.consensus_type == BFT and not v3:
        shown = " ".join(f"{name}:true" for name in sorted(profile.capabilities.channel))
        raise ConfigError(f"orderer type BFT must be used with V3_0 channel capability: map[{shown}]")
    if profile.global_orderer_addresses and v3:
        shown = " ".join(profile.global_orderer_addresses)
        raise ConfigError(f"global orderer endpoints exist, but can not be used with V3_0 capability: [{shown}]")
    with _step("error adding policies to orderer group"):
        if profile.orderer_policies and "BlockValidation" not in profile.orderer_policies:
            raise ConfigError("no BlockValidation policy defined")
        group = configtree.build_group(profile.orderer_policies)
    batch = profile.batch
    set_value(
        group,
        "BatchSize",
        orderer_pb2.BatchSize(
            max_message_count=batch.max_message_count,
            absolute_max_bytes=batch.absolute_max_bytes,
            preferred_max_bytes=batch.preferred_max_bytes,
        ),
    )
    set_value(group, "BatchTimeout", orderer_pb2.BatchTimeout(timeout=batch.timeout))
    set_value(group, "ChannelRestrictions", orderer_pb2.ChannelRestrictions(max_count=profile.max_channels))
    _set_capabilities(group, profile, ORDERER, profile.capabilities.orderer)
    set_value(group, "ConsensusType", _consensus(profile, group))
    for organization in profile.orderers:
        with _step("failed to create orderer org"):
            _add_orderer(group, organization, endpoints_required=v3)
    return group


def _consensus(profile: Profile, group: configtx_pb2.ConfigGroup) -> orderer_pb2.ConsensusType:
    """Return the consensus; with BFT the mapping goes into the group, and a quorum of it validates blocks."""
    metadata = b""
    if profile.consensus_type == ETCDRAFT:
        metadata = build_raft_metadata(profile.consenters, profile.raft).SerializeToString()
    elif profile.consensus_type == BFT:
        set_value(group, "Orderers", build_mapping(profile.consenters))
        group.policies["BlockValidation"].policy.CopyFrom(block_validation_policy(profile.consenters))
        metadata = profile.bft.SerializeToString()
    return orderer_pb2.ConsensusType(type=profile.consensus_type, metadata=metadata)


def _add_orderer(
    section: configtx_pb2.ConfigGroup, organization: OrdererOrganization, *, endpoints_required: bool
) -> None:
    where = f"orderer org group '{organization.name}'"
    group = _add_organization(section, organization, where, configtree.orderer_organization_policies)
    if organization.endpoints:
        set_value(group, "Endpoints", configuration_pb2.OrdererAddresses(addresses=organization.endpoints))
    elif endpoints_required:
        raise ConfigError(
            f"orderer endpoints for organization {organization.name} are missing "
            "and must be configured when capability V3_0 is enabled"
        )


def _application_group(profile: Profile) -> configtx_pb2.ConfigGroup:
    policies = dict(profile.application_policies)
    if profile.lifecycle_endorsement is not None:
        policies["LifecycleEndorsement"] = profile.lifecycle_endorsement
    with _step("error adding policies to application group"):
        group = configtree.build_group(policies)
    if profile.acls:
        acls = {name: peer_pb2.APIResource(policy_ref=reference) for name, reference in profile.acls.items()}
        set_value(group, "ACLs", peer_pb2.ACLs(acls=acls))
    _set_capabilities(group, profile, APPLICATION, profile.capabilities.application)
    for organization in profile.organizations:
        with _step("failed to create application org"):
            where = f"application org group {organization.name}"
            added = _add_organization(group, organization, where, configtree.application_organization_policies)
            if organization.anchor_peers:
                anchors = [peer_pb2.AnchorPeer(host=each.host, port=each.port) for each in organization.anchor_peers]
                set_value(added, "AnchorPeers", peer_pb2.AnchorPeers(anchor_peers=anchors))
    return group


def _consortiums_group(consortiums: Mapping[str, tuple[ApplicationOrganization, ...]]) -> configtx_pb2.ConfigGroup:
    section = configtx_pb2.ConfigGroup(mod_policy=ORDERER_ADMINS)
    anybody = policies_pb2.SignaturePolicyEnvelope(
        rule=policies_pb2.SignaturePolicy(n_out_of=policies_pb2.SignaturePolicy.NOutOf())
    )
    policy = policies_pb2.Policy(type=policies_pb2.Policy.SIGNATURE, value=anybody.SerializeToString())
    section.policies[ADMINS].CopyFrom(configtx_pb2.ConfigPolicy(policy=policy, mod_policy=ORDERER_ADMINS))
    for name, organizations in consortiums.items():
        group = section.groups[name]
        group.mod_policy = ORDERER_ADMINS
        set_value(group, "ChannelCreationPolicy", configtree.build_policy("ANY Admins"), ORDERER_ADMINS)
        for organization in organizations:
            with _step(f"failed to create consortium {name}: failed to create consortium org"):
                where = f"consortiums org group '{organization.name}'"
                _add_organization(group, organization, where, configtree.application_organization_policies)
    return section


def _add_organization(
    section: configtx_pb2.ConfigGroup,
    organization: ApplicationOrganization | OrdererOrganization,
    where: str,
    default_policies: Callable[[str], Policies],
) -> configtx_pb2.ConfigGroup:
    msp_id = configtree.msp_id_of(organization.msp, organization.name)
    if organization.name in section.groups:
        raise ConfigError(f"organization {organization.name} appears twice")
    policies = default_policies(msp_id) if organization.policies is None else organization.policies
    with _step(f"error adding policies to {where}"):
        group = configtree.build_group(policies)
    set_value(group, "MSP", organization.msp)
    section.groups[organization.name].CopyFrom(group)
    return section.groups[organization.name]


def _set_capabilities(group: configtx_pb2.ConfigGroup, profile: Profile, section: str, names: frozenset[str]) -> None:
    if names or section in profile.empty_capabilities:
        set_capabilities(group, names)


@contextmanager
def _step(name: str) -> Iterator[None]:
    """Put the tool's name of a step in front of what went wrong in it."""
    try:
        yield
    except ConfigError as exc:
        raise ConfigError(f"{name}: {exc}", element=exc.element) from exc

"""Reading a channel's configuration: members, orderers, policies, capabilities.

Pure and read-only; follows ``fabric: common/channelconfig``. Group names are labels, MSP IDs come from the MSPs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Self, TypeVar

from fabric_protos.common import configtx_pb2, configuration_pb2
from fabric_protos.msp import msp_config_pb2
from fabric_protos.orderer import configuration_pb2 as orderer_pb2
from fabric_protos.orderer.etcdraft import configuration_pb2 as etcdraft_pb2
from fabric_protos.peer import configuration_pb2 as peer_pb2
from fabric_protos.peer import policy_pb2
from google.protobuf.message import Message

from fabric_admin import blocks
from fabric_admin.batch import Batch
from fabric_admin.capabilities import Capabilities
from fabric_admin.errors import ConfigError, IdentityError, PolicySyntaxError
from fabric_admin.msp import MSP, MSPManager, MSPVersion
from fabric_admin.policy import NOutOf, PolicyManager, SignaturePolicy
from fabric_admin.policy_rule import organization_rule, policy_text
from fabric_admin.wire import decode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fabric_protos.common import common_pb2

APPLICATION: Final = "Application"
ORDERER: Final = "Orderer"
LIFECYCLE_ENDORSEMENT: Final = "/Channel/Application/LifecycleEndorsement"
DEFAULT_ENDORSEMENT: Final = "/Channel/Application/Endorsement"
ETCDRAFT: Final = "etcdraft"

MessageT = TypeVar("MessageT", bound=Message)


@dataclass(frozen=True, slots=True)
class Address:
    """A host name or IP address, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Organization:
    """One organization of a channel, under the name of its config group."""

    name: str
    msp_id: str
    msp: MSP
    anchor_peers: tuple[Address, ...] = ()
    endpoints: tuple[str, ...] = ()
    """Orderer addresses, ``host:port``; only an orderer organization has them."""


@dataclass(frozen=True, slots=True)
class OrdererEndpoint:
    """Where to reach the ordering service, and the PEM texts of the TLS CAs to trust there."""

    address: str
    msp_id: str
    tls_root_certs: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Consenter:
    """A node that takes part in consensus, with its TLS certificates as PEM."""

    address: Address
    client_tls_cert: bytes
    server_tls_cert: bytes


@dataclass(frozen=True, slots=True)
class ChannelConfig:
    """A channel's configuration at one sequence number, decoded and with its MSPs and policies set up."""

    channel_id: str
    config: configtx_pb2.Config = field(repr=False)
    organizations: Mapping[str, Organization]
    """Application organizations by group name."""
    orderer_organizations: Mapping[str, Organization]
    capabilities: Capabilities
    batch: Batch | None
    """None when the config has no ordering section."""
    consensus_type: str
    consenters: tuple[Consenter, ...]
    """The etcdraft consenters; empty for another consensus type."""
    acls: Mapping[str, str]
    """Policy reference by resource, as written: one without ``/`` is below ``/Channel/Application``."""
    msp_manager: MSPManager = field(repr=False)
    policies: PolicyManager = field(repr=False)
    _global_orderer_addresses: tuple[str, ...] = ()

    @classmethod
    def from_block(cls, block: common_pb2.Block) -> Self:
        """Read a config block; raises BlockError when it is none, ConfigError when its config makes no sense."""
        channel_id, envelope = blocks.config_envelope(block)
        return cls.from_config(envelope.config, channel_id)

    @classmethod
    def from_config(cls, config: configtx_pb2.Config, channel_id: str) -> Self:
        """Read a config; raises ConfigError naming the element at fault."""
        root = config.channel_group
        application, orderer = root.groups.get(APPLICATION), root.groups.get(ORDERER)
        capabilities = Capabilities(
            *(_capabilities(group) if group is not None else frozenset() for group in (root, orderer, application))
        )
        organizations = _organizations(application, f"/Channel/{APPLICATION}", capabilities.msp_version)
        orderers = _organizations(orderer, f"/Channel/{ORDERER}", capabilities.msp_version)
        msp_manager = _msp_manager([*organizations.values(), *orderers.values()])
        try:
            policies = PolicyManager.from_group(root, msp_manager)
        except PolicySyntaxError as exc:
            raise ConfigError(f"channel {channel_id}: {exc}") from exc
        consensus_type, consenters = _consensus(orderer)
        addresses = _value(root, "OrdererAddresses", configuration_pb2.OrdererAddresses, "/Channel")
        return cls(
            channel_id=channel_id,
            config=config,
            organizations=organizations,
            orderer_organizations=orderers,
            capabilities=capabilities,
            batch=None if orderer is None else _batch(orderer),
            consensus_type=consensus_type,
            consenters=consenters,
            acls=_acls(application),
            msp_manager=msp_manager,
            policies=policies,
            _global_orderer_addresses=tuple(addresses.addresses),
        )

    @property
    def sequence(self) -> int:
        """How many times the config has changed."""
        return self.config.sequence

    @property
    def members(self) -> tuple[str, ...]:
        """MSP IDs of the application organizations, sorted."""
        return tuple(sorted({organization.msp_id for organization in self.organizations.values()}))

    @property
    def orderer_members(self) -> tuple[str, ...]:
        """MSP IDs of the orderer organizations, sorted."""
        return tuple(sorted({organization.msp_id for organization in self.orderer_organizations.values()}))

    @property
    def orderer_endpoints(self) -> tuple[OrdererEndpoint, ...]:
        """Where to send transactions: the organizations' own addresses, else the channel's old global ones."""
        own = tuple(
            OrdererEndpoint(address, organization.msp_id, organization.msp.tls_root_certs)
            for _, organization in sorted(self.orderer_organizations.items())
            for address in organization.endpoints
        )
        if own:
            return own
        trusted = tuple(pem for each in self.orderer_organizations.values() for pem in each.msp.tls_root_certs)
        return tuple(OrdererEndpoint(address, "", trusted) for address in self._global_orderer_addresses)

    def organization(self, msp_id: str) -> Organization:
        """Return an organization (application before orderer) by MSP ID; raises ConfigError when it is no member."""
        for organization in (*self.organizations.values(), *self.orderer_organizations.values()):
            if organization.msp_id == msp_id:
                return organization
        raise ConfigError(f"{msp_id} is not a member of channel {self.channel_id}")

    def tls_root_certs(self, msp_id: str) -> tuple[bytes, ...]:
        """Return the PEM texts of an organization's TLS CAs; raises ConfigError when it is no member."""
        return self.organization(msp_id).msp.tls_root_certs

    def organization_rule(self, policy_path: str = LIFECYCLE_ENDORSEMENT) -> NOutOf:
        """Return which application organizations must agree to satisfy a policy.

        Without a LifecycleEndorsement policy that is a majority of them, as in Fabric. Raises ConfigError, with the
        policy's text, when there is no such policy or it is not a matter of organizations alone.
        """
        if not self.policies.has(policy_path):
            if policy_path == LIFECYCLE_ENDORSEMENT:
                return NOutOf(len(self.members) // 2 + 1, self.members)
            raise ConfigError(f"channel {self.channel_id} has no policy {policy_path}")
        try:
            return organization_rule(self.policies.get(policy_path), frozenset(self.members))
        except ConfigError as exc:
            raise ConfigError(f"{policy_path} of channel {self.channel_id}: {exc}") from exc

    def policy_text(self, policy_path: str) -> str:
        """Return a policy for people, such as ``MAJORITY Endorsement``."""
        return policy_text(self.policies.get(policy_path))


def policy_rule(config: ChannelConfig, validation_parameter: bytes) -> NOutOf:
    """Return which organizations must endorse under a chaincode's ``validation_parameter`` (``pb(ApplicationPolicy)``).

    An empty one means Fabric's default, the channel's Endorsement policy. Raises ConfigError when it is malformed,
    names a policy the channel does not have, or is not a matter of organizations alone.
    """
    parameter = decode(policy_pb2.ApplicationPolicy, validation_parameter, ConfigError, "validation parameter")
    if parameter.WhichOneof("Type") != "signature_policy":
        return config.organization_rule(parameter.channel_config_policy_reference or DEFAULT_ENDORSEMENT)
    try:
        policy = SignaturePolicy(parameter.signature_policy)
    except PolicySyntaxError as exc:
        raise ConfigError(f"validation parameter: {exc}") from exc
    return organization_rule(policy, frozenset(config.members))


@lru_cache(maxsize=256)
def _msp(config: bytes, version: MSPVersion) -> MSP:
    """Set an MSP up once for all channels and configs that contain it: it is immutable."""
    return MSP.from_config(decode(msp_config_pb2.MSPConfig, config, IdentityError, "MSP"), version)


def _value(group: configtx_pb2.ConfigGroup, name: str, message_type: type[MessageT], path: str) -> MessageT:
    data = group.values[name].value if name in group.values else b""
    return decode(message_type, data, ConfigError, f"{path}/{name}")


def _capabilities(group: configtx_pb2.ConfigGroup) -> frozenset[str]:
    value = _value(group, "Capabilities", configuration_pb2.Capabilities, "Capabilities of a group")
    return frozenset(value.capabilities)


def _organizations(
    section: configtx_pb2.ConfigGroup | None, path: str, version: MSPVersion
) -> Mapping[str, Organization]:
    if section is None:
        return {}
    return {name: _organization(name, group, f"{path}/{name}", version) for name, group in section.groups.items()}


def _organization(name: str, group: configtx_pb2.ConfigGroup, path: str, version: MSPVersion) -> Organization:
    if group.groups:
        raise ConfigError(f"{path}: an organization's config does not allow sub-groups")
    try:
        msp = _msp(group.values["MSP"].value if "MSP" in group.values else b"", version)
    except IdentityError as exc:
        raise ConfigError(f"{path}: setting up the MSP manager failed: {exc}") from exc
    if not msp.msp_id:
        raise ConfigError(f"MSP for org {name} has empty MSP ID")
    anchors = _value(group, "AnchorPeers", peer_pb2.AnchorPeers, path)
    endpoints = _value(group, "Endpoints", configuration_pb2.OrdererAddresses, path)
    return Organization(
        name=name,
        msp_id=msp.msp_id,
        msp=msp,
        anchor_peers=tuple(Address(each.host, each.port) for each in anchors.anchor_peers),
        endpoints=tuple(endpoints.addresses),
    )


def _msp_manager(organizations: Sequence[Organization]) -> MSPManager:
    msps: dict[str, MSP] = {}
    for organization in organizations:
        known = msps.setdefault(organization.msp_id, organization.msp)
        if known.to_config() != organization.msp.to_config():
            raise ConfigError(f"Attempted to define two different versions of MSP: {organization.msp_id}")
    return MSPManager(msps)


def _batch(orderer: configtx_pb2.ConfigGroup) -> Batch:
    path = f"/Channel/{ORDERER}"
    size = _value(orderer, "BatchSize", orderer_pb2.BatchSize, path)
    timeout = _value(orderer, "BatchTimeout", orderer_pb2.BatchTimeout, path)
    try:
        return Batch(timeout.timeout, size.max_message_count, size.absolute_max_bytes, size.preferred_max_bytes)
    except ConfigError as exc:
        raise ConfigError(f"could not create channel Orderer sub-group config: {exc}") from exc


def _consensus(orderer: configtx_pb2.ConfigGroup | None) -> tuple[str, tuple[Consenter, ...]]:
    if orderer is None:
        return "", ()
    path = f"/Channel/{ORDERER}"
    consensus = _value(orderer, "ConsensusType", orderer_pb2.ConsensusType, path)
    if consensus.type != ETCDRAFT:
        return consensus.type, ()
    metadata = decode(etcdraft_pb2.ConfigMetadata, consensus.metadata, ConfigError, f"{path}/ConsensusType")
    return consensus.type, tuple(
        Consenter(Address(each.host, each.port), each.client_tls_cert, each.server_tls_cert)
        for each in metadata.consenters
    )


def _acls(application: configtx_pb2.ConfigGroup | None) -> Mapping[str, str]:
    if application is None:
        return {}
    acls = _value(application, "ACLs", peer_pb2.ACLs, f"/Channel/{APPLICATION}")
    return {name: resource.policy_ref for name, resource in acls.acls.items()}

"""A channel's configuration at one sequence number: members, orderers, policies, capabilities.

What a node refuses to load is refused in its words (``loading``); whether a change may follow is decided as an orderer
decides it (``acceptance``). Group names are labels, MSP IDs come from the MSPs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self

from fabric_protos.common import configtx_pb2
from fabric_protos.peer import policy_pb2

from fabric_admin import blocks
from fabric_admin.batch import Batch
from fabric_admin.capabilities import Capabilities, Line
from fabric_admin.channelconfig import acceptance, authorization, evaluation, loading, signing
from fabric_admin.channelconfig.consensus import Consensus, Consenter
from fabric_admin.channelconfig.organizations import OrdererEndpoint, Organization
from fabric_admin.errors import ConfigError, PolicySyntaxError
from fabric_admin.msp import MSPManager
from fabric_admin.policy import NOutOf, PolicyManager, SignaturePolicy
from fabric_admin.policy_rule import organization_rule, policy_text
from fabric_admin.wire import decode

if TYPE_CHECKING:
    from fabric_protos.common import common_pb2

LIFECYCLE_ENDORSEMENT: Final = "/Channel/Application/LifecycleEndorsement"
DEFAULT_ENDORSEMENT: Final = "/Channel/Application/Endorsement"


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
    consensus: Consensus
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
        """Read a config; raises ConfigError in the words of a node, ``element`` naming the place."""
        parts = loading.load(config, channel_id)
        return cls(
            channel_id=channel_id,
            config=config,
            organizations=parts.organizations,
            orderer_organizations=parts.orderer_organizations,
            capabilities=parts.capabilities,
            batch=parts.batch,
            consensus=parts.consensus,
            acls=parts.acls,
            msp_manager=parts.msp_manager,
            policies=parts.policies,
            _global_orderer_addresses=parts.global_orderer_addresses,
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
    def consensus_type(self) -> str:
        """How blocks are ordered: ``etcdraft`` or ``BFT``; empty without an ordering section."""
        return self.consensus.type

    @property
    def consenters(self) -> tuple[Consenter, ...]:
        """The nodes that take part in consensus, in the order of the config; raises ConfigError when unreadable."""
        return self.consensus.consenters

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

    @property
    def orderers(self) -> tuple[OrdererEndpoint, ...]:
        """Where to send transactions: another name for ``orderer_endpoints``."""
        return self.orderer_endpoints

    def organization(self, msp_id: str) -> Organization:
        """Return an organization (application before orderer) by MSP ID; raises ConfigError when it is no member."""
        for organization in (*self.organizations.values(), *self.orderer_organizations.values()):
            if organization.msp_id == msp_id:
                return organization
        raise ConfigError(f"{msp_id} is not a member of channel {self.channel_id}")

    def tls_root_certs(self, msp_id: str) -> tuple[bytes, ...]:
        """Return the PEM texts of an organization's TLS CAs; raises ConfigError when it is no member."""
        return self.organization(msp_id).msp.tls_root_certs

    @property
    def all_members(self) -> tuple[str, ...]:
        """MSP IDs of all organizations, orderer organizations among them, sorted."""
        return tuple(sorted({*self.members, *self.orderer_members}))

    def organization_rule(self, policy_path: str = LIFECYCLE_ENDORSEMENT, *, with_orderers: bool = False) -> NOutOf:
        """Return which application organizations must agree to satisfy a policy.

        ``with_orderers`` is for changes of the config: orderer organizations count, and only administrators sign.

        Without a LifecycleEndorsement policy that is a majority of them, as in Fabric. Raises ConfigError, with the
        policy's text, when there is no such policy or it is not a matter of organizations alone.
        """
        members = frozenset(self.all_members if with_orderers else self.members)
        if not self.policies.has(policy_path):
            if policy_path == LIFECYCLE_ENDORSEMENT:
                return NOutOf(len(self.members) // 2 + 1, self.members)
            raise ConfigError(f"channel {self.channel_id} has no policy {policy_path}", element=policy_path)
        try:
            return organization_rule(self.policies.get(policy_path), members, signed_by_admins=with_orderers)
        except ConfigError as exc:
            raise ConfigError(f"{policy_path} of channel {self.channel_id}: {exc}", element=policy_path) from exc

    def policy_text(self, policy_path: str) -> str:
        """Return a policy for people, such as ``MAJORITY Endorsement``."""
        return policy_text(self.policies.get(policy_path))

    def propose(
        self, envelope: common_pb2.Envelope, *, now: datetime | None = None, line: Line = Line.FABRIC_3
    ) -> configtx_pb2.Config:
        """Return the config a signed CONFIG_UPDATE envelope leads to, deciding exactly as an orderer does.

        Raises ConfigUpdateRefused with the orderer's text and status. ``now`` (default: the clock) matters for
        certificates that expire, ``line`` says which releases the orderers run.
        """
        return acceptance.propose(self, envelope, now or datetime.now(UTC), line)

    def evaluate(
        self,
        config_update: configtx_pb2.ConfigUpdate | bytes,
        signatures: Iterable[configtx_pb2.ConfigSignature] = (),
    ) -> tuple[evaluation.Verdict, ...]:
        """Return, per element the update sets, which policy decides and which signatures it lacks.

        Raises ConfigUpdateRefused when the update does not fit this config at all.
        """
        return evaluation.evaluate(self, config_update, signatures)

    def updated_by(self, config_update: configtx_pb2.ConfigUpdate | bytes) -> configtx_pb2.Config:
        """Return the config an update leads to when everybody it takes agrees; nobody's agreement is looked at.

        Raises ConfigUpdateRefused when the update does not fit this config: another channel, other versions, nothing
        changed.
        """
        update = authorization.read_update(signing.update_bytes(config_update))
        changes = authorization.find_changes(self, update)
        for element in changes.delta:
            authorization.check_version(changes.standing, element)
        return configtx_pb2.Config(sequence=self.sequence + 1, channel_group=changes.apply())

    def rehearse(
        self,
        config_update: configtx_pb2.ConfigUpdate | bytes,
        *,
        now: datetime | None = None,
        line: Line = Line.FABRIC_3,
    ) -> ChannelConfig:
        """Return the channel as an update would leave it, everything checked that an orderer checks but signatures.

        Raises ConfigUpdateRefused with the reason that no signature can mend.
        """
        return acceptance.rehearse(self, signing.update_bytes(config_update), now or datetime.now(UTC), line)

    def forecast(
        self,
        config_update: configtx_pb2.ConfigUpdate | bytes,
        signatures: Iterable[configtx_pb2.ConfigSignature] = (),
        *,
        now: datetime | None = None,
        line: Line = Line.FABRIC_3,
    ) -> acceptance.Forecast:
        """Say, without asking one, whether an orderer will accept an update with these signatures, and if not why."""
        return acceptance.forecast(self, config_update, signatures, now or datetime.now(UTC), line)


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

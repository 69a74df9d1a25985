"""The changes of a channel that a proposal may ask for, every reference resolved to its value."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from opssc_chaincode.model.document import Document
from opssc_chaincode.model.fields import Duration, MspID, PolicyPath
from opssc_chaincode.model.organization import NodeOus, OrganizationDefinition, Pem, Pems

Host = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$", max_length=253)]
Port = Annotated[int, Field(ge=1, le=65535)]
EndpointText = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?:[0-9]{1,5}$", max_length=260)
]
Endpoints = Annotated[tuple[EndpointText, ...], Field(max_length=64)]
PolicyRule = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._'\"(), -]+$", min_length=1, max_length=16384)]
"""`MAJORITY Admins`, or a signature policy in the policy language."""
ModPolicy = Annotated[str, StringConstraints(pattern=r"^/?[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$", max_length=512)]
CapabilityLevel = Annotated[str, StringConstraints(pattern=r"^V[0-9]+(_[0-9]+)*$", max_length=32)]
AclResource = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$", max_length=256)]
Uint32 = Annotated[int, Field(ge=0, le=2**32 - 1)]


class Section(StrEnum):
    """A section of a channel's configuration that has organizations."""

    APPLICATION = "Application"
    ORDERER = "Orderer"


Sections = Annotated[tuple[Section, ...], Field(min_length=1, max_length=2)]


class Address(Document):
    """A host name or IPv4 address and a TCP port."""

    host: Host
    port: Port

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


AnchorPeers = Annotated[tuple[Address, ...], Field(max_length=64)]


class AddOrganization(Document):
    """A new member, with the usual policies for its MSP ID."""

    msp_id: MspID
    definition: OrganizationDefinition
    groups: Sections = (Section.APPLICATION,)
    anchor_peers: AnchorPeers = ()
    orderer_endpoints: Endpoints = ()


class RemoveOrganization(Document):
    """A member to leave sections."""

    msp_id: MspID
    groups: Sections = (Section.APPLICATION,)


class SetAnchorPeers(Document):
    """All anchor peers of a member; none removes the value."""

    msp_id: MspID
    anchor_peers: AnchorPeers = ()


class SetOrganizationMsp(Document):
    """Parts of a member's MSP, in every section it is in; an absent part stays as it is."""

    msp_id: MspID
    root_certs: Pems | None = None
    intermediate_certs: Pems | None = None
    tls_root_certs: Pems | None = None
    tls_intermediate_certs: Pems | None = None
    revocation_list: Pems | None = None
    admins: Pems | None = None
    node_ous: NodeOus | None = Field(default=None, alias="nodeOUs")


class SetOrdererEndpoints(Document):
    """All orderer addresses (`host:port`) of an orderer organization; none removes the value."""

    msp_id: MspID
    endpoints: Endpoints = ()


class AddConsenter(Document):
    """A node to take part in consensus; BFT needs `msp_id` and `identity`, its enrolment certificate."""

    host: Host
    port: Port
    client_tls_cert: Pem
    server_tls_cert: Pem
    msp_id: MspID | None = None
    identity: Pem | None = None

    @property
    def address(self) -> Address:
        """Where other consenters reach it."""
        return Address(host=self.host, port=self.port)


class RemoveConsenter(Document):
    """The consenter at an address."""

    host: Host
    port: Port


class ReplaceConsenterCertificates(Document):
    """Other certificates for the consenter at an address; an absent one stays as it is."""

    host: Host
    port: Port
    client_tls_cert: Pem | None = None
    server_tls_cert: Pem | None = None
    identity: Pem | None = None


class SetBatch(Document):
    """When blocks are cut; an absent limit stays as it is."""

    timeout: Duration | None = None
    max_message_count: Uint32 | None = None
    absolute_max_bytes: Uint32 | None = None
    preferred_max_bytes: Uint32 | None = None


class SetRaftOptions(Document):
    """Timing of etcdraft; an absent option stays as it is. The snapshot size is in bytes."""

    tick_interval: Duration | None = None
    election_tick: Uint32 | None = None
    heartbeat_tick: Uint32 | None = None
    max_inflight_blocks: Uint32 | None = None
    snapshot_interval_size: Uint32 | None = None


class SetCapability(Document):
    """One capability level of a section, in place of the others."""

    section: Literal["Channel", "Orderer", "Application"]
    level: CapabilityLevel


class SetPolicy(Document):
    """The policy at a path; its mod_policy stays."""

    path: PolicyPath
    rule: PolicyRule


class SetModPolicy(Document):
    """Which policy decides on changes of the element at a path; `kind` where several elements have that path."""

    path: PolicyPath
    mod_policy: ModPolicy
    kind: Literal["Group", "Value", "Policy"] | None = None


class SetAcl(Document):
    """Which policy decides on a resource of peers; absent, the peers' default does."""

    resource: AclResource
    policy: ModPolicy | None = None


class SetMaintenance(Document):
    """Maintenance mode on or off."""

    enabled: bool


class Change(Document):
    """Exactly one change; its name is its type in manifests."""

    add_organization: AddOrganization | None = None
    remove_organization: RemoveOrganization | None = None
    set_anchor_peers: SetAnchorPeers | None = None
    set_organization_msp: SetOrganizationMsp | None = Field(default=None, alias="setOrganizationMSP")
    set_orderer_endpoints: SetOrdererEndpoints | None = None
    add_consenter: AddConsenter | None = None
    remove_consenter: RemoveConsenter | None = None
    replace_consenter_certificates: ReplaceConsenterCertificates | None = None
    set_batch: SetBatch | None = None
    set_raft_options: SetRaftOptions | None = None
    set_capability: SetCapability | None = None
    set_policy: SetPolicy | None = None
    set_mod_policy: SetModPolicy | None = None
    set_acl: SetAcl | None = Field(default=None, alias="setACL")
    set_maintenance: SetMaintenance | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set & set(type(self).model_fields)) != 1 or self._only is None:
            raise ValueError(f"a change is exactly one of {', '.join(change_types())}")
        return self

    @property
    def member(self) -> Document:
        """The one that is given."""
        only = self._only
        if only is None:
            raise AssertionError("a change without a member passed validation")
        return only

    @property
    def type(self) -> str:
        """Its name in documents and manifests, such as `addOrganization`."""
        return next(
            field.alias or name for name, field in type(self).model_fields.items() if getattr(self, name) is not None
        )

    @property
    def _only(self) -> Document | None:
        given = [getattr(self, name) for name in type(self).model_fields if getattr(self, name) is not None]
        return given[0] if len(given) == 1 else None


def change_types() -> tuple[str, ...]:
    """Give the names of all changes, in their order."""
    return tuple(field.alias or name for name, field in Change.model_fields.items())

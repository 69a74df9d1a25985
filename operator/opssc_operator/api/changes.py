"""Changes of a channel as manifests state them; what needs no reference is the contract's own document."""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, model_validator

from opssc_chaincode.model import OrganizationDefinition, Section
from opssc_chaincode.model import changes as contract
from opssc_chaincode.model.channel import NewCapabilities
from opssc_chaincode.model.document import Document
from opssc_chaincode.model.fields import MspID, PolicyPath
from opssc_operator.api.fields import ApiModel, ObjectName, SecretKey, manifest_name

DocumentT = TypeVar("DocumentT", bound=Document)


def _of_contract(kind: type[DocumentT]) -> BeforeValidator:
    """Read plain values as a document of the contract, whose strict rules are about JSON."""

    def read(value: object) -> object:
        return value if isinstance(value, kind) else kind.model_validate_json(json.dumps(value))

    return BeforeValidator(read)


class ChangeType(StrEnum):
    """Member of the change union that is set."""

    ADD_ORGANIZATION = "addOrganization"
    REMOVE_ORGANIZATION = "removeOrganization"
    SET_ANCHOR_PEERS = "setAnchorPeers"
    SET_ORGANIZATION_MSP = "setOrganizationMSP"
    SET_ORDERER_ENDPOINTS = "setOrdererEndpoints"
    ADD_CONSENTER = "addConsenter"
    REMOVE_CONSENTER = "removeConsenter"
    REPLACE_CONSENTER_CERTIFICATES = "replaceConsenterCertificates"
    SET_BATCH = "setBatch"
    SET_RAFT_OPTIONS = "setRaftOptions"
    SET_CAPABILITY = "setCapability"
    SET_POLICY = "setPolicy"
    SET_MOD_POLICY = "setModPolicy"
    SET_ACL = "setACL"
    SET_MAINTENANCE = "setMaintenance"


class DefinitionKeyRef(ApiModel):
    """One key of a ConfigMap or Secret of the same namespace, which holds a definition as JSON."""

    name: ObjectName
    key: SecretKey = "definition.json"


class DefinitionSource(ApiModel):
    """Where an organization's definition is: in the manifest, a ConfigMap or a Secret, exactly one of them."""

    inline: Annotated[OrganizationDefinition, _of_contract(OrganizationDefinition)] | None = None
    config_map_ref: DefinitionKeyRef | None = None
    secret_ref: DefinitionKeyRef | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(source is not None for source in (self.inline, self.config_map_ref, self.secret_ref)) != 1:
            raise ValueError("set exactly one of definitionFrom.inline, configMapRef and secretRef")
        return self


AnchorPeers = Annotated[tuple[Annotated[contract.Address, _of_contract(contract.Address)], ...], Field(max_length=64)]


class AddOrganization(ApiModel):
    """A new member; `groups` are the sections it joins, Application alone unless said."""

    msp_id: MspID
    definition_from: DefinitionSource
    groups: Annotated[tuple[Section, ...], Field(min_length=1, max_length=2)] | None = None
    anchor_peers: AnchorPeers | None = None
    orderer_endpoints: contract.Endpoints | None = None


class Change(ApiModel):
    """Exactly one change: `type` names the member that is set."""

    type: ChangeType
    add_organization: AddOrganization | None = None
    remove_organization: Annotated[contract.RemoveOrganization, _of_contract(contract.RemoveOrganization)] | None = None
    set_anchor_peers: Annotated[contract.SetAnchorPeers, _of_contract(contract.SetAnchorPeers)] | None = None
    set_organization_msp: Annotated[contract.SetOrganizationMsp, _of_contract(contract.SetOrganizationMsp)] | None = (
        Field(default=None, alias="setOrganizationMSP")
    )
    set_orderer_endpoints: (
        Annotated[contract.SetOrdererEndpoints, _of_contract(contract.SetOrdererEndpoints)] | None
    ) = None
    add_consenter: Annotated[contract.AddConsenter, _of_contract(contract.AddConsenter)] | None = None
    remove_consenter: Annotated[contract.RemoveConsenter, _of_contract(contract.RemoveConsenter)] | None = None
    replace_consenter_certificates: (
        Annotated[contract.ReplaceConsenterCertificates, _of_contract(contract.ReplaceConsenterCertificates)] | None
    ) = None
    set_batch: Annotated[contract.SetBatch, _of_contract(contract.SetBatch)] | None = None
    set_raft_options: Annotated[contract.SetRaftOptions, _of_contract(contract.SetRaftOptions)] | None = None
    set_capability: Annotated[contract.SetCapability, _of_contract(contract.SetCapability)] | None = None
    set_policy: Annotated[contract.SetPolicy, _of_contract(contract.SetPolicy)] | None = None
    set_mod_policy: Annotated[contract.SetModPolicy, _of_contract(contract.SetModPolicy)] | None = None
    set_acl: Annotated[contract.SetAcl, _of_contract(contract.SetAcl)] | None = Field(default=None, alias="setACL")
    set_maintenance: Annotated[contract.SetMaintenance, _of_contract(contract.SetMaintenance)] | None = None

    @model_validator(mode="after")
    def _one_member(self) -> Self:
        for name in type(self).model_fields:
            if name != "type" and (getattr(self, name) is not None) != (self.type == _outside(name)):
                raise ValueError(f"change.{_outside(name)} is set exactly when change.type is {_outside(name)}")
        return self

    @property
    def member(self) -> AddOrganization | Document:
        """The member that `type` names."""
        found: AddOrganization | Document = next(
            getattr(self, name) for name in type(self).model_fields if name != "type" and _outside(name) == self.type
        )
        return found


class NewMember(ApiModel):
    """An application organization of a new channel."""

    msp_id: MspID
    definition_from: DefinitionSource
    anchor_peers: AnchorPeers | None = None


class NewOrderer(ApiModel):
    """An organization that orders in a new channel, with its consenters."""

    msp_id: MspID
    definition_from: DefinitionSource
    endpoints: Annotated[tuple[contract.EndpointText, ...], Field(min_length=1, max_length=64)]
    consenters: (
        Annotated[
            tuple[Annotated[contract.AddConsenter, _of_contract(contract.AddConsenter)], ...], Field(max_length=64)
        ]
        | None
    ) = None


class Creation(ApiModel):
    """The recipe of a new channel; what is left out takes Fabric's usual values."""

    members: Annotated[tuple[NewMember, ...], Field(min_length=1, max_length=50)]
    orderers: Annotated[tuple[NewOrderer, ...], Field(min_length=1, max_length=20)]
    consensus: Literal["etcdraft", "BFT"] | None = None
    batch: Annotated[contract.SetBatch, _of_contract(contract.SetBatch)] | None = None
    raft_options: Annotated[contract.SetRaftOptions, _of_contract(contract.SetRaftOptions)] | None = None
    capabilities: Annotated[NewCapabilities, _of_contract(NewCapabilities)] | None = None
    policies: Annotated[Mapping[PolicyPath, contract.PolicyRule], Field(max_length=32)] | None = None
    acls: Annotated[Mapping[contract.AclResource, contract.ModPolicy], Field(max_length=64)] | None = None

    @property
    def listed(self) -> tuple[NewMember | NewOrderer, ...]:
        """Members, then orderer organizations, as they are given."""
        return (*self.members, *self.orderers)


def _outside(attribute: str) -> str:
    """The name of a change in a manifest."""
    return _SPELLED.get(attribute) or manifest_name(attribute)


_SPELLED: Final = {"set_acl": "setACL", "set_organization_msp": "setOrganizationMSP"}

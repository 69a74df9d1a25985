"""The content of a proposal of kind Channel: a change of one channel's configuration, or a new channel."""

import base64
import binascii
from enum import StrEnum
from typing import Annotated, Literal, Self

from fabric_protos.common import common_pb2, configtx_pb2
from google.protobuf.message import DecodeError
from pydantic import Field, StringConstraints, model_validator

from opssc_chaincode.model.changes import (
    AclResource,
    AddConsenter,
    AnchorPeers,
    CapabilityLevel,
    Change,
    EndpointText,
    ModPolicy,
    PolicyRule,
    SetBatch,
    SetRaftOptions,
)
from opssc_chaincode.model.document import Document
from opssc_chaincode.model.fields import ChannelName, MspID, PolicyPath
from opssc_chaincode.model.organization import OrganizationDefinition

Base64 = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]+={0,2}$", min_length=4, max_length=400 * 1024)]


class Action(StrEnum):
    """What is done to a channel."""

    UPDATE = "Update"
    CREATE = "Create"


class NewMember(Document):
    """An application organization of a new channel."""

    msp_id: MspID
    definition: OrganizationDefinition
    anchor_peers: AnchorPeers = ()


class NewOrderer(Document):
    """An organization that orders in a new channel, with its consenters."""

    msp_id: MspID
    definition: OrganizationDefinition
    endpoints: Annotated[tuple[EndpointText, ...], Field(min_length=1, max_length=64)]
    consenters: Annotated[tuple[AddConsenter, ...], Field(max_length=64)] = ()


class NewCapabilities(Document):
    """The one capability level of each section."""

    channel: CapabilityLevel = "V2_0"
    orderer: CapabilityLevel = "V2_0"
    application: CapabilityLevel = "V2_5"


class Recipe(Document):
    """Everything the genesis block of a new channel is built from; `policies` replace the usual ones by path."""

    members: Annotated[tuple[NewMember, ...], Field(min_length=1, max_length=50)]
    orderers: Annotated[tuple[NewOrderer, ...], Field(min_length=1, max_length=20)]
    consensus: Literal["etcdraft", "BFT"] = "etcdraft"
    batch: SetBatch = SetBatch()
    raft_options: SetRaftOptions = SetRaftOptions()
    capabilities: NewCapabilities = NewCapabilities()
    policies: Annotated[dict[PolicyPath, PolicyRule], Field(max_length=32)] = Field(default={})
    acls: Annotated[dict[AclResource, ModPolicy], Field(max_length=64)] = Field(default={})

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        members = [member.msp_id for member in self.members]
        orderers = [orderer.msp_id for orderer in self.orderers]
        for name, listed in (("members", members), ("orderers", orderers)):
            if len(set(listed)) != len(listed):
                raise ValueError(f"{name} names an organization twice")
        if not any(orderer.consenters for orderer in self.orderers):
            raise ValueError("no orderer organization has a consenter")
        return self

    @property
    def listed(self) -> "tuple[NewMember | NewOrderer, ...]":
        """Members, then orderer organizations, as they are given."""
        return (*self.members, *self.orderers)

    @property
    def organizations(self) -> tuple[MspID, ...]:
        """All organizations that are to be in the channel, sorted."""
        return tuple(sorted({each.msp_id for each in self.listed}))


class ChannelContent(Document):
    """An update with the delta its changes amount to, or a new channel with the genesis block of its recipe.

    `config_update` is base64 of pb(ConfigUpdate), `genesis_block` of pb(Block). An update without `changes` is raw.
    """

    channel: ChannelName
    action: Action
    changes: Annotated[tuple[Change, ...], Field(max_length=32)] = ()
    config_update: Base64 | None = None
    create: Recipe | None = None
    genesis_block: Base64 | None = None

    @model_validator(mode="after")
    def _of_one_action(self) -> Self:
        creates = self.action is Action.CREATE
        if (self.create is not None, self.genesis_block is not None) != (creates, creates):
            raise ValueError("create and genesisBlock belong to action Create, both of them")
        if (self.config_update is None) is not creates or (creates and self.changes):
            raise ValueError("configUpdate and changes belong to action Update, configUpdate always")
        if creates:
            self._check_block()
        else:
            self._check_update()
        return self

    @property
    def update_bytes(self) -> bytes:
        """The pb(ConfigUpdate) that is signed; empty for a new channel."""
        return base64.b64decode(self.config_update or "")

    @property
    def block_bytes(self) -> bytes:
        """The pb(Block) of a new channel; empty for an update."""
        return base64.b64decode(self.genesis_block or "")

    def _check_update(self) -> None:
        update = configtx_pb2.ConfigUpdate()
        try:
            update.ParseFromString(decode_base64(self.config_update or "", "configUpdate"))
        except DecodeError as exc:
            raise ValueError("configUpdate is no ConfigUpdate message") from exc
        if update.channel_id != self.channel:
            raise ValueError(f"configUpdate is of channel {update.channel_id[:64]!r}, not of {self.channel}")
        if not update.HasField("write_set"):
            raise ValueError("configUpdate has no write set")

    def _check_block(self) -> None:
        block = common_pb2.Block()
        try:
            block.ParseFromString(decode_base64(self.genesis_block or "", "genesisBlock"))
        except DecodeError as exc:
            raise ValueError("genesisBlock is no Block message") from exc
        if block.header.number or not block.data.data:
            raise ValueError("genesisBlock is not the first block of a channel")


def decode_base64(text: str, name: str) -> bytes:
    """Decode base64 in its one spelling; raises ValueError."""
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as exc:
        raise ValueError(f"{name} is not base64") from exc
    if base64.b64encode(data).decode() != text:
        raise ValueError(f"{name} is not canonical base64")
    return data

"""FabricChannel: what the own peers show of one channel; written by the operator alone."""

import hashlib
import re
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from opssc_chaincode.model.fields import ChaincodeName, ChannelName
from opssc_operator.api.conditions import Condition
from opssc_operator.api.fields import ApiModel, ServerName, StatusText
from opssc_operator.api.metadata import ApiObject

MAX_MEMBERS: Final = 200
MAX_POLICIES: Final = 32
MAX_CONSENTERS: Final = 64
MAX_CHAINCODES: Final = 100
MAX_PEERS: Final = 64
MAX_NAME: Final = 253

_IS_OBJECT_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NOT_IN_LABELS: Final = re.compile(r"[^a-z0-9]+")

_Count = Annotated[int, Field(ge=0)]
_PackageID = Annotated[str, StringConstraints(max_length=256)]
_Capabilities = Annotated[
    tuple[Annotated[str, StringConstraints(min_length=1, max_length=64)], ...], Field(max_length=32)
]


class ChaincodeOrigin(StrEnum):
    """Who brought a committed definition about, as far as this organization can prove it."""

    PROPOSAL = "Proposal"
    GOVERNANCE = "Governance"
    FOREIGN = "Foreign"


class FabricChannelSpec(ApiModel):
    """Which channel the object shows."""

    channel: ChannelName


class ChannelMember(ApiModel):
    """An application organization; one that is not on the governance channel counts as one that never votes.

    Fabric takes any text as an MSP ID, so what a configuration says is shown as text.
    """

    msp_id: StatusText
    on_governance_channel: bool | None = None


class ChannelPolicy(ApiModel):
    """A policy as the configuration has it, and which organizations it takes, in words."""

    path: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    policy: StatusText
    meaning: StatusText | None = None


class ConsensusNode(ApiModel):
    """A node that takes part in consensus; its organization is known on BFT channels alone."""

    address: Annotated[str, StringConstraints(min_length=1, max_length=260)]
    msp_id: StatusText | None = None


class Consensus(ApiModel):
    """Who orders."""

    type: StatusText
    organizations: Annotated[tuple[StatusText, ...], Field(max_length=MAX_MEMBERS)] = ()
    consenters: Annotated[tuple[ConsensusNode, ...], Field(max_length=MAX_CONSENTERS)] = ()


class CapabilityLevels(ApiModel):
    """Levels the channel requires of its nodes."""

    channel: _Capabilities = ()
    orderer: _Capabilities = ()
    application: _Capabilities = ()


class ChannelChaincode(ApiModel):
    """A committed definition, who has approved it, and what the own organization has of it."""

    name: ChaincodeName
    version: StatusText
    sequence: _Count
    endorsement_policy: StatusText | None = None
    collections: Annotated[tuple[StatusText, ...], Field(max_length=MAX_CHAINCODES)] = ()
    init_required: bool = False
    origin: ChaincodeOrigin | None = None
    proposal: StatusText | None = None
    approvals: Annotated[tuple[StatusText, ...], Field(max_length=MAX_MEMBERS)] = ()
    package_id: _PackageID | None = None
    installed_on: Annotated[tuple[ServerName, ...], Field(max_length=MAX_PEERS)] = ()


class FabricChannelStatus(ApiModel):
    """What the own peers show."""

    observed_generation: Annotated[int, Field(ge=-1)]
    height: _Count | None = None
    config_block: _Count | None = None
    config_sequence: _Count | None = None
    peers: Annotated[tuple[ServerName, ...], Field(max_length=MAX_PEERS)] = ()
    members: Annotated[tuple[ChannelMember, ...], Field(max_length=MAX_MEMBERS)] = ()
    policies: Annotated[tuple[ChannelPolicy, ...], Field(max_length=MAX_POLICIES)] = ()
    consensus: Consensus | None = None
    capabilities: CapabilityLevels | None = None
    chaincode_count: _Count | None = None
    foreign_count: _Count | None = None
    chaincodes: Annotated[tuple[ChannelChaincode, ...], Field(max_length=MAX_CHAINCODES)] = ()
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16)] = ()


class FabricChannel(ApiObject):
    """A channel."""

    kind: Literal["FabricChannel"] = "FabricChannel"
    spec: FabricChannelSpec


def channel_object_name(channel: str) -> str:
    """Name of a channel's object: the channel's own where Kubernetes allows it.

    Fabric also takes names that end in a dash or a dot, or have two dots in a row. Those get one that begins with a
    digit, as no channel's does, and has a hash, so that no two channels share an object.
    """
    if len(channel) <= MAX_NAME and _IS_OBJECT_NAME.fullmatch(channel):
        return channel
    folded = _NOT_IN_LABELS.sub("-", channel)[:200].strip("-")
    return f"0-{hashlib.sha256(channel.encode()).hexdigest()[:12]}-{folded}"

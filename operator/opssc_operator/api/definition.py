"""A chaincode definition as a manifest describes it: policies, private data collections, initialization."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from opssc_chaincode.model.chaincode import InitArgument
from opssc_chaincode.model.fields import (
    ChaincodeName,
    ChaincodeVersion,
    CollectionName,
    PluginName,
    PolicyPath,
    PolicyText,
)
from opssc_operator.api.fields import ApiModel

Sequence = Annotated[int, Field(ge=1, le=2**53 - 1)]
"""Sequence of a chaincode definition; within what JSON numbers carry exactly."""
PeerCount = Annotated[int, Field(ge=0, le=1000)]


class EndorsementPolicy(ApiModel):
    """Who must endorse: a signature policy or a policy of the channel's configuration, exactly one of them."""

    signature: PolicyText | None = None
    channel_policy: PolicyPath | None = None

    @model_validator(mode="after")
    def _one_member(self) -> Self:
        if (self.signature is None) == (self.channel_policy is None):
            raise ValueError("set exactly one of endorsementPolicy.signature and endorsementPolicy.channelPolicy")
        return self


class Collection(ApiModel):
    """A private data collection; unset numbers and flags take Fabric's zero values."""

    name: CollectionName
    member_orgs_policy: PolicyText
    required_peer_count: PeerCount | None = None
    max_peer_count: PeerCount | None = None
    block_to_live: Annotated[int, Field(ge=0, le=2**53 - 1)] | None = None
    member_only_read: bool | None = None
    member_only_write: bool | None = None
    endorsement_policy: EndorsementPolicy | None = None


class InitCall(ApiModel):
    """The one invocation that initializes a chaincode whose definition requires it."""

    function: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    args: Annotated[tuple[InitArgument, ...], Field(max_length=64)] = ()


class Chaincode(ApiModel):
    """Name and parameters of the definition; an unset sequence is resolved from the own peer."""

    name: ChaincodeName
    version: ChaincodeVersion
    sequence: Sequence | None = None
    init_required: bool | None = None
    init: InitCall | None = None
    endorsement_plugin: PluginName | None = None
    validation_plugin: PluginName | None = None

    @model_validator(mode="after")
    def _init_is_required(self) -> Self:
        if self.init is not None and not self.init_required:
            raise ValueError("chaincode.init is called only when chaincode.initRequired is true")
        return self

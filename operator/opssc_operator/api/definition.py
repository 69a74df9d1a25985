"""A chaincode definition as a manifest describes it: policies, private data collections, initialization."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from opssc_operator.api.fields import (
    ApiModel,
    ChaincodeName,
    ChaincodeVersion,
    PolicyPath,
    PolicyText,
    Sequence,
)

CollectionName = Annotated[
    str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9-]+([A-Za-z0-9_-]+)*$")
]
"""Collection name (Fabric `core/chaincode/lifecycle/scc.go`)."""
PluginName = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
PeerCount = Annotated[int, Field(ge=0, le=2_147_483_647)]


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
    block_to_live: Annotated[int, Field(ge=0, le=9_007_199_254_740_991)] | None = None
    member_only_read: bool | None = None
    member_only_write: bool | None = None
    endorsement_policy: EndorsementPolicy | None = None


class InitCall(ApiModel):
    """The one invocation that initializes a chaincode whose definition requires it."""

    function: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    args: Annotated[tuple[Annotated[str, StringConstraints(max_length=4096)], ...], Field(max_length=32)] = ()


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

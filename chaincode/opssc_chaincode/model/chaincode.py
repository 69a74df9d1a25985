"""The content of a proposal of kind Chaincode: one chaincode definition and its package."""

import base64
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from opssc_chaincode import canonical
from opssc_chaincode.model.document import Document
from opssc_chaincode.model.fields import (
    ChaincodeName,
    ChaincodeVersion,
    ChannelName,
    CollectionName,
    PackageID,
    PluginName,
    PolicyPath,
    PolicyText,
    Sha256,
)
from opssc_chaincode.model.package import Package

DEFAULT_ENDORSEMENT_PLUGIN = "escc"
DEFAULT_VALIDATION_PLUGIN = "vscc"
# ApplicationPolicy{channel_config_policy_reference}, which Fabric fills in for an empty parameter.
DEFAULT_VALIDATION_PARAMETER = b"\x12\x20/Channel/Application/Endorsement"
RESERVED_NAMES = frozenset({"cscc", "escc", "lscc", "qscc", "vscc"})
_MAX_SAFE_INTEGER = 2**53 - 1

InitArgument = Annotated[str, StringConstraints(max_length=4096)]


class EndorsementPolicy(Document):
    """Exactly one of a signature policy in the policy language, or the path of a channel policy."""

    signature: PolicyText | None = None
    channel_policy: PolicyPath | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.signature is None) == (self.channel_policy is None):
            raise ValueError("an endorsement policy is exactly one of signature, channelPolicy")
        return self


class Collection(Document):
    """A private data collection; `block_to_live` in blocks, 0 keeps the data for ever."""

    name: CollectionName
    member_orgs_policy: PolicyText
    required_peer_count: int = Field(default=0, ge=0, le=1000)
    max_peer_count: int = Field(default=0, ge=0, le=1000)
    block_to_live: int = Field(default=0, ge=0, le=_MAX_SAFE_INTEGER)
    member_only_read: bool = False
    member_only_write: bool = False
    endorsement_policy: EndorsementPolicy | None = None

    @model_validator(mode="after")
    def _counts(self) -> Self:
        if self.max_peer_count < self.required_peer_count:
            raise ValueError(
                f"maxPeerCount is {self.max_peer_count}, which is less than requiredPeerCount, "
                f"{self.required_peer_count}"
            )
        return self


class Init(Document):
    """The call that initialises a chaincode whose definition asks for it."""

    function: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    args: tuple[InitArgument, ...] = Field(default=(), max_length=64)


class ChaincodeContent(Document):
    """One chaincode definition, its package, and the hash that every operator computes for itself."""

    channel: ChannelName
    name: ChaincodeName
    version: ChaincodeVersion
    sequence: int = Field(ge=1, le=_MAX_SAFE_INTEGER)
    init_required: bool = False
    init: Init | None = None
    endorsement_policy: EndorsementPolicy
    endorsement_plugin: PluginName = DEFAULT_ENDORSEMENT_PLUGIN
    validation_plugin: PluginName = DEFAULT_VALIDATION_PLUGIN
    collections: tuple[Collection, ...] = Field(default=(), max_length=100)
    package: Package
    package_id: PackageID | None = None
    definition_hash: Sha256

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.name in RESERVED_NAMES:
            raise ValueError(f"name {self.name} is the name of a system chaincode")
        if self.init is not None and not self.init_required:
            raise ValueError("init is given, so initRequired must be true")
        names = [collection.name for collection in self.collections]
        if len(set(names)) != len(names):
            raise ValueError("collections names a collection twice")
        label = self.package.label
        if self.package_id is not None and label is not None and self.package_id.partition(":")[0] != label:
            raise ValueError(f"packageID must begin with the package's label, {label}")
        return self


def definition_hash(
    *,
    name: str,
    version: str,
    sequence: int,
    endorsement_plugin: str = "",
    validation_plugin: str = "",
    validation_parameter: bytes = b"",
    collections: bytes = b"",
    init_required: bool = False,
) -> str:
    """Hash a definition as Fabric's lifecycle holds it: hex SHA-256 of canonical JSON, defaults filled in.

    `validation_parameter` is a serialized ApplicationPolicy and `collections` a serialized CollectionConfigPackage;
    both are bytes and stand as base64. Empty strings and bytes get Fabric's defaults.
    """
    return canonical.digest(
        {
            "name": name,
            "version": version,
            "sequence": sequence,
            "endorsementPlugin": endorsement_plugin or DEFAULT_ENDORSEMENT_PLUGIN,
            "validationPlugin": validation_plugin or DEFAULT_VALIDATION_PLUGIN,
            "validationParameter": _base64(validation_parameter or DEFAULT_VALIDATION_PARAMETER),
            "collections": _base64(collections),
            "initRequired": init_required,
        }
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")

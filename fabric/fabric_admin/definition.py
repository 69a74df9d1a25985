"""Chaincode definitions and what peers say about them, as data; pure, no network.

`validation_parameter` is `pb(ApplicationPolicy)` and `collections` is `pb(CollectionConfigPackage)`; both are compared
byte for byte by Fabric, so every organization must build them alike: use the builders here and in `collection`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fabric_protos.peer import policy_pb2

from fabric_admin import policy
from fabric_admin.collection import CollectionConfig, collection_package, read_collection_package
from fabric_admin.errors import PolicySyntaxError
from fabric_admin.wire import decode

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ApprovedDefinition",
    "ChaincodeReference",
    "CollectionConfig",
    "CommittedDefinition",
    "Definition",
    "InstalledChaincode",
    "Readiness",
    "channel_policy_parameter",
    "collection_package",
    "policy_text",
    "read_collection_package",
    "signature_policy_parameter",
]


@dataclass(frozen=True, slots=True)
class Definition:
    """What the organizations of a channel agree on for one chaincode name and sequence.

    An empty `validation_parameter` means the channel's default, which committed and approved definitions spell out.
    """

    name: str
    version: str
    sequence: int
    endorsement_plugin: str = "escc"
    validation_plugin: str = "vscc"
    validation_parameter: bytes = b""
    collections: bytes = b""
    init_required: bool = False


@dataclass(frozen=True, slots=True)
class CommittedDefinition:
    """A committed definition; `approvals` says per MSP ID who approved exactly it (empty when all are listed)."""

    definition: Definition
    approvals: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class ApprovedDefinition:
    """What the peer's own organization approved; `package_id` is None when approved without a package."""

    definition: Definition
    package_id: str | None


@dataclass(frozen=True, slots=True)
class Readiness:
    """Who approved a definition, per MSP ID; `mismatches` names the differing parts of the others."""

    approvals: Mapping[str, bool]
    mismatches: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class ChaincodeReference:
    """A committed definition that uses an installed package."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class InstalledChaincode:
    """A package on a peer; `references` lists per channel the committed definitions that use it."""

    package_id: str
    label: str
    references: Mapping[str, tuple[ChaincodeReference, ...]]


def signature_policy_parameter(text: str) -> bytes:
    """Return the `validation_parameter` for a policy such as `OR('Org1MSP.peer')`; raises PolicySyntaxError."""
    return policy_pb2.ApplicationPolicy(signature_policy=policy.parse(text)).SerializeToString(deterministic=True)


def channel_policy_parameter(path: str) -> bytes:
    """Return the `validation_parameter` that refers to a channel policy such as `/Channel/Application/Endorsement`."""
    return policy_pb2.ApplicationPolicy(channel_config_policy_reference=path).SerializeToString(deterministic=True)


def policy_text(validation_parameter: bytes) -> str:
    """Return a `validation_parameter` as its policy text or channel policy path; raises PolicySyntaxError."""
    parsed = decode(policy_pb2.ApplicationPolicy, validation_parameter, PolicySyntaxError, "validation parameter")
    match parsed.WhichOneof("Type"):
        case "signature_policy":
            return policy.format(parsed.signature_policy)
        case "channel_config_policy_reference":
            return parsed.channel_config_policy_reference
        case _:
            raise PolicySyntaxError("validation parameter: neither a signature policy nor a channel policy reference")

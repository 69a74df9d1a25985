"""Which definitions may be approved or committed; pure, in the order and words of Fabric.

Source: fabric core/chaincode/lifecycle/scc.go (validateInput), lifecycle.go.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from fabric_protos.msp import identities_pb2, msp_principal_pb2
from fabric_protos.peer import collection_pb2
from google.protobuf.message import DecodeError

from fabric_devnet.embedded.errors import DefinitionRefused

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from fabric_protos.common import policies_pb2

    from fabric_devnet.embedded.lifecycle.state import Definition

_NAME: Final = re.compile(r"[a-zA-Z0-9]+([-_][a-zA-Z0-9]+)*")
_VERSION: Final = re.compile(r"[A-Za-z0-9_.+-]+")
# Fabric's ^[A-Za-z0-9-]+([A-Za-z0-9_-]+)*$ accepts the same names, at exponential cost in a backtracking engine.
_COLLECTION: Final = re.compile(r"[A-Za-z0-9-][A-Za-z0-9_-]*")
RESERVED_NAMES: Final = frozenset({"cscc", "escc", "lscc", "qscc", "vscc"})


def validate_name_and_version(name: str, version: str) -> None:
    """Refuse names and versions no chaincode may have.

    Raises DefinitionRefused.
    """
    if not _NAME.fullmatch(name):
        raise DefinitionRefused(
            f"invalid chaincode name '{name}'. Names can only consist of alphanumerics, '_', and '-' "
            "and can only begin with alphanumerics"
        )
    if name in RESERVED_NAMES:
        raise DefinitionRefused(f"chaincode name '{name}' is the name of a system chaincode")
    if not _VERSION.fullmatch(version):
        raise DefinitionRefused(
            f"invalid chaincode version '{version}'. Versions can only consist of alphanumerics, '_', '-', '+', and '.'"
        )


def static_collections(
    package: collection_pb2.CollectionConfigPackage,
) -> list[collection_pb2.StaticCollectionConfig]:
    """List the collections of a package.

    Raises DefinitionRefused for an entry that is no static collection.
    """
    if any(not config.HasField("static_collection_config") for config in package.config):
        raise DefinitionRefused("collection config contains unexpected payload type: <nil>")
    return [config.static_collection_config for config in package.config]


def validate_collections(
    collections: Sequence[collection_pb2.StaticCollectionConfig], channel_msp_ids: Collection[str]
) -> None:
    """Refuse collections that are malformed or name organizations outside the channel.

    Raises DefinitionRefused.
    """
    seen: set[str] = set()
    for collection in collections:
        name = collection.name
        if not _COLLECTION.fullmatch(name):
            raise DefinitionRefused(
                f"invalid collection name '{name}'. Names can only consist of alphanumerics, '_', and '-' "
                "and cannot begin with '_'"
            )
        if name in seen:
            raise DefinitionRefused(f"collection-name: {name} -- found duplicate in collection configuration")
        seen.add(name)
        maximum, required = collection.maximum_peer_count, collection.required_peer_count
        if maximum < required:
            raise DefinitionRefused(
                f"collection-name: {name} -- maximum peer count ({maximum}) cannot be less than "
                f"the required peer count ({required})"
            )
        if required < 0:
            raise DefinitionRefused(
                f"collection-name: {name} -- requiredPeerCount ({required}) cannot be less than zero"
            )
        _validate_member_policy(collection, channel_msp_ids)


def _validate_member_policy(
    collection: collection_pb2.StaticCollectionConfig, channel_msp_ids: Collection[str]
) -> None:
    name = collection.name
    if not collection.HasField("member_orgs_policy"):
        raise DefinitionRefused(f"collection member policy is not set for collection '{name}'")
    if not collection.member_orgs_policy.HasField("signature_policy"):
        raise DefinitionRefused(f"collection member org policy is empty for collection '{name}'")
    policy = collection.member_orgs_policy.signature_policy
    _require_or(policy.rule, name)
    for principal in policy.identities:
        _require_member(principal, name, channel_msp_ids)


def _require_or(rule: policies_pb2.SignaturePolicy, name: str) -> None:
    if not rule.HasField("n_out_of"):
        return
    if rule.n_out_of.n != 1:
        raise DefinitionRefused(
            f"collection-name: {name} -- error in member org policy: "
            f"signature policy is not an OR concatenation, NOutOf {rule.n_out_of.n}"
        )
    for nested in rule.n_out_of.rules:
        _require_or(nested, name)


def _require_member(
    principal: msp_principal_pb2.MSPPrincipal, collection: str, channel_msp_ids: Collection[str]
) -> None:
    kind = principal.principal_classification
    kinds = msp_principal_pb2.MSPPrincipal
    try:
        if kind == kinds.ROLE:
            msp_id = msp_principal_pb2.MSPRole.FromString(principal.principal).msp_identifier
        elif kind == kinds.ORGANIZATION_UNIT:
            msp_id = msp_principal_pb2.OrganizationUnit.FromString(principal.principal).msp_identifier
        elif kind == kinds.IDENTITY:
            msp_id = identities_pb2.SerializedIdentity.FromString(principal.principal).mspid
        else:
            raise DefinitionRefused(f"collection-name: {collection} -- principal type {kind} is not supported")
    except DecodeError as exc:
        raise DefinitionRefused(f"collection-name: {collection} -- cannot unmarshal identity bytes") from exc
    if msp_id in channel_msp_ids:
        return
    if kind == kinds.IDENTITY:
        raise DefinitionRefused(
            f"collection-name: {collection} -- contains an identity that is not part of the channel"
        )
    raise DefinitionRefused(f"collection-name: {collection} -- collection member '{msp_id}' is not part of the channel")


def validate_against_committed(proposed: Sequence[collection_pb2.StaticCollectionConfig], committed: bytes) -> None:
    """Refuse to drop a committed collection or to change how long it lives; `committed` is a CollectionConfigPackage.

    Raises DefinitionRefused.
    """
    package = collection_pb2.CollectionConfigPackage.FromString(committed)
    if not package.config:
        return
    if not proposed:
        raise DefinitionRefused("the proposed collection config does not contain previously defined collections")
    by_name = {collection.name: collection for collection in proposed}
    for config in package.config:
        existing = config.static_collection_config
        successor = by_name.get(existing.name)
        if successor is None:
            raise DefinitionRefused(
                f"existing collection [{existing.name}] missing in the proposed collection configuration"
            )
        if successor.block_to_live != existing.block_to_live:
            raise DefinitionRefused(
                f"the BlockToLive in an existing collection [{existing.name}] modified. "
                f"Existing value [{existing.block_to_live}]"
            )


def validate_approval_sequence(requested: int, current: int) -> None:
    """Refuse to approve a sequence that is neither the committed one nor the next.

    Raises DefinitionRefused.
    """
    if requested == current == 0:
        raise DefinitionRefused("requested sequence is 0, but first definable sequence number is 1")
    if requested < current:
        raise DefinitionRefused(f"currently defined sequence {current} is larger than requested sequence {requested}")
    if requested > current + 1:
        raise DefinitionRefused(
            f"requested sequence {requested} is larger than the next available sequence number {current + 1}"
        )


def validate_commit_sequence(requested: int, current: int) -> None:
    """Refuse to commit anything but the next sequence.

    Raises DefinitionRefused.
    """
    if requested != current + 1:
        raise DefinitionRefused(f"requested sequence is {requested}, but new definition must be sequence {current + 1}")


def validate_redefinition(proposed: Definition, committed: Definition) -> None:
    """Refuse an approval of the committed sequence with other parameters.

    Raises DefinitionRefused.
    """
    difference = committed.parameters.difference(proposed.parameters)
    if difference is not None:
        raise DefinitionRefused(
            f"attempted to redefine the current committed sequence ({committed.sequence}) "
            f"for namespace {committed.name} with different parameters: {difference}"
        )


def validate_repetition(
    proposed: Definition, package_id: str, approved: Definition | None, approved_package_id: str | None, current: int
) -> None:
    """Refuse an approval that repeats the organization's own.

    Raises DefinitionRefused.
    """
    if approved is None or approved_package_id != package_id:
        return
    if approved.parameters.difference(proposed.parameters) is not None:
        return
    if proposed.sequence == current:
        raise DefinitionRefused(
            f"attempted to redefine the current committed sequence ({current}) for namespace {proposed.name}"
        )
    raise DefinitionRefused(
        f"attempted to redefine uncommitted sequence ({proposed.sequence}) for namespace {proposed.name} "
        "with unchanged content"
    )

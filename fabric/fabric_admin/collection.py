"""Private data collections of a definition, built from and read back as plain data; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fabric_protos.peer import collection_pb2, policy_pb2

from fabric_admin import policy
from fabric_admin.errors import PolicySyntaxError
from fabric_admin.wire import decode

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionConfig:
    """One collection; policies are texts, `endorsement_policy` a signature policy or a channel policy path (`/...`)."""

    name: str
    member_orgs_policy: str
    required_peer_count: int = 0
    max_peer_count: int = 0
    block_to_live: int = 0
    member_only_read: bool = False
    member_only_write: bool = False
    endorsement_policy: str | None = None


def collection_package(collections: Sequence[CollectionConfig]) -> bytes:
    """Return `pb(CollectionConfigPackage)`, empty without collections; raises PolicySyntaxError."""
    package = collection_pb2.CollectionConfigPackage(
        config=[
            collection_pb2.CollectionConfig(static_collection_config=_encode(collection)) for collection in collections
        ]
    )
    return package.SerializeToString(deterministic=True)


def read_collection_package(data: bytes) -> tuple[CollectionConfig, ...]:
    """Return the collections in `pb(CollectionConfigPackage)`; raises PolicySyntaxError when it cannot be read."""
    package = decode(collection_pb2.CollectionConfigPackage, data, PolicySyntaxError, "collections")
    return tuple(_read(config.static_collection_config) for config in package.config)


def _encode(collection: CollectionConfig) -> collection_pb2.StaticCollectionConfig:
    encoded = collection_pb2.StaticCollectionConfig(
        name=collection.name,
        member_orgs_policy=collection_pb2.CollectionPolicyConfig(
            signature_policy=policy.parse(collection.member_orgs_policy)
        ),
        required_peer_count=collection.required_peer_count,
        maximum_peer_count=collection.max_peer_count,
        block_to_live=collection.block_to_live,
        member_only_read=collection.member_only_read,
        member_only_write=collection.member_only_write,
    )
    if collection.endorsement_policy is not None:
        encoded.endorsement_policy.CopyFrom(_encode_policy(collection.endorsement_policy))
    return encoded


def _encode_policy(text: str) -> policy_pb2.ApplicationPolicy:
    if text.startswith("/"):
        return policy_pb2.ApplicationPolicy(channel_config_policy_reference=text)
    return policy_pb2.ApplicationPolicy(signature_policy=policy.parse(text))


def _read(config: collection_pb2.StaticCollectionConfig) -> CollectionConfig:
    return CollectionConfig(
        name=config.name,
        member_orgs_policy=policy.format(config.member_orgs_policy.signature_policy),
        required_peer_count=config.required_peer_count,
        max_peer_count=config.maximum_peer_count,
        block_to_live=config.block_to_live,
        member_only_read=config.member_only_read,
        member_only_write=config.member_only_write,
        endorsement_policy=_read_policy(config.endorsement_policy) if config.HasField("endorsement_policy") else None,
    )


def _read_policy(parsed: policy_pb2.ApplicationPolicy) -> str:
    if parsed.HasField("signature_policy"):
        return policy.format(parsed.signature_policy)
    return parsed.channel_config_policy_reference

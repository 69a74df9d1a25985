"""Manifests and ledger contents of chaincode proposals, turned into each other and into Fabric's own forms. Pure.

A field that a manifest leaves out is resolved when it is proposed, and taken from the ledger when it is compared.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from fabric_admin.definition import (
    CollectionConfig,
    Definition,
    channel_policy_parameter,
    collection_package,
    signature_policy_parameter,
)
from fabric_admin.errors import InvalidInput
from fabric_admin.package import build_ccaas, build_k8s, package_id
from opssc_chaincode.model import (
    ArchivePackage,
    CcaasPackage,
    ChaincodeContent,
    Collection,
    EndorsementPolicy,
    GitPackage,
    KubernetesPackage,
    Package,
    UnchangedPackage,
    definition_hash,
)
from opssc_chaincode.model.document import describe
from opssc_operator.api.chaincode_proposal import ChaincodeProposalSpec
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.verdict import Verdict, no

DEFAULT_POLICY: Final = {"channelPolicy": "/Channel/Application/Endorsement"}
NO_HASH: Final = "0" * 64
COMPARED: Final = (
    "channel",
    "name",
    "version",
    "sequence",
    "init_required",
    "init",
    "endorsement_policy",
    "endorsement_plugin",
    "validation_plugin",
    "collections",
    "package",
)


@dataclass(frozen=True, slots=True)
class BuiltPackage:
    """A chaincode package as every organization builds it: bytes and the ID they have."""

    data: bytes
    package_id: str


class ContentError(ValueError):
    """A manifest or a ledger content that cannot be carried out; the text names the field."""


def stated_fields(spec: ChaincodeProposalSpec) -> dict[str, Any]:
    """The content fields a manifest sets, as the contract's JSON."""
    manifest = spec.to_manifest()
    stated: dict[str, Any] = {
        "channel": manifest["channel"],
        **manifest["chaincode"],
        "package": package_fields(manifest["package"]),
    }
    for name in ("endorsementPolicy", "collections"):
        if manifest.get(name) is not None:
            stated[name] = manifest[name]
    return stated


def package_fields(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The package of a manifest as the contract's JSON: the member alone."""
    kind = manifest["type"]
    return {kind: manifest.get(kind, {})}


def stated_package(spec: ChaincodeProposalSpec) -> Package:
    """The package of a manifest as the contract knows it; raises ContentError."""
    try:
        return Package.model_validate_json(json.dumps(package_fields(spec.package.to_manifest())))
    except ValidationError as exc:
        raise ContentError(f"package: {describe(exc)}") from exc


def build_content(spec: ChaincodeProposalSpec, sequence: int, fetched: BuiltPackage | None = None) -> ChaincodeContent:
    """The complete content a manifest proposes at ``sequence``; raises ContentError.

    ``fetched`` is the package of a source that has to be fetched; others are built here, if there is anything to build.
    """
    fields = {"endorsementPolicy": DEFAULT_POLICY, **stated_fields(spec), "sequence": sequence}
    bare = _validated({**fields, "definitionHash": NO_HASH})
    built = fetched
    if fetched is None and not isinstance(bare.package.source, UnchangedPackage):
        built = build_package(bare.package)
    return _validated(
        {
            **fields,
            "definitionHash": hash_definition(build_definition(bare)),
            "packageID": None if built is None else built.package_id,
        }
    )


def conflicting_fields(spec: ChaincodeProposalSpec, content: ChaincodeContent) -> tuple[str, ...]:
    """Manifest names of the fields in which a manifest contradicts the ledger; unset fields contradict nothing."""
    known = {**content.to_json(), **stated_fields(spec)}
    try:
        wanted = _validated({**known, "definitionHash": NO_HASH, "packageID": None})
    except ContentError as exc:
        return (str(exc).partition(":")[0],)
    return tuple(sorted(_manifest_name(name) for name in COMPARED if getattr(wanted, name) != getattr(content, name)))


def _manifest_name(attribute: str) -> str:
    first, *rest = attribute.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _validated(fields: Mapping[str, Any]) -> ChaincodeContent:
    present = {name: value for name, value in fields.items() if value is not None}
    try:
        return ChaincodeContent.model_validate_json(json.dumps(present))
    except ValidationError as exc:
        raise ContentError(describe(exc)) from exc


def build_definition(content: ChaincodeContent) -> Definition:
    """The definition Fabric holds for a content, defaults filled in; raises ContentError for a bad policy."""
    try:
        return Definition(
            name=content.name,
            version=content.version,
            sequence=content.sequence,
            endorsement_plugin=content.endorsement_plugin,
            validation_plugin=content.validation_plugin,
            validation_parameter=policy_parameter(content.endorsement_policy),
            collections=collection_package([_collection(collection) for collection in content.collections]),
            init_required=content.init_required,
        )
    except InvalidInput as exc:
        raise ContentError(f"endorsementPolicy or collections: {exc}") from exc


def policy_parameter(policy: EndorsementPolicy) -> bytes:
    """``pb(ApplicationPolicy)`` of an endorsement policy; raises PolicySyntaxError."""
    if policy.signature is not None:
        return signature_policy_parameter(policy.signature)
    return channel_policy_parameter(policy.channel_policy or "")


def _collection(collection: Collection) -> CollectionConfig:
    policy = collection.endorsement_policy
    return CollectionConfig(
        name=collection.name,
        member_orgs_policy=collection.member_orgs_policy,
        required_peer_count=collection.required_peer_count,
        max_peer_count=collection.max_peer_count,
        block_to_live=collection.block_to_live,
        member_only_read=collection.member_only_read,
        member_only_write=collection.member_only_write,
        endorsement_policy=None if policy is None else policy.signature or policy.channel_policy,
    )


def hash_definition(definition: Definition) -> str:
    """The hash that proposals carry of a definition."""
    return definition_hash(
        name=definition.name,
        version=definition.version,
        sequence=definition.sequence,
        endorsement_plugin=definition.endorsement_plugin,
        validation_plugin=definition.validation_plugin,
        validation_parameter=definition.validation_parameter,
        collections=definition.collections,
        init_required=definition.init_required,
    )


def is_fetched(package: Package) -> bool:
    """Whether a package has to be downloaded or built from a repository before anything can be said about it."""
    return isinstance(package.source, ArchivePackage | GitPackage)


def build_package(package: Package) -> BuiltPackage:
    """The package of an image, byte for byte the same in every organization; raises ContentError."""
    try:
        match package.source:
            case CcaasPackage() as source:
                data = build_ccaas(
                    source.label,
                    source.address,
                    dial_timeout=source.connection.dial_timeout,
                    tls_required=source.connection.tls_required,
                    root_cert=source.connection.root_cert or "",
                    indexes=_indexes(source.indexes),
                )
            case KubernetesPackage() as source:
                data = build_k8s(source.label, source.image.name, source.image.digest, indexes=_indexes(source.indexes))
            case _:
                raise ContentError("package: it is not built from an image")
        return BuiltPackage(data, package_id(source.label, data))
    except InvalidInput as exc:
        raise ContentError(f"package: {exc}") from exc


def _indexes(indexes: Mapping[str, str]) -> dict[str, bytes]:
    return {path: text.encode() for path, text in indexes.items()}


def invalid(exc: ContentError) -> Verdict:
    """The verdict on a manifest that cannot be proposed."""
    return no(Reason.INVALID_SPEC, str(exc))


def to_spec(content: ChaincodeContent) -> dict[str, Any]:
    """The fields of a manifest that would propose this content."""
    known = content.to_json()
    chaincode_names = ("name", "version", "sequence", "initRequired", "init", "endorsementPlugin", "validationPlugin")
    package_type = next(iter(known["package"]))
    spec: dict[str, Any] = {
        "channel": content.channel,
        "chaincode": {name: known[name] for name in chaincode_names if name in known},
        "package": {"type": package_type, **(known["package"] if content.package.label else {})},
        "endorsementPolicy": known["endorsementPolicy"],
    }
    if content.collections:
        spec["collections"] = known["collections"]
    return spec

"""What the peer's own organization approves: the functions of `_lifecycle` that touch its own collection only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fabric_protos.peer import collection_pb2
from fabric_protos.peer.lifecycle import lifecycle_pb2

from fabric_devnet.embedded.errors import DefinitionRefused
from fabric_devnet.embedded.lifecycle import rules
from fabric_devnet.embedded.lifecycle.call import requested_definition, with_defaults
from fabric_devnet.embedded.lifecycle.state import (
    DEFINITIONS,
    SOURCES,
    metadata_key,
    package_record,
    private_name,
    read_approval,
    read_definition,
    read_metadata,
    read_package_id,
    read_sequence,
    write_record,
)

if TYPE_CHECKING:
    from fabric_devnet.embedded.lifecycle.call import Call
    from fabric_devnet.embedded.lifecycle.state import Definition


def approve(
    call: Call, args: lifecycle_pb2.ApproveChaincodeDefinitionForMyOrgArgs
) -> lifecycle_pb2.ApproveChaincodeDefinitionForMyOrgResult:
    """Approve a definition for the organization of this peer."""
    validate_input(call, args.name, args.version, args.collections)
    package_id = args.source.local_package.package_id
    current = read_sequence(call.public, args.name)
    rules.validate_approval_sequence(args.sequence, current)
    proposed = with_defaults(requested_definition(args), call)
    if proposed.sequence == current:
        committed = read_definition(call.public, proposed.name)
        if committed is None:
            raise DefinitionRefused(f"missing metadata for currently committed sequence number ({current})")
        rules.validate_redefinition(proposed, committed)
    approved = read_approval(call.own, proposed.name, proposed.sequence)
    known_package = None if approved is None else read_package_id(call.own, proposed.name, proposed.sequence)
    rules.validate_repetition(proposed, package_id, approved, known_package, current)
    write_record(call.own, DEFINITIONS, proposed.private_name, proposed.parameters.record())
    write_record(call.own, SOURCES, proposed.private_name, package_record(package_id))
    return lifecycle_pb2.ApproveChaincodeDefinitionForMyOrgResult()


def validate_input(call: Call, name: str, version: str, collections: collection_pb2.CollectionConfigPackage) -> None:
    """Refuse a malformed definition; raises DefinitionRefused with Fabric's prefix."""
    try:
        rules.validate_name_and_version(name, version)
        static = rules.static_collections(collections)
        rules.validate_collections(static, call.channel.members)
        committed = read_definition(call.public, name)
        if committed is not None:
            rules.validate_against_committed(static, committed.parameters.collections)
    except DefinitionRefused as exc:
        raise DefinitionRefused(f"error validating chaincode definition: {exc}") from exc


def query_approved(
    call: Call, args: lifecycle_pb2.QueryApprovedChaincodeDefinitionArgs
) -> lifecycle_pb2.QueryApprovedChaincodeDefinitionResult:
    """Return what the organization approved for one sequence; sequence 0 asks for the latest."""
    sequence = args.sequence
    if sequence == 0:
        current = read_sequence(call.public, args.name)
        upcoming = read_metadata(call.own, DEFINITIONS, private_name(args.name, current + 1))
        sequence = current if upcoming is None else current + 1
    approved = read_approval(call.own, args.name, sequence)
    if approved is None:
        raise DefinitionRefused(
            f"could not fetch approved chaincode definition (name: '{args.name}', sequence: '{sequence}') "
            f"on channel '{call.channel_id}'"
        )
    parameters = approved.parameters
    return lifecycle_pb2.QueryApprovedChaincodeDefinitionResult(
        sequence=approved.sequence,
        version=parameters.version,
        endorsement_plugin=parameters.endorsement_plugin,
        validation_plugin=parameters.validation_plugin,
        validation_parameter=parameters.validation_parameter,
        collections=collection_pb2.CollectionConfigPackage.FromString(parameters.collections),
        init_required=parameters.init_required,
        source=_source(call, approved),
    )


def query_all_approved(
    call: Call, _args: lifecycle_pb2.QueryApprovedChaincodeDefinitionsArgs
) -> lifecycle_pb2.QueryApprovedChaincodeDefinitionsResult:
    """Return everything the organization ever approved on the channel."""
    result = lifecycle_pb2.QueryApprovedChaincodeDefinitionsResult()
    for private in list(call.own.keys(metadata_key(DEFINITIONS, ""))):
        name, _, sequence = private.rpartition("#")
        approved = read_approval(call.own, name, int(sequence))
        if approved is None:
            continue
        parameters = approved.parameters
        result.approved_chaincode_definitions.add(
            name=name,
            sequence=approved.sequence,
            version=parameters.version,
            endorsement_plugin=parameters.endorsement_plugin,
            validation_plugin=parameters.validation_plugin,
            validation_parameter=parameters.validation_parameter,
            collections=collection_pb2.CollectionConfigPackage.FromString(parameters.collections),
            init_required=parameters.init_required,
            source=_source(call, approved),
        )
    return result


def _source(call: Call, approved: Definition) -> lifecycle_pb2.ChaincodeSource:
    package_id = read_package_id(call.own, approved.name, approved.sequence)
    if not package_id:
        return lifecycle_pb2.ChaincodeSource(unavailable=lifecycle_pb2.ChaincodeSource.Unavailable())
    return lifecycle_pb2.ChaincodeSource(local_package=lifecycle_pb2.ChaincodeSource.Local(package_id=package_id))

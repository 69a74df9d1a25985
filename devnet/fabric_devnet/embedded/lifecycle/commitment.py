"""What the channel agreed on: readiness, commit and the committed definitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fabric_protos.peer import collection_pb2
from fabric_protos.peer.lifecycle import lifecycle_pb2

from fabric_devnet.embedded.errors import DefinitionRefused, NamespaceNotDefined
from fabric_devnet.embedded.lifecycle import rules
from fabric_devnet.embedded.lifecycle.approval import validate_input
from fabric_devnet.embedded.lifecycle.call import requested_definition, with_defaults
from fabric_devnet.embedded.lifecycle.state import (
    DEFINITIONS,
    metadata_key,
    read_definition,
    read_sequence,
    record_mismatches,
    write_record,
)

if TYPE_CHECKING:
    from fabric_devnet.embedded.lifecycle.call import Call, DefinitionArgs
    from fabric_devnet.embedded.lifecycle.state import Definition


def check_readiness(
    call: Call, args: lifecycle_pb2.CheckCommitReadinessArgs
) -> lifecycle_pb2.CheckCommitReadinessResult:
    """Tell which organizations approved exactly this definition, and where the others differ."""
    proposed = _next_definition(call, args)
    result = lifecycle_pb2.CheckCommitReadinessResult()
    for msp_id, mismatches in _compare(call, proposed).items():
        result.approvals[msp_id] = not mismatches
        if mismatches:
            result.mismatches[msp_id].items.extend(mismatches)
    return result


def commit(
    call: Call, args: lifecycle_pb2.CommitChaincodeDefinitionArgs
) -> lifecycle_pb2.CommitChaincodeDefinitionResult:
    """Commit a definition, if the organization of this peer approved exactly it."""
    validate_input(call, args.name, args.version, args.collections)
    if call.msp_id not in call.channel.members:
        raise DefinitionRefused(
            "impossibly, this peer's org is processing requests for a channel it is not a member of"
        )
    proposed = _next_definition(call, args)
    mismatches = _compare(call, proposed)
    write_record(call.public, DEFINITIONS, proposed.name, proposed.record())
    if mismatches[call.msp_id]:
        raise DefinitionRefused(f"chaincode definition not agreed to by this org ({call.msp_id})")
    return lifecycle_pb2.CommitChaincodeDefinitionResult()


def query_committed(
    call: Call, args: lifecycle_pb2.QueryChaincodeDefinitionArgs
) -> lifecycle_pb2.QueryChaincodeDefinitionResult:
    """Return the committed definition and who approved it; raises NamespaceNotDefined."""
    definition = read_definition(call.public, args.name)
    if definition is None:
        raise NamespaceNotDefined(f"namespace {args.name} is not defined")
    parameters = definition.parameters
    approvals = {msp_id: not mismatches for msp_id, mismatches in _compare(call, definition).items()}
    return lifecycle_pb2.QueryChaincodeDefinitionResult(
        sequence=definition.sequence,
        version=parameters.version,
        endorsement_plugin=parameters.endorsement_plugin,
        validation_plugin=parameters.validation_plugin,
        validation_parameter=parameters.validation_parameter,
        collections=collection_pb2.CollectionConfigPackage.FromString(parameters.collections),
        init_required=parameters.init_required,
        approvals=approvals,
    )


def query_all_committed(
    call: Call, _args: lifecycle_pb2.QueryChaincodeDefinitionsArgs
) -> lifecycle_pb2.QueryChaincodeDefinitionsResult:
    """Return every committed definition, without approvals."""
    result = lifecycle_pb2.QueryChaincodeDefinitionsResult()
    for name in list(call.public.keys(metadata_key(DEFINITIONS, ""))):
        definition = read_definition(call.public, name)
        if definition is None:
            continue
        parameters = definition.parameters
        result.chaincode_definitions.add(
            name=name,
            sequence=definition.sequence,
            version=parameters.version,
            endorsement_plugin=parameters.endorsement_plugin,
            validation_plugin=parameters.validation_plugin,
            validation_parameter=parameters.validation_parameter,
            collections=collection_pb2.CollectionConfigPackage.FromString(parameters.collections),
            init_required=parameters.init_required,
        )
    return result


def _next_definition(call: Call, args: DefinitionArgs) -> Definition:
    rules.validate_commit_sequence(args.sequence, read_sequence(call.public, args.name))
    return with_defaults(requested_definition(args), call)


def _compare(call: Call, definition: Definition) -> dict[str, tuple[str, ...]]:
    """Compare a definition with every member's approval: per MSP ID what differs, nothing when it agrees."""
    record = definition.parameters.record()
    return {
        msp_id: record_mismatches(call.organization(msp_id), DEFINITIONS, definition.private_name, record)
        for msp_id in call.channel.members
    }

"""How `_lifecycle` lays out definitions, approvals and package sources in state; knows no rules and no transactions.

A record is a struct of Fabric: its type and field names under `<space>/metadata/<name>`, each field under
`<space>/fields/<name>/<field>`. Source: fabric core/chaincode/lifecycle/serializer.go.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from fabric_protos.peer.lifecycle import chaincode_definition_pb2, db_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMESPACE: Final = "_lifecycle"
DEFINITIONS: Final = "namespaces"
SOURCES: Final = "chaincode-sources"
DEFINITION_TYPE: Final = "ChaincodeDefinition"
PARAMETERS_TYPE: Final = "ChaincodeParameters"
PACKAGE_TYPE: Final = "ChaincodeLocalPackage"


class ReadableState(Protocol):
    """Values of one namespace or collection by key."""

    def get(self, key: str) -> bytes | None:
        """Read a value, None when the key does not exist."""
        ...


class WritableState(ReadableState, Protocol):
    """Values of one namespace or collection inside a simulation."""

    def put(self, key: str, value: bytes) -> None:
        """Write a value."""
        ...

    def delete(self, key: str) -> None:
        """Delete a key."""
        ...


class HashedState(Protocol):
    """What can be known of a collection without being a member."""

    def get_hash(self, key: str) -> bytes | None:
        """Read the SHA-256 of a value, None when the key does not exist."""
        ...


@dataclass(frozen=True, slots=True)
class Record:
    """A struct as stored: its type and its fields, each a serialized StateData, in declaration order."""

    datatype: str
    fields: tuple[tuple[str, bytes], ...]

    @property
    def metadata(self) -> bytes:
        """The serialized StateMetadata."""
        message = db_pb2.StateMetadata(datatype=self.datatype, fields=[name for name, _ in self.fields])
        return message.SerializeToString(deterministic=True)


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the organizations must agree on; `collections` is a serialized CollectionConfigPackage, possibly empty."""

    version: str
    endorsement_plugin: str
    init_required: bool
    validation_plugin: str
    validation_parameter: bytes
    collections: bytes

    def record(self) -> Record:
        """Lay the parameters out as an approval."""
        return Record(PARAMETERS_TYPE, self._fields())

    def difference(self, other: Parameters) -> str | None:
        """Name the first field in which `other` differs, in Fabric's words; None when equal."""
        pairs = (
            ("Version", self.version, other.version),
            ("EndorsementPlugin", self.endorsement_plugin, other.endorsement_plugin),
            ("InitRequired", _go_bool(self.init_required), _go_bool(other.init_required)),
            ("ValidationPlugin", self.validation_plugin, other.validation_plugin),
            ("ValidationParameter", self.validation_parameter.hex(), other.validation_parameter.hex()),
        )
        for name, expected, passed in pairs:
            if expected != passed:
                return f"expected {name} '{expected}' does not match passed {name} '{passed}'"
        return None if self.collections == other.collections else "Collections do not match"

    def _fields(self) -> tuple[tuple[str, bytes], ...]:
        endorsement = chaincode_definition_pb2.ChaincodeEndorsementInfo(
            version=self.version, init_required=self.init_required, endorsement_plugin=self.endorsement_plugin
        )
        validation = chaincode_definition_pb2.ChaincodeValidationInfo(
            validation_plugin=self.validation_plugin, validation_parameter=self.validation_parameter
        )
        return (
            ("EndorsementInfo", _bytes_field(endorsement.SerializeToString(deterministic=True))),
            ("ValidationInfo", _bytes_field(validation.SerializeToString(deterministic=True))),
            ("Collections", _bytes_field(self.collections)),
        )


@dataclass(frozen=True, slots=True)
class Definition:
    """A chaincode definition: a name on a channel, its sequence and its parameters."""

    name: str
    sequence: int
    parameters: Parameters

    def record(self) -> Record:
        """Lay the definition out as the committed one."""
        sequence = db_pb2.StateData(Int64=self.sequence).SerializeToString(deterministic=True)
        return Record(DEFINITION_TYPE, (("Sequence", sequence), *self.parameters._fields()))

    @property
    def private_name(self) -> str:
        """The name of this sequence in an organization's own collection."""
        return private_name(self.name, self.sequence)


def private_name(name: str, sequence: int) -> str:
    """Name one sequence of a chaincode in an organization's own collection."""
    return f"{name}#{sequence}"


def implicit_collection(msp_id: str) -> str:
    """Name an organization's own collection."""
    return f"_implicit_org_{msp_id}"


def package_record(package_id: str) -> Record:
    """Lay out the package an organization runs; an empty ID means that it runs none."""
    field = db_pb2.StateData(String=package_id).SerializeToString(deterministic=True)
    return Record(PACKAGE_TYPE, (("PackageID", field),))


def metadata_key(space: str, name: str) -> str:
    """Key of a record's type and field names."""
    return f"{space}/metadata/{name}"


def field_key(space: str, name: str, field: str) -> str:
    """Key of one field of a record."""
    return f"{space}/fields/{name}/{field}"


def write_record(state: WritableState, space: str, name: str, record: Record) -> None:
    """Store a record, writing only what changed and deleting fields it no longer has."""
    metadata = read_metadata(state, space, name) or db_pb2.StateMetadata()
    existing = {field: state.get(field_key(space, name, field)) for field in metadata.fields}
    for field, value in record.fields:
        if existing.pop(field, None) != value:
            state.put(field_key(space, name, field), value)
    if existing or metadata.SerializeToString(deterministic=True) != record.metadata:
        state.put(metadata_key(space, name), record.metadata)
    for field in existing:
        state.delete(field_key(space, name, field))


def read_metadata(state: ReadableState, space: str, name: str) -> db_pb2.StateMetadata | None:
    """Read a record's type and field names, None when there is no such record."""
    value = state.get(metadata_key(space, name))
    return None if value is None else db_pb2.StateMetadata.FromString(value)


def read_fields(
    state: ReadableState, space: str, name: str, metadata: db_pb2.StateMetadata
) -> dict[str, db_pb2.StateData]:
    """Read all fields of a record."""
    values = {field: state.get(field_key(space, name, field)) for field in metadata.fields}
    return {field: db_pb2.StateData.FromString(value or b"") for field, value in values.items()}


def read_sequence(state: ReadableState, name: str) -> int:
    """Read the committed sequence of a chaincode, 0 when it is not defined."""
    value = state.get(field_key(DEFINITIONS, name, "Sequence"))
    return 0 if value is None else db_pb2.StateData.FromString(value).Int64


def read_definition(state: ReadableState, name: str) -> Definition | None:
    """Read the committed definition of a chaincode, None when it is not defined."""
    metadata = read_metadata(state, DEFINITIONS, name)
    if metadata is None or metadata.datatype != DEFINITION_TYPE:
        return None
    fields = read_fields(state, DEFINITIONS, name, metadata)
    return Definition(name, fields["Sequence"].Int64, _parameters(fields))


def read_approval(state: ReadableState, name: str, sequence: int) -> Definition | None:
    """Read what an organization approved for one sequence from its own collection, None when it has not."""
    private = private_name(name, sequence)
    metadata = read_metadata(state, DEFINITIONS, private)
    if metadata is None:
        return None
    return Definition(name, sequence, _parameters(read_fields(state, DEFINITIONS, private, metadata)))


def read_package_id(state: ReadableState, name: str, sequence: int) -> str | None:
    """Read the package an organization runs for one sequence: "" for none, None when it never said."""
    private = private_name(name, sequence)
    metadata = read_metadata(state, SOURCES, private)
    if metadata is None:
        return None
    return read_fields(state, SOURCES, private, metadata)["PackageID"].String


def record_mismatches(state: HashedState, space: str, name: str, record: Record) -> tuple[str, ...]:
    """Compare a record with what an organization stored, by hashes alone.

    Returns nothing when they are equal, the record's type when nothing is stored, else the fields that differ.
    """
    stored = state.get_hash(metadata_key(space, name))
    differing = tuple(
        field
        for field, value in record.fields
        if state.get_hash(field_key(space, name, field)) != hashlib.sha256(value).digest()
    )
    if stored != hashlib.sha256(record.metadata).digest():
        return (record.datatype,)
    return differing


def _parameters(fields: Mapping[str, db_pb2.StateData]) -> Parameters:
    endorsement = chaincode_definition_pb2.ChaincodeEndorsementInfo.FromString(fields["EndorsementInfo"].Bytes)
    validation = chaincode_definition_pb2.ChaincodeValidationInfo.FromString(fields["ValidationInfo"].Bytes)
    return Parameters(
        version=endorsement.version,
        endorsement_plugin=endorsement.endorsement_plugin,
        init_required=endorsement.init_required,
        validation_plugin=validation.validation_plugin,
        validation_parameter=validation.validation_parameter,
        collections=fields["Collections"].Bytes,
    )


def _bytes_field(value: bytes) -> bytes:
    return db_pb2.StateData(Bytes=value).SerializeToString(deterministic=True)


def _go_bool(value: bool) -> str:
    return "true" if value else "false"

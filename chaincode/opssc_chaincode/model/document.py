"""The base of all documents: strict, closed, frozen, with one canonical encoding each."""

from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from opssc_chaincode import canonical
from opssc_chaincode.canonical import Json


class DocumentError(ValueError):
    """Bytes that are not a valid document of the asked type; the text names the field."""


def field_name(attribute: str) -> str:
    """Give the document's name of an attribute: camelCase, with ID in capitals (`msp_id` is `mspID`)."""
    first, *rest = attribute.split("_")
    return first + "".join("ID" if word == "id" else word.capitalize() for word in rest)


class Document(BaseModel):
    """A value with one canonical encoding: a field that equals its default is absent, null never appears."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        alias_generator=field_name,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        ser_json_inf_nan="strings",
    )

    def to_json(self) -> dict[str, Any]:
        """Give the document as plain JSON values, defaults left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)

    def canonical(self) -> bytes:
        """Encode canonically; raises CanonicalError for text that is not Unicode."""
        return canonical.dumps(self.to_json())

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Decode canonical bytes; raises DocumentError for anything but the one encoding of a valid document."""
        try:
            cls._inspect(canonical.loads(data))
            document = cls.model_validate_json(data, by_name=False, by_alias=True)
        except canonical.CanonicalError as exc:
            raise DocumentError(str(exc)) from exc
        except ValidationError as exc:
            raise DocumentError(describe(exc)) from exc
        if document.canonical() != data:
            raise DocumentError("the document spells out null or a default value: leave such fields out")
        return document

    @classmethod
    def _inspect(cls, value: Json) -> None:
        """Refuse by DocumentError what deserves a better text than that of the first bad field."""

    @classmethod
    def from_state(cls, data: bytes) -> Self:
        """Decode what the contract itself stored or answered, without asking for canonical bytes again."""
        try:
            return cls.model_validate_json(data, by_name=False, by_alias=True)
        except ValidationError as exc:
            raise DocumentError(describe(exc)) from exc


def describe(error: ValidationError) -> str:
    """Say what is wrong with the first bad field, in one bounded line without the value."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])[:200] or "the document"
    return f"{where}: {first['msg'].removeprefix('Value error, ')[:300]}"

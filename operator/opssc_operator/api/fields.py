"""The base of all models, and bounded scalars of ours; each bound stands in `crds/` too.

What goes to the ledger has the bounds of the contract and is taken from `opssc_chaincode.model.fields`.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

_UPPER_CASE_PARTS: Final = frozenset({"ca", "id"})


def manifest_name(attribute: str) -> str:
    """Name a Python attribute has in a manifest: camelCase with ID and CA in capitals (`msp_id` is `mspID`)."""
    first, *rest = attribute.split("_")
    return first + "".join(part.upper() if part in _UPPER_CASE_PARTS else part.capitalize() for part in rest)


class ApiModel(BaseModel):
    """A part of a manifest: immutable, camelCase outside, unknown fields refused."""

    model_config = ConfigDict(
        alias_generator=manifest_name,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
    )

    def to_manifest(self) -> dict[str, Any]:
        """Plain JSON values under their manifest names; what is unset is absent."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def _rfc3339(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Time = Annotated[
    datetime,
    PlainSerializer(_rfc3339, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A moment; RFC 3339 in UTC and whole seconds in a manifest."""

ContentHash = Annotated[str, StringConstraints(min_length=64, max_length=64, pattern=r"^[0-9a-f]{64}$")]
"""Hex SHA-256 of a proposal's canonical content."""
Address = Annotated[
    str, StringConstraints(min_length=3, max_length=253, pattern=r"^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$")
]
"""`host:port` of a peer or an orderer."""
ServerName = Annotated[
    str, StringConstraints(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$")
]
"""Name expected in a TLS certificate."""
ObjectName = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
    ),
]
"""Name of a Kubernetes object."""
SecretKey = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
"""Key inside a Secret."""

MAX_STATUS_TEXT: Final = 256


def status_text(text: str) -> str:
    """Cut a text to what a status field holds (256 characters), on one line, ending in an ellipsis when cut.

    What cannot be printed becomes a space: other organizations write such texts, and terminals obey them.
    """
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= MAX_STATUS_TEXT else line[: MAX_STATUS_TEXT - 1] + "…"


def _fit(value: object) -> object:
    return status_text(value) if isinstance(value, str) else value


StatusText = Annotated[str, BeforeValidator(_fit), StringConstraints(max_length=MAX_STATUS_TEXT)]
"""A text in status; a longer one is cut, because a status that cannot be written tells nobody anything."""

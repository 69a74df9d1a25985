"""The field types of documents, with the bounds of Fabric and of the contract. Pure.

Patterns are matched by Rust's regex engine: linear time, `$` is the end of the text.
Sources: Fabric core/chaincode/lifecycle (chaincode name, version, label), core/chaincode/lifecycle/scc.go (collection
name), common/configtx (channel name), RFC 1123 and RFC 1035 (labels), the distribution specification (image names).
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator, StringConstraints, WithJsonSchema

MAX_MEMBERS = 200

MspID = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=128)]
ProposalID = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)]
ChannelName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9.-]*$", max_length=249)]
ChaincodeName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9]+([-_][a-zA-Z0-9]+)*$", max_length=128)]
ChaincodeVersion = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.+-]+$", max_length=128)]
CollectionName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-][A-Za-z0-9_-]*$", max_length=128)]
PackageLabel = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$", max_length=128)]
ServiceLabel = Annotated[str, StringConstraints(pattern=r"^[a-z]([a-z0-9-]*[a-z0-9])?$", max_length=63)]
PackageID = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*:[0-9a-f]{64}$", max_length=193)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
TransactionID = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
PluginName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=64)]
PolicyText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._'\"(), -]+$", min_length=1, max_length=16384)]
PolicyPath = Annotated[str, StringConstraints(pattern=r"^(/[A-Za-z0-9._-]+)+$", max_length=512)]
ImageName = Annotated[
    str,
    StringConstraints(
        pattern=(
            r"^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?/)?"
            r"[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*)*$"
        ),
        max_length=255,
    ),
]
ImageDigest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
HttpsUrl = Annotated[
    str, StringConstraints(pattern=r"^https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~%+@-]+)+/?$", max_length=2048)
]
CommitID = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]
RelativePath = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$", max_length=512),
]
PeerName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$", max_length=253)]
Duration = Annotated[str, StringConstraints(pattern=r"^([0-9]{1,6}(ms|s|m|h)){1,4}$")]

Reason = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Message = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Description = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Subject = Annotated[str, StringConstraints(max_length=512)]
NAME_SEPARATOR = "/"
ProposalName = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*/[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
        max_length=192,
    ),
]

_TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def format_time(value: datetime) -> str:
    """Write a UTC time as RFC 3339 in whole seconds, by truncation."""
    # Not strftime: it does not pad years below 1000 on every platform.
    return value.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def parse_time(text: str) -> datetime:
    """Read a time as `format_time` writes it; raises ValueError for any other spelling."""
    try:
        value = datetime.strptime(text, _TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError as exc:
        raise ValueError("a time is RFC 3339 in UTC and whole seconds, for example 2026-01-31T12:00:00Z") from exc
    if format_time(value) != text:
        raise ValueError("a time is RFC 3339 in UTC and whole seconds, for example 2026-01-31T12:00:00Z")
    return value


def _time(value: object) -> datetime:
    if isinstance(value, str):
        return parse_time(value)
    if not isinstance(value, datetime) or value.tzinfo is None or value.microsecond:
        raise ValueError("a time has a zone and whole seconds")
    return value.astimezone(UTC)


Time = Annotated[
    datetime,
    PlainValidator(_time),
    PlainSerializer(format_time, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class Kind(StrEnum):
    """What a proposal is about."""

    CHAINCODE = "Chaincode"
    CHANNEL = "Channel"
    CHARTER = "Charter"

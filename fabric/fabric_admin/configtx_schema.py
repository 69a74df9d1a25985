"""The shape of a ``configtx.yaml``: which keys exist where, and what their values are.

Reads values as leniently as the genesis tool does (numbers and flags as text, sizes with units, keys in any case,
``fabric: common/viperutil``), refuses keys nobody knows. Knows nothing of what the values mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fabric_admin import duration
from fabric_admin.errors import ConfigError

MAX_NODES: Final = 200_000
MAX_PROBLEMS: Final = 100
_MAX_SHOWN: Final = 80
_SIZE: Final = re.compile(r"([0-9]+)\s*([kmg])b?", re.ASCII | re.IGNORECASE)
_UNIT_BYTES: Final = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_MAX_UINT32: Final = (1 << 32) - 1
_MAX_UINT64: Final = (1 << 64) - 1
_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"", "0", "f", "F", "false", "FALSE", "False"})

Scalar = Callable[[object], object]


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list; a lone value counts as a list of one."""

    item: Shape


@dataclass(frozen=True, slots=True)
class MapOf:
    """A mapping with keys of the author's choice."""

    item: Shape


Shape = Scalar | ListOf | MapOf | Mapping[str, Any]
"""A scalar's reader, a list, a free mapping, or a mapping of known keys to shapes."""


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, str | float) or (isinstance(value, int) and abs(value) <= _MAX_UINT64):
        return str(value)
    raise ConfigError(f"expected type 'string', got '{type(value).__name__}'")


def _whole(value: object, largest: int) -> int:
    if isinstance(value, str):
        try:
            value = int(value or "0", 0)
        except ValueError as exc:
            raise ConfigError(f"cannot parse value as a number: {_cut(str(value))}") from exc
    if isinstance(value, bool | int | float) and 0 <= value <= largest:
        return int(value)
    shown = hex(value) if isinstance(value, int) and abs(value) > _MAX_UINT64 else str(value)
    raise ConfigError(f"cannot parse, {_cut(shown)} overflows or is no whole number")


def _size(value: object) -> int:
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return _whole(value, _MAX_UINT32)
    size = int(found[1][:_MAX_SHOWN]) * _UNIT_BYTES[found[2].lower()]
    if size > _MAX_UINT32:
        raise ConfigError(f"value '{_cut(str(value))}' overflows uint32")
    return size


def _number(value: object) -> int:
    return _whole(value, _MAX_UINT64)


def _flag(value: object) -> bool:
    if isinstance(value, str):
        if value not in _TRUE | _FALSE:
            raise ConfigError(f"cannot parse '{_cut(value)}' as bool")
        return value in _TRUE
    if isinstance(value, bool | int | float):
        return bool(value)
    raise ConfigError(f"expected type 'bool', got '{type(value).__name__}'")


def _duration(value: object) -> int:
    return duration.parse(value) if isinstance(value, str) else _whole(value, _MAX_UINT64)


TEXT: Final[Scalar] = _text
SIZE: Final[Scalar] = _size
NUMBER: Final[Scalar] = _number
FLAG: Final[Scalar] = _flag
NANOSECONDS: Final[Scalar] = _duration

_POLICIES: Final = MapOf({"Type": TEXT, "Rule": TEXT})
_CAPABILITIES: Final = MapOf(FLAG)
_ADDRESS: Final = {"Host": TEXT, "Port": SIZE}
_ORGANIZATION: Final = {
    "Name": TEXT,
    "ID": TEXT,
    "MSPDir": TEXT,
    "MSPType": TEXT,
    "Policies": _POLICIES,
    "AnchorPeers": ListOf(_ADDRESS),
    "OrdererEndpoints": ListOf(TEXT),
    "AdminPrincipal": TEXT,
    "SkipAsForeign": FLAG,
}
_CERTIFICATES: Final = {"ClientTLSCert": TEXT, "ServerTLSCert": TEXT}
_SMART_BFT: Final = {
    "RequestBatchMaxCount": NUMBER,
    "RequestBatchMaxBytes": NUMBER,
    "RequestBatchMaxInterval": TEXT,
    "IncomingMessageBufferSize": NUMBER,
    "RequestPoolSize": NUMBER,
    "RequestForwardTimeout": TEXT,
    "RequestComplainTimeout": TEXT,
    "RequestAutoRemoveTimeout": TEXT,
    "ViewChangeResendInterval": TEXT,
    "ViewChangeTimeout": TEXT,
    "LeaderHeartbeatTimeout": TEXT,
    "LeaderHeartbeatCount": NUMBER,
    "CollectTimeout": TEXT,
    "SyncOnStart": FLAG,
    "SpeedUpViewChange": FLAG,
    "LeaderRotation": SIZE,
    "DecisionsPerLeader": NUMBER,
    "RequestMaxBytes": NUMBER,
}
_ORDERER: Final = {
    "OrdererType": TEXT,
    "Addresses": ListOf(TEXT),
    "BatchTimeout": NANOSECONDS,
    "BatchSize": {"MaxMessageCount": SIZE, "AbsoluteMaxBytes": SIZE, "PreferredMaxBytes": SIZE},
    "ConsenterMapping": ListOf({"ID": SIZE, **_ADDRESS, "MSPID": TEXT, "Identity": TEXT, **_CERTIFICATES}),
    "EtcdRaft": {
        "Consenters": ListOf({**_ADDRESS, **_CERTIFICATES}),
        "Options": {
            "TickInterval": TEXT,
            "ElectionTick": SIZE,
            "HeartbeatTick": SIZE,
            "MaxInflightBlocks": SIZE,
            "SnapshotIntervalSize": SIZE,
        },
    },
    "SmartBFT": _SMART_BFT,
    "Organizations": ListOf(_ORGANIZATION),
    "MaxChannels": NUMBER,
    "Capabilities": _CAPABILITIES,
    "Policies": _POLICIES,
}
_APPLICATION: Final = {
    "Organizations": ListOf(_ORGANIZATION),
    "Capabilities": _CAPABILITIES,
    "Policies": _POLICIES,
    "ACLs": MapOf(TEXT),
}
_PROFILE: Final = {
    "Consortium": TEXT,
    "Application": _APPLICATION,
    "Orderer": _ORDERER,
    "Consortiums": MapOf({"Organizations": ListOf(_ORGANIZATION)}),
    "Capabilities": _CAPABILITIES,
    "Policies": _POLICIES,
}
DOCUMENT: Final = {
    "Profiles": MapOf(_PROFILE),
    "Organizations": ListOf(_ORGANIZATION),
    "Channel": _PROFILE,
    "Application": _APPLICATION,
    "Orderer": _ORDERER,
    "Capabilities": MapOf(_CAPABILITIES),
}


def read_document(document: object) -> dict[str, Any]:
    """Return a parsed file with keys spelled as in the shape and values of the right types.

    Absent and empty values are left out. Raises ConfigError listing every key nobody knows and every unusable value.
    """
    reading = _Reading()
    found = reading.read(document if document is not None else {}, DOCUMENT, "")
    if reading.problems:
        raise ConfigError("decoding failed due to the following error(s):\n" + "\n".join(sorted(reading.problems)))
    return dict(found)


class _Reading:
    """One pass over a file; shared parts count each time, so that aliases cannot make a small file endless."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._nodes = 0

    def read(self, value: object, shape: Shape, path: str) -> Any:
        self._count(1)
        if isinstance(shape, ListOf):
            return self._list(value, shape, path)
        if isinstance(shape, MapOf):
            return {
                key: self.read(item, shape.item, f"{path}[{_cut(key)}]")
                for key, item in self._mapping(value, path).items()
                if item is not None
            }
        if isinstance(shape, Mapping):
            return self._known(self._mapping(value, path), shape, path)
        try:
            return shape(value)
        except ConfigError as exc:
            self._report(f"'{path}' {exc}")
            return None

    def _count(self, entries: int) -> None:
        self._nodes += entries
        if self._nodes > MAX_NODES:
            raise ConfigError(f"the file has more than {MAX_NODES} entries")

    def _report(self, problem: str) -> None:
        self.problems.append(problem)
        if len(self.problems) >= MAX_PROBLEMS:
            raise ConfigError("decoding failed, too many errors:\n" + "\n".join(sorted(self.problems)))

    def _list(self, value: object, shape: ListOf, path: str) -> list[Any]:
        if isinstance(value, str):
            lone = value.strip()
            listed = lone[1:-1].split(",") if lone.startswith("[") and lone.endswith("]") else [lone]
            value = [each.strip() for each in listed if each.strip()]
            self._count(len(lone) // 64)
        items = value if isinstance(value, list) else [value]
        return [self.read(item, shape.item, f"{path}[{index}]") for index, item in enumerate(items)]

    def _known(self, value: Mapping[str, object], shape: Mapping[str, Any], path: str) -> dict[str, Any]:
        spelled = {key.lower(): key for key in shape}
        unknown = sorted(key for key in value if key.lower() not in spelled)
        if unknown:
            self._report(f"'{path}' has invalid keys: {', '.join(map(_cut, unknown[:MAX_PROBLEMS]))}")
        prefix = f"{path}." if path else ""
        return {
            spelled[key.lower()]: self.read(item, shape[spelled[key.lower()]], prefix + spelled[key.lower()])
            for key, item in value.items()
            if key.lower() in spelled and item is not None
        }

    def _mapping(self, value: object, path: str) -> Mapping[str, object]:
        if not isinstance(value, Mapping):
            self._report(f"'{path}' expected a map, got '{type(value).__name__}'")
            return {}
        self._count(len(value))
        return {_key(key): item for key, item in value.items()}


def _key(key: object) -> str:
    return hex(key) if isinstance(key, int) and abs(key) > _MAX_UINT64 else str(key)


def _cut(text: str) -> str:
    """Keep a stranger's text from filling a message, once for each of many problems."""
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."

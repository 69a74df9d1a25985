"""Faults to inject into a network's calls: data and matching only; the embedded servers act on them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase


class FaultKind(StrEnum):
    """What happens to a matching call."""

    DROP = "drop"
    DELAY = "delay"
    REFUSE = "refuse"
    DUPLICATE = "duplicate"
    REORDER = "reorder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Misbehaviour for calls whose gRPC method and node name match the patterns, `times` times (None: always).

    `method` is a full gRPC method such as `/gateway.Gateway/Submit`; both patterns allow `*`.
    """

    kind: FaultKind
    method: str = "*"
    endpoint: str = "*"
    delay_seconds: float = 0.0
    times: int | None = 1

    def matches(self, method: str, endpoint: str) -> bool:
        """Whether a call of `method` on the node named `endpoint` is meant."""
        return fnmatchcase(method, self.method) and fnmatchcase(endpoint, self.endpoint)


class FaultTable:
    """The faults in force, oldest first."""

    __slots__ = ("_faults",)

    def __init__(self) -> None:
        self._faults: list[tuple[Fault, int | None]] = []

    def add(self, fault: Fault) -> None:
        """Put a fault in force."""
        self._faults.append((fault, fault.times))

    def clear(self) -> None:
        """Lift every fault."""
        self._faults.clear()

    def take(self, method: str, endpoint: str) -> Fault | None:
        """Return the first fault meant for this call and count it as used, or None."""
        for index, (fault, remaining) in enumerate(self._faults):
            if fault.matches(method, endpoint):
                if remaining == 1:
                    del self._faults[index]
                elif remaining is not None:
                    self._faults[index] = (fault, remaining - 1)
                return fault
        return None

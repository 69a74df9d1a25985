"""One judgement about one condition, before it becomes Kubernetes status.

Owns the value type that every pure decision answers with. Must not know about time or Kubernetes objects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from opssc_operator.api.conditions import Reason

ConditionStatus = Literal["True", "False", "Unknown"]
MESSAGE_LIMIT: Final = 256


@dataclass(frozen=True, slots=True)
class Verdict:
    """What holds, why, and what a person can do about it (message at most 256 characters)."""

    status: ConditionStatus
    reason: Reason
    message: str = ""

    def __post_init__(self) -> None:
        """Keep messages within what a status may carry."""
        if len(self.message) > MESSAGE_LIMIT:
            object.__setattr__(self, "message", self.message[: MESSAGE_LIMIT - 1] + "…")

    @property
    def holds(self) -> bool:
        """Whether the condition is True."""
        return self.status == "True"

    @property
    def fails(self) -> bool:
        """Whether the condition is False."""
        return self.status == "False"


def yes(reason: Reason, message: str = "") -> Verdict:
    """The condition holds."""
    return Verdict("True", reason, message)


def no(reason: Reason, message: str = "") -> Verdict:
    """The condition does not hold."""
    return Verdict("False", reason, message)


def unknown(reason: Reason, message: str = "") -> Verdict:
    """Nothing can be said yet."""
    return Verdict("Unknown", reason, message)

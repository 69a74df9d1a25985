"""Which channels this organization has left for good: own peers refused it there for longer than the retention. Pure.

Since when stands in the FabricChannel, so that it survives this process.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from pydantic import BaseModel, ValidationError

from opssc_operator.api.channel import FabricChannel
from opssc_operator.api.conditions import Condition, ConditionStatus, ConditionType


def left_channels(shown: Iterable[FabricChannel], now: datetime, retention: timedelta) -> frozenset[str]:
    """Names of the channels whose operator-made object has said ``Member`` False for ``retention``."""
    return frozenset(known.spec.channel for known in shown if left_in(known, now, retention) == 0.0)


def left_in(shown: FabricChannel, now: datetime, retention: timedelta) -> float | None:
    """In how many seconds a channel is left for good, 0 once it is; None where the object does not say so at all."""
    since = left_since(shown) if shown.metadata.mirrored else None
    return None if since is None else max((since + retention - now).total_seconds(), 0.0)


def left_since(shown: FabricChannel) -> datetime | None:
    """Since when a channel's object says that this organization is not a member; None when it says otherwise."""
    try:
        conditions = _Conditions.model_validate(shown.status).conditions
    except ValidationError:
        # Another version wrote what this one cannot read.
        return None
    found = next((each for each in conditions if each.type is ConditionType.MEMBER), None)
    return None if found is None or found.status is not ConditionStatus.FALSE else found.last_transition_time


def shown_sequence(shown: FabricChannel) -> int:
    """The sequence of the configuration that a channel's object shows; -1 where it shows none."""
    sequence = shown.status.get("configSequence")
    return sequence if isinstance(sequence, int) else -1


class _Conditions(BaseModel):
    """The conditions of a status, whatever else it says."""

    conditions: tuple[Condition, ...] = ()

"""What to write into `status`, and whether to write at all. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from pydantic import JsonValue

    from opssc_operator.api.conditions import Condition


def merge_conditions(
    standing: Mapping[str, JsonValue], wanted: Iterable[Condition], *, now: datetime, generation: int
) -> tuple[Condition, ...]:
    """The wanted conditions with their times, as metav1.Condition wants them.

    `lastTransitionTime` stays what it is in the `standing` status (raw JSON) unless the status of the condition flips.
    """
    since = _transition_times(standing)
    return tuple(
        condition.model_validate(
            {
                **condition.model_dump(),
                "last_transition_time": since.get((condition.type, condition.status), now.replace(microsecond=0)),
                "observed_generation": generation,
            }
        )
        for condition in wanted
    )


def changed(standing: Mapping[str, JsonValue], wanted: Mapping[str, object]) -> bool:
    """Whether writing `wanted` by server-side apply would change the `standing` status (both raw JSON)."""
    return _without_nulls(standing) != _without_nulls(wanted)


def _transition_times(standing: Mapping[str, JsonValue]) -> dict[tuple[str, str], str]:
    conditions = standing.get("conditions")
    times = {}
    for condition in conditions if isinstance(conditions, list) else ():
        if isinstance(condition, dict) and isinstance(time := condition.get("lastTransitionTime"), str):
            times[str(condition.get("type")), str(condition.get("status"))] = time
    return times


def _without_nulls(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_without_nulls(item) for item in value]
    return value

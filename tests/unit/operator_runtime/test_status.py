"""Conditions and whether a status is worth a write."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from opssc_operator.api.conditions import Condition, ConditionStatus, ConditionType, Reason
from opssc_operator.kube.status import changed, merge_conditions

if TYPE_CHECKING:
    from pydantic import JsonValue

NOW = datetime(2026, 11, 21, 9, 20, 0, 123456, tzinfo=UTC)
READY = Condition(type=ConditionType.READY, status=ConditionStatus.TRUE, reason=Reason.READY, message="done")
EARLIER = "2026-01-01T00:00:00Z"


def standing(status: str) -> dict[str, JsonValue]:
    condition: dict[str, JsonValue] = {
        "type": "Ready",
        "status": status,
        "reason": "Old",
        "lastTransitionTime": EARLIER,
    }
    return {"conditions": [condition]}


@pytest.mark.parametrize(
    ("before", "since"),
    [
        pytest.param(standing("True"), EARLIER, id="the status stays"),
        pytest.param(standing("False"), "2026-11-21T09:20:00Z", id="the status flips"),
        pytest.param({}, "2026-11-21T09:20:00Z", id="there was none"),
        pytest.param({"conditions": "nonsense"}, "2026-11-21T09:20:00Z", id="there was nonsense"),
        pytest.param({"conditions": [7, {"type": "Ready"}]}, "2026-11-21T09:20:00Z", id="there were odd entries"),
    ],
)
def test_the_transition_time_moves_only_when_the_status_flips(before: dict[str, JsonValue], since: str) -> None:
    [merged] = merge_conditions(before, [READY], now=NOW, generation=3)

    assert merged.to_manifest() == {
        "type": "Ready",
        "status": "True",
        "reason": "Ready",
        "message": "done",
        "lastTransitionTime": since,
        "observedGeneration": 3,
    }


def test_merging_twice_changes_nothing() -> None:
    once = merge_conditions({}, [READY], now=NOW, generation=1)
    status: dict[str, JsonValue] = {"conditions": [condition.to_manifest() for condition in once]}

    again = merge_conditions(status, [READY], now=NOW.replace(year=2027), generation=1)

    assert again == once


@pytest.mark.parametrize(
    ("before", "after", "is_changed"),
    [
        pytest.param({"a": 1}, {"a": 1}, False, id="equal"),
        pytest.param({"a": 1}, {"a": 1, "b": None}, False, id="null is absent"),
        pytest.param({"a": [{"b": 1}]}, {"a": ({"b": 1, "c": None},)}, False, id="nested"),
        pytest.param({"a": 1}, {}, True, id="one removed"),
        pytest.param({"a": [1, 2]}, {"a": [2, 1]}, True, id="another order"),
        pytest.param({}, {"a": 0}, True, id="zero is not absent"),
    ],
)
def test_a_status_is_written_only_when_it_says_something_else(
    before: dict[str, JsonValue], after: dict[str, object], is_changed: bool
) -> None:
    assert changed(before, after) is is_changed

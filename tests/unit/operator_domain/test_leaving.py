"""When a channel that removed an organization counts as left for good."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opssc_operator.api.channel import FabricChannel
from opssc_operator.api.group import MIRRORED, ORIGIN_LABEL
from opssc_operator.domain.leaving import left_channels, left_since

NOW = datetime(2026, 6, 1, tzinfo=UTC)
RETENTION = timedelta(hours=1)
REMOVED: dict[str, Any] = {
    "type": "Member",
    "status": "False",
    "reason": "NotAMember",
    "lastTransitionTime": (NOW - RETENTION).isoformat().replace("+00:00", "Z"),
}


def shown(*conditions: dict[str, Any], own: bool = True, **status: Any) -> FabricChannel:
    metadata = {"name": "trade", "namespace": "org1", "uid": "1", "resourceVersion": "1", "generation": 1}
    owner = {"apiVersion": "opssc.dev/v1alpha1", "kind": "FabricOrganization", "name": "org1", "uid": "2"}
    marks = {"labels": {ORIGIN_LABEL: MIRRORED}, "ownerReferences": [owner]} if own else {}
    return FabricChannel.model_validate(
        {
            "apiVersion": "opssc.dev/v1alpha1",
            "kind": "FabricChannel",
            "metadata": {**metadata, **marks},
            "spec": {"channel": "trade"},
            "status": {"conditions": list(conditions), **status},
        }
    )


@pytest.mark.parametrize(
    ("channel", "left"),
    [
        pytest.param(shown(REMOVED), True, id="removed-long-ago"),
        pytest.param(shown({**REMOVED, "lastTransitionTime": NOW.isoformat()}), False, id="just-removed"),
        pytest.param(shown({**REMOVED, "status": "True"}), False, id="a-member"),
        pytest.param(shown({**REMOVED, "status": "Unknown"}), False, id="nobody-knows"),
        pytest.param(shown({**REMOVED, "type": "Ready"}), False, id="not-ready"),
        pytest.param(shown(), False, id="not-looked-at"),
        pytest.param(shown({**REMOVED, "lastTransitionTime": "yesterday"}), False, id="unreadable-time"),
        pytest.param(shown({**REMOVED, "reason": "Banished"}), False, id="of-another-version"),
        pytest.param(shown({name: REMOVED[name] for name in ("type", "status", "reason")}), False, id="without-time"),
        pytest.param(shown(REMOVED, own=False), False, id="made-by-somebody-else"),
    ],
)
def test_a_channel_is_left_when_the_operator_has_said_so_for_the_retention(channel: FabricChannel, left: bool) -> None:
    assert left_channels([channel], NOW, RETENTION) == (frozenset({"trade"}) if left else frozenset())


@given(st.timedeltas(timedelta(), timedelta(days=400)), st.timedeltas(timedelta(), timedelta(days=400)))
def test_nothing_is_left_before_the_retention_and_stays_left_after_it(ago: timedelta, retention: timedelta) -> None:
    channel = shown({**REMOVED, "lastTransitionTime": (NOW - ago).isoformat()})

    assert left_since(channel) == NOW - ago
    assert bool(left_channels([channel], NOW, retention)) is (ago >= retention)
    assert left_channels([channel], NOW, retention) <= left_channels([channel], NOW + timedelta(days=1), retention)

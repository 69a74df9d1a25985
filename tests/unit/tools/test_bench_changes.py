"""The arithmetic on phases of changes of channels; nothing is measured here."""

from __future__ import annotations

from opssc_tools.bench.changes import ChannelFigures


def test_phases_are_medians_in_their_order_and_the_total_is_of_whole_proposals() -> None:
    proposals = ({"kubectl": 1.0, "votes": 5.0}, {"kubectl": 2.0, "votes": 1.0}, {"kubectl": 3.0, "votes": 2.0})

    found = ChannelFigures(3, "embedded", proposals, 0.5)

    assert list(found.phases.items()) == [("kubectl", 2.0), ("votes", 2.0)]
    assert found.total == 5.0
    assert found.to_json()["totalSeconds"] == 5.0

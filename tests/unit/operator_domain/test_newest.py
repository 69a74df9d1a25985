"""A mapping that forgets its oldest keys."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from opssc_operator.domain.newest import Newest


@given(keys=st.lists(st.integers(0, 9)), limit=st.integers(1, 5))
def test_the_newest_keys_are_kept_with_their_latest_values(keys: list[int], limit: int) -> None:
    kept: Newest[int, int] = Newest(limit)
    expected: list[int] = []

    for value, key in enumerate(keys):
        kept[key] = value
        if key not in expected:
            expected = [*expected, key][-limit:]

        assert list(kept) == expected
        assert kept[key] == value

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric_admin import duration
from fabric_admin.batch import Batch
from fabric_admin.errors import ConfigError

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "nanoseconds", "shown"),
    [
        ("0", 0, "0s"),
        ("2s", 2 * SECOND, "2s"),
        ("+1.5s", 3 * SECOND // 2, "1.5s"),
        ("-1s", -SECOND, "-1s"),
        (".5s", SECOND // 2, "500ms"),
        ("1m30s", 90 * SECOND, "1m30s"),
        ("3600s", 3600 * SECOND, "1h0m0s"),
        ("1h1ms", 3600 * SECOND + 1_000_000, "1h0m0.001s"),
        ("300us", 300_000, "300µs"),
        ("1500ns", 1500, "1.5µs"),
        ("7ns", 7, "7ns"),
    ],
    ids=str,
)
def test_a_go_duration_is_read_and_written_as_go_does(text: str, nanoseconds: int, shown: str) -> None:
    assert duration.parse(text) == nanoseconds
    assert duration.text(nanoseconds) == shown


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", 'time: invalid duration ""'),
        ("soon", 'time: invalid duration "soon"'),
        ("-", 'time: invalid duration "-"'),
        ("10", 'time: missing unit in duration "10"'),
        ("1d", 'time: unknown unit "d" in duration "1d"'),
        ("9999999h", 'time: invalid duration "9999999h"'),
    ],
    ids=repr,
)
def test_what_is_no_go_duration_is_refused_in_gos_words(text: str, reason: str) -> None:
    with pytest.raises(ConfigError) as refused:
        duration.parse(text)
    assert str(refused.value) == reason


@given(st.integers(-(1 << 62), 1 << 62))
def test_a_written_duration_reads_back_the_same(nanoseconds: int) -> None:
    assert duration.parse(duration.text(nanoseconds)) == nanoseconds


@given(st.text(max_size=40))
def test_any_text_is_a_duration_or_a_typed_error(text: str) -> None:
    try:
        found = duration.parse(text)
    except ConfigError:
        return
    assert abs(found) < 1 << 63


@pytest.mark.parametrize(
    ("batch", "reason"),
    [
        pytest.param(Batch(timeout="-5s"), "batch timeout to a non-positive value: -5s", id="negative"),
        pytest.param(Batch(absolute_max_bytes=0), "absolute max bytes to an invalid value: 0", id="no-bytes"),
        pytest.param(
            Batch(absolute_max_bytes=10, preferred_max_bytes=11),
            r"preferred max bytes \(11\) greater than the absolute max bytes \(10\)\.",
            id="preferred-above-absolute",
        ),
    ],
)
def test_a_batch_no_orderer_runs_with_is_refused(batch: Batch, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        batch.check()

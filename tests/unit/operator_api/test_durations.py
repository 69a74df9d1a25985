from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opssc_operator.api.durations import format_duration, parse_duration

LONGEST = timedelta(microseconds=(2**63 - 1) // 1000)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("0s", timedelta(0)),
        ("168h", timedelta(days=7)),
        ("1h30m", timedelta(hours=1, minutes=30)),
        ("1.5h", timedelta(minutes=90)),
        ("200ms", timedelta(milliseconds=200)),
        ("15us", timedelta(microseconds=15)),
        ("3000ns", timedelta(microseconds=3)),
        ("1m1m", timedelta(minutes=2)),
        ("2562047h", timedelta(hours=2562047)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_duration_is_read_as_go_reads_it(text: str, span: timedelta) -> None:
    assert parse_duration(text) == span


@pytest.mark.parametrize(
    "text",
    [
        "", "7", "7d", "-1h", "+1h", "1h ", " 1h", "1h\n", "1 h", "h", ".5h", "1,5h", "\u0661h", "1H", "1ns",
        "2562048h", "9" * 31 + "h", "0" * 64 + "h",
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@given(st.timedeltas(min_value=timedelta(0), max_value=LONGEST))
def test_a_span_written_and_read_is_the_same_span(span: timedelta) -> None:
    text = format_duration(span)

    # The longest text there is; the schema bounds it too.
    assert len(text) <= 32
    assert parse_duration(text) == span


@given(st.text(max_size=40))
def test_any_text_is_a_duration_or_refused_as_none(text: str) -> None:
    try:
        span = parse_duration(text)
    except ValueError:
        return
    assert timedelta(0) <= span <= LONGEST


def test_a_negative_span_has_no_text() -> None:
    with pytest.raises(ValueError, match="never negative"):
        format_duration(timedelta(microseconds=-1))

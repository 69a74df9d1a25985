"""Go durations (`168h`, `1h30m`, `200ms`): the text form of every time span in a manifest.

Parsing follows Go's `time.ParseDuration` without signs; resolution here is one microsecond, finer parts are refused.
"""

import re
from datetime import timedelta
from fractions import Fraction
from typing import Annotated, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

GO_DURATION_PATTERN: Final = r"^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+$"
GO_DURATION_MAX_LENGTH: Final = 32

_MICROSECONDS: Final = {
    "h": Fraction(3_600_000_000),
    "m": Fraction(60_000_000),
    "s": Fraction(1_000_000),
    "ms": Fraction(1_000),
    "us": Fraction(1),
    "ns": Fraction(1, 1000),
}
_TERM: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|ms|s|m|h)")
_WHOLE: Final = re.compile(GO_DURATION_PATTERN.removesuffix("$") + r"\Z", re.ASCII)
# Go keeps nanoseconds in an int64; what does not fit there is no duration for any Go program reading the same manifest.
_MAX_MICROSECONDS: Final = (2**63 - 1) // 1000


def parse_duration(text: str) -> timedelta:
    """Read a Go duration; raises ValueError for anything else, for parts below a microsecond and for overflow."""
    if len(text) > GO_DURATION_MAX_LENGTH or not _WHOLE.match(text):
        raise ValueError(f"{text[:GO_DURATION_MAX_LENGTH]!r} is not a duration such as 90s, 1h30m or 168h")
    total = sum((Fraction(number) * _MICROSECONDS[unit] for number, unit in _TERM.findall(text)), Fraction(0))
    if total.denominator != 1:
        raise ValueError(f"duration {text!r} has a part below one microsecond")
    if total > _MAX_MICROSECONDS:
        raise ValueError(f"duration {text!r} is longer than 292 years")
    return timedelta(microseconds=int(total))


def format_duration(span: timedelta) -> str:
    """Write a time span as the shortest Go duration in whole units (`168h`, `1h30m`, `0s`).

    Raises ValueError below zero.
    """
    if span < timedelta(0):
        raise ValueError("a duration is never negative")
    rest = span // timedelta(microseconds=1)
    parts = []
    for unit in ("h", "m", "s", "ms", "us"):
        count, rest = divmod(rest, int(_MICROSECONDS[unit]))
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _read(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


Duration = Annotated[
    timedelta,
    BeforeValidator(_read),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "maxLength": GO_DURATION_MAX_LENGTH, "pattern": GO_DURATION_PATTERN}),
]
"""A time span in a model; Go duration text in a manifest."""

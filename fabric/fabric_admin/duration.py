"""Go durations (``1m30s``, ``200ms``) as whole nanoseconds, read and written as Go's ``time`` package does."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from fabric_admin.errors import ConfigError

_UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_LARGEST: Final = (1 << 63) - 1
_PART: Final = re.compile(r"(\d+\.?\d*|\.\d+)([^\d.]*)", re.ASCII)
_MAX_TEXT: Final = 256


def parse(text: str) -> int:
    """Return the nanoseconds of a Go duration; raises ConfigError with Go's words."""
    quoted = f'"{text}"'
    body = text[1:] if text[:1] in ("+", "-") else text
    if body == "0":
        return 0
    if not body or len(body) > _MAX_TEXT:
        raise ConfigError(f"time: invalid duration {quoted}")
    total, position = Decimal(0), 0
    while position < len(body):
        part = _PART.match(body, position)
        if part is None:
            raise ConfigError(f"time: invalid duration {quoted}")
        number, unit = part.groups()
        if not unit:
            raise ConfigError(f"time: missing unit in duration {quoted}")
        if unit not in _UNITS:
            raise ConfigError(f'time: unknown unit "{unit}" in duration {quoted}')
        total += Decimal(number) * _UNITS[unit]
        position = part.end()
    nanoseconds = int(total)
    if nanoseconds > _LARGEST:
        raise ConfigError(f"time: invalid duration {quoted}")
    return -nanoseconds if text.startswith("-") else nanoseconds


def text(nanoseconds: int) -> str:
    """Return a duration as Go prints it: ``2s``, ``1m30s``, ``1h0m0s``, ``1.5ms``."""
    if nanoseconds == 0:
        return "0s"
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if rest < _UNITS["s"]:
        unit = next(name for name in ("ms", "µs", "ns") if rest >= _UNITS[name])
        return f"{sign}{_decimal(rest, _UNITS[unit])}{unit}"
    hours, rest = divmod(rest, _UNITS["h"])
    minutes, rest = divmod(rest, _UNITS["m"])
    seconds = f"{_decimal(rest, _UNITS['s'])}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{seconds}"
    return f"{sign}{minutes}m{seconds}" if minutes else f"{sign}{seconds}"


def _decimal(amount: int, unit: int) -> str:
    whole, fraction = divmod(amount, unit)
    digits = str(fraction).rjust(len(str(unit)) - 1, "0").rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)

"""How an orderer cuts blocks, and durations the way Go writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from fabric_admin.errors import ConfigError

_UNIT_SECONDS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION: Final = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+", re.ASCII)
_PART: Final = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Batch:
    """When a block is cut: after so many messages or bytes, or so long after the first one (a Go duration)."""

    timeout: str = "2s"
    max_message_count: int = 500
    absolute_max_bytes: int = 10 * 1024 * 1024
    preferred_max_bytes: int = 2 * 1024 * 1024

    def __post_init__(self) -> None:
        """Refuse what an orderer refuses (``fabric: common/channelconfig/orderer.go``)."""
        for name, value in (
            ("max message count", self.max_message_count),
            ("absolute max bytes", self.absolute_max_bytes),
            ("preferred max bytes", self.preferred_max_bytes),
        ):
            if value <= 0:
                raise ConfigError(f"Attempted to set the batch size {name} to an invalid value: {value}")
        if self.preferred_max_bytes > self.absolute_max_bytes:
            raise ConfigError(
                f"Attempted to set the batch size preferred max bytes ({self.preferred_max_bytes}) "
                f"greater than the absolute max bytes ({self.absolute_max_bytes})."
            )
        try:
            seconds = duration_seconds(self.timeout)
        except ConfigError as exc:
            raise ConfigError(f"Attempted to set the batch timeout to a invalid value: {exc}") from exc
        if seconds <= 0:
            raise ConfigError(f"Attempted to set the batch timeout to a non-positive value: {self.timeout}")

    @property
    def timeout_seconds(self) -> float:
        """The timeout as seconds."""
        return duration_seconds(self.timeout)


def duration_seconds(text: str) -> float:
    """Return a Go duration such as ``1m30s`` or ``200ms`` in seconds; raises ConfigError."""
    if text in ("0", "+0", "-0"):
        return 0.0
    if not _DURATION.fullmatch(text):
        raise ConfigError(f'time: invalid duration "{text}"')
    total = sum(float(number) * _UNIT_SECONDS[unit] for number, unit in _PART.findall(text))
    return -total if text.startswith("-") else total

"""How an orderer cuts blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fabric_admin import duration
from fabric_admin.errors import ConfigError

_NANOSECONDS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Batch:
    """When a block is cut: after so many messages or bytes, or so long after the first one (a Go duration).

    Not checked when made, as a genesis block may say anything; ``check`` refuses what no orderer runs with.
    """

    timeout: str = "2s"
    max_message_count: int = 500
    absolute_max_bytes: int = 10 * 1024 * 1024
    preferred_max_bytes: int = 2 * 1024 * 1024

    def check(self) -> None:
        """Refuse what an orderer refuses; raises ConfigError (``fabric: common/channelconfig/orderer.go``)."""
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
            nanoseconds = duration.parse(self.timeout)
        except ConfigError as exc:
            raise ConfigError(f"Attempted to set the batch timeout to a invalid value: {exc}") from exc
        if nanoseconds <= 0:
            shown = duration.text(nanoseconds)
            raise ConfigError(f"Attempted to set the batch timeout to a non-positive value: {shown}")

    @property
    def timeout_seconds(self) -> float:
        """The timeout as seconds; raises ConfigError when it is no duration."""
        return duration_seconds(self.timeout)


def duration_seconds(text: str) -> float:
    """Return a Go duration such as ``1m30s`` or ``200ms`` in seconds; raises ConfigError."""
    return duration.parse(text) / _NANOSECONDS

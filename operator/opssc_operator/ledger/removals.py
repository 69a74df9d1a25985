"""What was heard of the own removal from channels, and since when it is waited for. No own peer is shown that block."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.newest import Newest

KEPT: Final = 1024
"""Accepted removals of this organization, of which members can make any number; forgotten ones are asked about anew."""


@dataclass(slots=True)
class Removals:
    """Accepted removals of the own organization, as long as its session is open."""

    clock: Callable[[], float] = time.monotonic
    _reported: Newest[ProposalRef, int] = field(default_factory=lambda: Newest(KEPT))
    """How many members had reported each as applied."""
    _since: dict[str, float] = field(default_factory=dict)
    """By channel: when the wait for the removal began, or there was news last (clock seconds)."""

    def hear(self, ref: ProposalRef, channel: str, reported: int) -> bool:
        """Take over how many members reported a removal as applied; whether that is news."""
        if self._reported.get(ref) == reported:
            return False
        self._reported[ref] = reported
        self._since[channel] = self.clock()
        return True

    def waited(self, channel: str) -> float:
        """For how many seconds there was no news of the removal from a channel."""
        now = self.clock()
        return now - self._since.setdefault(channel, now)

    def end(self, channel: str) -> None:
        """Wait no more: it was carried out, or does not count."""
        self._since.pop(channel, None)

"""Groups ordered messages into batches by count and bytes; the clock is the caller's business. Pure.

Source: orderer/common/blockcutter/blockcutter.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fabric_protos.common import common_pb2


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """The channel's BatchSize: a batch is cut at this count, and before it exceeds the preferred bytes."""

    max_message_count: int
    preferred_max_bytes: int


class BlockCutter:
    """Messages that wait for their block."""

    def __init__(self) -> None:
        self._pending: list[common_pb2.Envelope] = []
        self._pending_bytes = 0

    @property
    def pending(self) -> bool:
        """Whether messages wait: if so, the batch timer runs."""
        return bool(self._pending)

    def add(self, envelope: common_pb2.Envelope, limits: BatchLimits) -> list[list[common_pb2.Envelope]]:
        """Take one message and return the batches that are complete because of it: none, one or two."""
        size = message_bytes(envelope)
        batches = []
        if self._pending and self._pending_bytes + size > limits.preferred_max_bytes:
            batches.append(self.cut())
        self._pending.append(envelope)
        self._pending_bytes += size
        if size > limits.preferred_max_bytes or len(self._pending) >= limits.max_message_count:
            batches.append(self.cut())
        return batches

    def cut(self) -> list[common_pb2.Envelope]:
        """Return what waits, oldest first, and wait for nothing."""
        batch, self._pending, self._pending_bytes = self._pending, [], 0
        return batch


def message_bytes(envelope: common_pb2.Envelope) -> int:
    """Measure a message as the batch limits and the size filter do."""
    return len(envelope.payload) + len(envelope.signature)

"""A mapping that forgets. Pure."""

from __future__ import annotations

from typing import TypeVar

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")


class Newest(dict[KeyT, ValueT]):
    """Keeps the newest ``limit`` keys; item assignment alone adds, and forgets the oldest key for want of room."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def __setitem__(self, key: KeyT, value: ValueT) -> None:
        """Add or replace an item."""
        if key not in self and len(self) >= self.limit:
            del self[next(iter(self))]
        super().__setitem__(key, value)

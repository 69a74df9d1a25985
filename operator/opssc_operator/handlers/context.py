"""What the handlers need, carried by kopf as its memo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from opssc_operator.kube.access import Access
    from opssc_operator.reconcile.feed import Feed


@dataclass(frozen=True, slots=True)
class Context:
    """`access` says how to reach the API server now; `stop` ends everything that is not kopf."""

    feed: Feed
    access: Callable[[], Awaitable[Access]]
    stop: Callable[[], Awaitable[None]]

    def __copy__(self) -> Self:
        # kopf copies the memo for every object; ours is shared.
        return self

"""Now and then, drops objects whose deletion the watch never told about.

A watch that comes back after a break is told what exists, not what is gone meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opssc_operator.api.group import Kind
from opssc_operator.reconcile.runner import Result

if TYPE_CHECKING:
    from opssc_operator.kube.client import Lister
    from opssc_operator.reconcile.feed import Feed
    from opssc_operator.reconcile.keys import Key

SWEEP_PERIOD_SECONDS: Final = 600.0


class SweepReconciler:
    """Compares the store of a namespace with what the API server holds."""

    def __init__(self, lister: Lister, feed: Feed, *, period_seconds: float = SWEEP_PERIOD_SECONDS) -> None:
        self._lister = lister
        self._feed = feed
        self._period_seconds = period_seconds

    async def reconcile(self, key: Key) -> Result:
        """Sweeps the namespace of `key`."""
        for kind in Kind:
            listing = await self._lister.list_uids(kind, key.namespace)
            if listing is not None:
                self._feed.sweep(kind, key.namespace, listing)
        return Result(requeue_after_seconds=self._period_seconds)

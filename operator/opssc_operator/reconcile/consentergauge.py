"""The metric of when consenters' certificates expire; owns which time series of it there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from opssc_operator.observability.metrics import METRICS
from opssc_operator.reconcile.keys import Key


@dataclass(slots=True)
class ConsenterGauge:
    """Shows the consenters of each channel, and no others than it has now."""

    _shown: dict[Key, frozenset[str]] = field(default_factory=dict)

    def show(self, key: Key, ends: Mapping[str, float]) -> None:
        """Show a channel's consenters (seconds since 1970 by address) in place of those shown before."""
        for consenter in self._shown.pop(key, frozenset()) - ends.keys():
            METRICS.consenter_expiry.remove(key.namespace, key.name, consenter)
        for consenter, end in ends.items():
            METRICS.consenter_expiry.labels(key.namespace, key.name, consenter).set(end)
        if ends:
            self._shown[key] = frozenset(ends)

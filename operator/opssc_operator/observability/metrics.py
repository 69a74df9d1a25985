"""Every metric of the operator, on a registry of its own; `docs/metrics.md` is its table.

Labels are closed sets, channels or configured endpoints: never names of proposals, transactions or other people's text.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_FAST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The metrics, one attribute each."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.registry = registry
        self.reconciles = Counter(
            "opssc_reconcile_total", "Reconciles ended, by result.", ("kind", "result"), registry=registry
        )
        self.reconcile_seconds = Histogram(
            "opssc_reconcile_duration_seconds", "Time of one reconcile.", ("kind",), registry=registry, buckets=_FAST
        )
        self.queue_keys = Gauge("opssc_queue_keys", "Keys in the work queue, by state.", ("state",), registry=registry)
        self.kube_requests = Counter(
            "opssc_kube_requests_total",
            "Requests to the Kubernetes API, by status.",
            ("verb", "resource", "code"),
            registry=registry,
        )
        self.watch_events = Counter(
            "opssc_watch_events_total", "Watch events received, by kind and type.", ("kind", "type"), registry=registry
        )
        self.objects = Gauge("opssc_objects", "Objects known from the watch.", ("kind",), registry=registry)
        self.consenter_expiry = Gauge(
            "opssc_consenter_certificate_expiry_timestamp_seconds",
            "When the first certificate of a consenter expires, in seconds since 1970.",
            ("namespace", "channel", "consenter"),
            registry=registry,
        )
        self.build_info = Gauge(
            "opssc_build_info", "Always 1; the version is the label.", ("version",), registry=registry
        )

    def exposition(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return generate_latest(self.registry)


METRICS = Metrics()
"""The one instance: metrics belong to the process, as its log does."""

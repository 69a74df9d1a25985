"""The documented table of metrics is the code's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from opssc_operator.observability.metrics import Metrics

if TYPE_CHECKING:
    from pathlib import Path

ROW = re.compile(r"^\| `(?P<name>\w+)` \| (?P<type>\w+) \| (?P<labels>[^|]*) \| (?P<meaning>.+) \|$", re.MULTILINE)


def documented(project_root: Path) -> dict[str, tuple[str, tuple[str, ...]]]:
    text = (project_root / "docs/metrics.md").read_text(encoding="utf-8")
    return {row["name"]: (row["type"], tuple(re.findall(r"`(\w+)`", row["labels"]))) for row in ROW.finditer(text)}


def registered(metrics: Metrics) -> dict[str, tuple[str, tuple[str, ...]]]:
    found = {}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            [family] = metric.describe()
            name = f"{family.name}_total" if family.type == "counter" else family.name
            found[name] = family.type, tuple(metric._labelnames)
    return found


def test_every_metric_is_documented_with_its_type_and_labels(project_root: Path) -> None:
    assert documented(project_root) == registered(Metrics())


def test_every_metric_is_ours_by_name() -> None:
    assert all(name.startswith("opssc_") for name in registered(Metrics()))


def test_the_registry_holds_these_metrics_and_nothing_of_other_libraries() -> None:
    metrics = Metrics()

    exposed = {family.name for family in metrics.registry.collect()}

    assert isinstance(metrics.registry, CollectorRegistry)
    assert exposed == {name.removesuffix("_total") for name in registered(metrics)}


def test_the_exposition_is_text_a_scraper_reads() -> None:
    metrics = Metrics()
    metrics.build_info.labels("1.2.3").set(1)

    assert b'opssc_build_info{version="1.2.3"} 1.0' in metrics.exposition()

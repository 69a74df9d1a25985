"""Packages for tests in which nothing is fetched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from opssc_operator.reconcile.packages import Packages
from opssc_operator.reconcile.queue import WorkQueue
from opssc_operator.sources.cache import PackageCache
from opssc_operator.sources.desk import FetchDesk

if TYPE_CHECKING:
    from opssc_operator.kube.client import KubeClient
    from opssc_operator.reconcile.store import ObjectStore


def no_packages(store: ObjectStore) -> Packages:
    return Packages(cast("KubeClient", None), store, WorkQueue(), FetchDesk(PackageCache(Path("/nowhere"))))

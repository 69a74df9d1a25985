"""One door to all kinds of clusters."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from opssc_tools.cluster import shared
from opssc_tools.cluster.local import LocalCluster
from opssc_tools.errors import ClusterError
from opssc_tools.node.real import RealNode

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from opssc_tools.cluster.access import Cluster


class ClusterKind(StrEnum):
    """Where the Kubernetes API of an organization comes from."""

    LOCAL = "local"
    NODE = "node"
    KIND = "kind"
    EXISTING = "existing"


def start_cluster(
    kind: ClusterKind, name: str, directory: Path, *, kubeconfig: Path | None = None
) -> AbstractAsyncContextManager[Cluster]:
    """Return the block in which one organization's cluster runs; its files go to `directory`.

    `kubeconfig` is for `existing` alone; without it the first file of KUBECONFIG, else `~/.kube/config`, is used.

    Raises:
        ClusterError: when a kubeconfig is given for another kind.
    """
    if kubeconfig is not None and kind is not ClusterKind.EXISTING:
        raise ClusterError(f"--cluster={kind} makes its own kubeconfig; give one with --cluster=existing alone")
    match kind:
        case ClusterKind.LOCAL:
            return LocalCluster.start(name, directory)
        case ClusterKind.NODE:
            return RealNode.start_node(name, directory)
        case ClusterKind.KIND:
            return shared.start_kind(name, directory)
        case ClusterKind.EXISTING:
            return shared.use_existing(name, directory, kubeconfig or _default_kubeconfig())


def _default_kubeconfig() -> Path:
    """Return the kubeconfig that kubectl would read first."""
    first = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    return Path(first) if first else Path.home() / ".kube" / "config"

"""Kubernetes API servers for tests and the demo, one per organization; `start` is the door to all kinds of them.

async with LocalCluster.start("org1", directory) as cluster:
    await cluster.apply_crds(crds)
    kubeconfig = await cluster.create_operator_credentials("org1", "opssc-operator", rules)
"""

from __future__ import annotations

from opssc_tools.cluster.access import Cluster
from opssc_tools.cluster.local import LocalCluster

__all__ = ["Cluster", "LocalCluster"]

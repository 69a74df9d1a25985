"""The Kubernetes and etcd programs of the local test clusters: pinned, built once, found again."""

from __future__ import annotations

from opssc_tools.toolchain.pins import MODULES, NODE, GoModule, NodePrograms, Programs, locate, locate_node

__all__ = ["MODULES", "NODE", "GoModule", "NodePrograms", "Programs", "locate", "locate_node"]

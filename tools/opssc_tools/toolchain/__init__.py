"""The Kubernetes and etcd programs of the local test clusters: pinned, built once, found again."""

from __future__ import annotations

from opssc_tools.toolchain.pins import MODULES, GoModule, Programs, locate

__all__ = ["MODULES", "GoModule", "Programs", "locate"]

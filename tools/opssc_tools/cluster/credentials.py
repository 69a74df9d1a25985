"""The credential an operator runs with: a service account, a Role in its own namespace, and nothing more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from opssc_tools.errors import ClusterError

if TYPE_CHECKING:
    from pathlib import Path

TOKEN_LIFETIME = "24h"  # noqa: S105 - a duration


def read_rules(path: Path) -> list[dict[str, Any]]:
    """Return the `rules` of the Role in a YAML file; its other documents are left aside.

    Raises:
        ClusterError: when the file holds no Role with rules.
    """
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        if isinstance(document, dict) and document.get("kind") == "Role" and document.get("rules"):
            return list(document["rules"])
    raise ClusterError(f"{path} holds no Role with rules")


def build_manifests(namespace: str, name: str, rules: list[dict[str, Any]]) -> str:
    """Return the YAML of the service account, its Role and the binding of both."""
    metadata = {"name": name, "namespace": namespace}
    api = "rbac.authorization.k8s.io"
    return yaml.safe_dump_all(
        [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
            {"apiVersion": f"{api}/v1", "kind": "Role", "metadata": metadata, "rules": rules},
            {
                "apiVersion": f"{api}/v1",
                "kind": "RoleBinding",
                "metadata": metadata,
                "roleRef": {"apiGroup": api, "kind": "Role", "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
            },
        ],
        sort_keys=False,
    )

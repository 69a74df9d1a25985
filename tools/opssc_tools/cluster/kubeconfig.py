"""Kubeconfig files: who may reach which API server, with everything inside the file."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from opssc_tools.errors import ClusterError

if TYPE_CHECKING:
    from pathlib import Path

    from opssc_tools.cluster.certificates import KeyPair


@dataclass(frozen=True, slots=True)
class Server:
    """An API server: its URL and the entries of a kubeconfig's `cluster` that make a client trust it."""

    url: str
    trust: dict[str, Any]

    @classmethod
    def trusting(cls, url: str, authority: Path) -> Server:
        """Return a server whose certificate comes from this authority's PEM file."""
        return cls(url=url, trust={"certificate-authority-data": _encoded(authority)})

    @classmethod
    def from_kubeconfig(cls, path: Path) -> Server:
        """Read the server of the current context of a flattened kubeconfig.

        Raises:
            ClusterError: when the file names no current context with a server.
        """
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        try:
            current = document["current-context"]
            context = next(entry["context"] for entry in document["contexts"] if entry["name"] == current)
            cluster = dict(next(e["cluster"] for e in document["clusters"] if e["name"] == context["cluster"]))
            return cls(url=cluster.pop("server"), trust=cluster)
        except (KeyError, TypeError, StopIteration) as exc:
            raise ClusterError(
                f"{path} has no current context with a server; check it with `kubectl config view`"
            ) from exc


def _encoded(path: Path) -> str:
    """Return a file's bytes as kubeconfig wants them."""
    return base64.b64encode(path.read_bytes()).decode("ascii")


def certificate_user(pair: KeyPair) -> dict[str, Any]:
    """Return the kubeconfig user who shows this certificate."""
    return {"client-certificate-data": _encoded(pair.certificate), "client-key-data": _encoded(pair.key)}


def token_user(token: str) -> dict[str, Any]:
    """Return the kubeconfig user who shows this bearer token."""
    return {"token": token}


def write(path: Path, server: Server, user: dict[str, Any], *, cluster: str, namespace: str) -> Path:
    """Write a kubeconfig with one context, readable by the user alone, and return its path."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": {"server": server.url, **server.trust}}],
        "users": [{"name": "user", "user": user}],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": "user", "namespace": namespace}}],
        "current-context": cluster,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return path

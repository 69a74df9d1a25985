"""What tests and the demo do with a running cluster, wherever it runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import yaml

from opssc_tools.cluster import credentials, kubeconfig
from opssc_tools.cluster.kubectl import Kubectl
from opssc_tools.errors import ClusterError, KubectlError

if TYPE_CHECKING:
    from pathlib import Path

ESTABLISHED_TIMEOUT = "30s"
NAMESPACE_GONE_SECONDS = 120.0


class Cluster:
    """One organization's Kubernetes API: its own server, or its own namespace of a shared one."""

    def __init__(self, name: str, directory: Path, *, admin_kubeconfig: Path, kubectl: Path) -> None:
        self.name = name
        self.directory = directory
        self.admin_kubeconfig = admin_kubeconfig
        self.kubectl = Kubectl(program=kubectl, kubeconfig=admin_kubeconfig, cache=directory / "kubectl-cache")
        self._created_namespaces: list[str] = []

    def kubectl_as(self, path: Path) -> Kubectl:
        """Return kubectl that acts with another kubeconfig of this cluster."""
        return Kubectl(program=self.kubectl.program, kubeconfig=path, cache=self.directory / f"cache-{path.stem}")

    async def create_namespace(self, namespace: str) -> None:
        """Create the namespace unless it exists.

        Raises:
            KubectlError: when the API server refuses.
        """
        manifest = yaml.safe_dump({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        try:
            await self.kubectl("create", "-f", "-", stdin=manifest)
        except KubectlError as exc:
            if "AlreadyExists" not in exc.stderr:
                raise
        else:
            self._created_namespaces.append(namespace)

    async def apply_crds(self, folder: Path) -> None:
        """Apply every CRD of a folder and return once the API server serves them.

        Raises:
            ClusterError: when the folder holds none, or the API server refuses one.
        """
        files = sorted(folder.glob("*.yaml"))
        if not files:
            raise ClusterError(f"{folder} holds no CRDs")
        names = [argument for file in files for argument in ("-f", str(file))]
        await self.kubectl("apply", "--server-side", "--force-conflicts", *names)
        await self.kubectl("wait", "--for=condition=Established", f"--timeout={ESTABLISHED_TIMEOUT}", *names)

    async def create_operator_credentials(
        self, namespace: str, name: str, rules: list[dict[str, Any]] | Path, *more: Path
    ) -> Path:
        """Create a service account bound to a Role in `namespace`; return the path of its kubeconfig.

        `rules` are those of a Role, or the YAML file that holds one; `more` files add theirs. The namespace is created
        when absent.

        Raises:
            ClusterError: when the file holds no Role, or the API server refuses.
        """
        wanted = list(rules) if isinstance(rules, list) else credentials.read_rules(rules)
        for path in more:
            wanted.extend(credentials.read_rules(path))
        await self.create_namespace(namespace)
        await self.kubectl(
            "apply", "--server-side", "-f", "-", stdin=credentials.build_manifests(namespace, name, wanted)
        )
        token = await self.kubectl(
            "create", "token", name, "--namespace", namespace, f"--duration={credentials.TOKEN_LIFETIME}"
        )
        return kubeconfig.write(
            self.directory / f"{namespace}-{name}.kubeconfig",
            kubeconfig.Server.from_kubeconfig(self.admin_kubeconfig),
            kubeconfig.token_user(token.strip()),
            cluster=self.name,
            namespace=namespace,
        )

    async def delete_created_namespaces(self) -> None:
        """Delete the namespaces made through this object and wait until they are gone."""
        namespaces, self._created_namespaces = self._created_namespaces, []
        await asyncio.gather(
            *(
                self.kubectl(
                    "delete", "namespace", namespace, "--ignore-not-found", timeout_seconds=NAMESPACE_GONE_SECONDS
                )
                for namespace in namespaces
            )
        )

"""Clusters that are not processes of ours: one made by kind, or one that exists already."""

from __future__ import annotations

import shutil
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from opssc_tools.cluster.access import Cluster
from opssc_tools.cluster.kubectl import run
from opssc_tools.errors import ClusterError, MissingProgramError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KIND_SECONDS = 300.0


def find_program(name: str, remedy: str) -> Path:
    """Return the path of a program this machine must bring along.

    Raises:
        MissingProgramError: with the remedy.
    """
    found = shutil.which(name)
    if found is None:
        raise MissingProgramError(f"there is no `{name}` on this machine: {remedy}")
    return Path(found)


def _kubectl() -> Path:
    return find_program("kubectl", "install it (https://kubernetes.io/docs/tasks/tools/) or use --cluster=local")


@asynccontextmanager
async def start_kind(name: str, directory: Path) -> AsyncIterator[Cluster]:
    """Make a cluster of its own with kind inside the block, and delete it after.

    Raises:
        MissingProgramError: when kind or kubectl is absent.
        ClusterError: when kind cannot make the cluster.
    """
    remedy = "install it with Docker or Podman (https://kind.sigs.k8s.io) or use --cluster=local"
    kind, kubectl = find_program("kind", remedy), _kubectl()
    directory = directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    kubeconfig = directory / "admin.kubeconfig"
    target = (f"--name=opssc-{name}", f"--kubeconfig={kubeconfig}")
    try:
        await _kind(kind, "create", "cluster", *target, "--wait=120s")
        yield Cluster(name, directory, admin_kubeconfig=kubeconfig, kubectl=kubectl)
    finally:
        await _kind(kind, "delete", "cluster", *target)


async def _kind(program: Path, *arguments: str) -> None:
    """Run kind to its end.

    Raises:
        ClusterError: when it ends with an error.
    """
    code, _, err = await run((str(program), *arguments), timeout_seconds=KIND_SECONDS)
    if code != 0:
        raise ClusterError(f"kind {' '.join(arguments)} ended with code {code}: {err.strip()}")


@asynccontextmanager
async def use_existing(name: str, directory: Path, kubeconfig: Path) -> AsyncIterator[Cluster]:
    """Use the current context of a kubeconfig; the namespaces made inside the block are deleted after it.

    Several organizations may share one such cluster, each in namespaces of its own. CRDs stay: they belong to all.

    Raises:
        MissingProgramError: when kubectl is absent.
        ClusterError: when the kubeconfig is absent or its server does not answer.
    """
    kubectl = _kubectl()
    if not kubeconfig.is_file():
        raise ClusterError(f"there is no kubeconfig at {kubeconfig}; set KUBECONFIG to one")
    directory = directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    # Flattened and reduced to the current context, so that nothing points to files elsewhere.
    command = (str(kubectl), f"--kubeconfig={kubeconfig}", "config", "view", "--raw", "--flatten", "--minify")
    code, document, err = await run(command, timeout_seconds=KIND_SECONDS)
    if code != 0:
        raise ClusterError(f"{kubeconfig} has no usable current context: {err.strip()}")
    own = directory / "admin.kubeconfig"
    own.touch(mode=0o600)
    own.write_text(document, encoding="utf-8")
    cluster = Cluster(name, directory, admin_kubeconfig=own, kubectl=kubectl)
    await cluster.kubectl("get", "--raw", "/readyz")
    try:
        yield cluster
    finally:
        await cluster.delete_created_namespaces()

"""A local cluster with one real node, on which pods run."""

from __future__ import annotations

import shutil
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final, Self

from opssc_tools import toolchain
from opssc_tools.cluster.controlplane import Ground
from opssc_tools.cluster.local import LocalCluster
from opssc_tools.cluster.shared import find_program
from opssc_tools.errors import ClusterError, MissingProgramError
from opssc_tools.node import address, cable, cgroups, machine, mounts, pause
from opssc_tools.node.configuration import CONTAINERD_SOCKET, OWN_RUN, NodeFiles
from opssc_tools.node.namespaces import Namespaces
from opssc_tools.node.readiness import until_listening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

GROUND: Final = Ground(address=str(address.HOST), services=address.SERVICES, nodes=True)
READY: Final = "50s"
STATE: Final = ("containerd", "kubelet")
"""What is removed with the node; logs stay."""


class RealNode(LocalCluster):
    """A cluster whose pods run; everything of it ends with the `start_node` block, or with this Python process.

    This machine reaches pods and Services at their addresses. There is no cluster DNS, and nothing enforces
    NetworkPolicies.
    """

    namespaces: Namespaces

    @classmethod
    @asynccontextmanager
    async def start_node(cls, name: str, directory: Path) -> AsyncIterator[Self]:
        """Start a cluster with a Ready node in `directory`. Call from the main thread.

        Raises:
            MissingProgramError: with everything this machine lacks, or when the programs are not built.
            ClusterError: when a part does not start, or another node runs on this machine.
        """
        shortages = machine.find_shortages()
        if shortages:
            raise MissingProgramError(machine.describe(shortages))
        programs, folder = toolchain.locate_node(), directory.absolute() / "node"
        cgroups.remove_leftovers()
        _remove_state(folder)
        async with AsyncExitStack() as stack:
            stack.callback(_remove_state, folder)
            group = cgroups.make()
            stack.push_async_callback(cgroups.remove, group)
            namespaces = await stack.enter_async_context(
                Namespaces.start(programs.pause, directory.absolute() / "logs")
            )
            await cable.lay(namespaces)
            cluster = await stack.enter_async_context(cls.start(name, directory, GROUND))
            # Before the control plane, so that nobody complains of its end.
            stack.push_async_callback(namespaces.end)
            cluster.namespaces = namespaces
            await mounts.prepare(namespaces, folder)
            files = _describe(cluster, folder, group)
            files.write()
            await _launch_all(cluster, files, programs)
            yield cluster

    async def import_image(self, archive: Path) -> None:
        """Put the images of an OCI archive where pods find them.

        Raises:
            ClusterError: when containerd refuses the archive.
        """
        await self.containerd("images", "import", archive)

    async def containerd(self, *arguments: str | Path) -> str:
        """Run `ctr` on the pods' containers and images; return its output. Raises ClusterError when it fails."""
        ctr = find_program("ctr", "install containerd")
        options = ("--address", CONTAINERD_SOCKET, "--namespace", "k8s.io")
        return await self.namespaces.carry_out(ctr, *options, *arguments)


def _describe(cluster: RealNode, folder: Path, group: str) -> NodeFiles:
    """Issue what the node's programs prove themselves with."""
    plugins = machine.find_plugins()
    if plugins is None:
        raise ClusterError("the CNI plugins are gone")
    return NodeFiles(
        name=cluster.name,
        folder=folder,
        cgroup=group,
        authority=cluster.plane.authority,
        kubelet_server=cluster.authority.issue("kubelet", addresses=(str(address.NODE),)),
        kubelet=cluster.issue_kubeconfig(f"system:node:{cluster.name}", "system:nodes"),
        scheduler=cluster.issue_kubeconfig("system:kube-scheduler"),
        proxy=cluster.issue_kubeconfig("system:kube-proxy"),
        plugins=plugins,
    )


async def _launch_all(cluster: RealNode, files: NodeFiles, programs: toolchain.NodePrograms) -> None:
    """Start the node's programs and return when the node is Ready."""
    launch, folder = cluster.namespaces.launch, files.folder
    containerd = find_program("containerd", "install containerd")
    runtime = launch(containerd, "--config", folder / "containerd.toml")
    await until_listening(cluster.namespaces, CONTAINERD_SOCKET, runtime)
    await cluster.import_image(pause.pack(programs.pause, folder / "pause.tar"))
    launch(
        programs.kubelet,
        f"--config={folder / 'kubelet.yaml'}",
        f"--kubeconfig={files.kubelet}",
        f"--root-dir={OWN_RUN / 'kubelet'}",
        f"--hostname-override={files.name}",
        f"--node-ip={address.NODE}",
    )
    launch(programs.kube_scheduler, f"--config={folder / 'scheduler.yaml'}", "--secure-port=0")
    launch(programs.kube_proxy, f"--config={folder / 'proxy.yaml'}")
    await cluster.kubectl("wait", "--for=create", f"node/{files.name}", f"--timeout={READY}")
    await cluster.kubectl("wait", "--for=condition=Ready", f"node/{files.name}", f"--timeout={READY}")


def _remove_state(folder: Path) -> None:
    """Remove images, containers and volumes of a node that does not run."""
    for name in STATE:
        if (folder / name).exists():
            shutil.rmtree(folder / name)

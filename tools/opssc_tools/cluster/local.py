"""A cluster of real etcd, kube-apiserver and kube-controller-manager processes on this machine."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Self

import aiohttp

from opssc_tools import toolchain
from opssc_tools.cluster import kubeconfig, leftovers
from opssc_tools.cluster.access import Cluster
from opssc_tools.cluster.certificates import Authority, KeyPair
from opssc_tools.cluster.controlplane import ControlPlane, Ground
from opssc_tools.cluster.ports import ReservedPort
from opssc_tools.cluster.process import ServerProcess
from opssc_tools.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

READY_SECONDS = 60.0
POLL_SECONDS = 0.1
REQUEST_SECONDS = 2.0
ADMIN, ADMIN_GROUP = "admin", "system:masters"
ON_LOOPBACK = Ground()
CONTROLLER_MANAGER = "system:kube-controller-manager"


class LocalCluster(Cluster):
    """A running local cluster; its processes end with the `start` block, or with this Python process."""

    processes: tuple[ServerProcess, ...] = ()
    plane: ControlPlane
    authority: Authority

    @classmethod
    @asynccontextmanager
    async def start(cls, name: str, directory: Path, ground: Ground = ON_LOOPBACK) -> AsyncIterator[Self]:
        """Start a cluster in `directory`, ready to use inside the block and gone after it.

        Logs, keys and kubeconfigs stay in `directory`; the data of an earlier run there is removed. Call it from the
        main thread: the processes are bound to the thread that starts them.

        Raises:
            MissingProgramError: when `make setup` has not built the programs.
            ClusterError: when a process ends by itself or the API server is not ready within 60 s.
        """
        programs = toolchain.locate()
        directory = directory.absolute()
        leftovers.clear(directory)
        async with AsyncExitStack() as stack:
            plane, authority = _prepare(name, directory, ground, stack)
            admin = authority.issue(ADMIN, organization=ADMIN_GROUP)
            server = kubeconfig.Server.trusting(plane.url, plane.authority)
            cluster = cls(
                name,
                directory,
                admin_kubeconfig=_write(directory / "admin.kubeconfig", server, admin, name),
                kubectl=programs.kubectl,
            )
            cluster.plane, cluster.authority = plane, authority
            # It deletes whatever a namespace holds, of kinds yet unknown: no Role but all of them fits.
            controllers = authority.issue(CONTROLLER_MANAGER, organization=ADMIN_GROUP)
            controllers_config = _write(directory / "controller-manager.kubeconfig", server, controllers, name)
            commands = (
                plane.etcd(programs.etcd),
                plane.apiserver(programs.kube_apiserver),
                plane.controller_manager(programs.kube_controller_manager, controllers_config),
            )
            for command in commands[:2]:
                cluster._launch(command, stack)
            await _until_ready(plane, admin, cluster.processes)
            # Started before the API server answers, it would end and not come back.
            cluster._launch(commands[2], stack)
            yield cluster

    def issue_kubeconfig(self, common_name: str, organization: str | None = None) -> Path:
        """Write the kubeconfig of a component of the cluster, known to it as this user of this group."""
        pair = self.authority.issue(common_name, organization=organization)
        server = kubeconfig.Server.trusting(self.plane.url, self.plane.authority)
        return _write(self.directory / f"{common_name.replace(':', '-')}.kubeconfig", server, pair, self.name)

    def _launch(self, command: list[str | Path], stack: AsyncExitStack) -> None:
        """Start one of the programs; the stack stops it, the last one first."""
        process = ServerProcess(command, self.directory / "logs")
        stack.push_async_callback(process.stop)
        self.processes = (*self.processes, process)
        leftovers.record(self.directory, [process.pid for process in self.processes])


def _prepare(name: str, directory: Path, ground: Ground, stack: AsyncExitStack) -> tuple[ControlPlane, Authority]:
    """Reserve ports and issue certificates."""
    data = directory / "etcd"
    shutil.rmtree(data, ignore_errors=True)
    ports = [ReservedPort(), ReservedPort(), ReservedPort(ground.address)]
    for port in ports:
        stack.callback(port.release)
    authority = Authority(directory / "pki", name=f"{name} test cluster")
    plane = ControlPlane(
        ground=ground,
        data=data,
        authority=authority.certificate,
        server=authority.issue("kube-apiserver", addresses=ground.addresses),
        etcd_client=authority.issue("etcd-client"),
        kubelet_client=authority.issue("kube-apiserver-kubelet-client", organization=ADMIN_GROUP),
        service_accounts=authority.issue_signing_keys(),
        etcd_port=ports[0].number,
        peer_port=ports[1].number,
        api_port=ports[2].number,
    )
    return plane, authority


def _write(path: Path, server: kubeconfig.Server, pair: KeyPair, name: str) -> Path:
    """Write the kubeconfig of somebody with a certificate."""
    return kubeconfig.write(path, server, kubeconfig.certificate_user(pair), cluster=name, namespace="default")


async def _until_ready(plane: ControlPlane, admin: KeyPair, processes: tuple[ServerProcess, ...]) -> None:
    """Return once the API server calls itself ready.

    Raises:
        ClusterError: when a process ends first, or the time is over.
    """
    context = ssl.create_default_context(cafile=plane.authority)
    context.load_cert_chain(admin.certificate, admin.key)
    connector = aiohttp.TCPConnector(ssl=context)
    limit = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
    last = "no answer yet"
    async with aiohttp.ClientSession(connector=connector, timeout=limit) as session:
        try:
            async with asyncio.timeout(READY_SECONDS):
                while True:
                    for process in processes:
                        process.check()
                    last = await _fetch_readiness(session, plane.url)
                    if last == "ok":
                        return
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError as exc:
            raise ClusterError(
                f"the API server at {plane.url} is not ready after {READY_SECONDS:.0f} s: {last}"
            ) from exc


async def _fetch_readiness(session: aiohttp.ClientSession, url: str) -> str:
    """Return the API server's own word on its readiness, or why there is none."""
    try:
        async with session.get(f"{url}/readyz") as response:
            return await response.text()
    except (aiohttp.ClientError, TimeoutError) as exc:
        return str(exc) or type(exc).__name__

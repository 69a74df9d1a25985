"""The command lines of etcd, kube-apiserver and kube-controller-manager for one small, short-lived cluster.

Without nodes it does what custom resources need, no more; with nodes it is a complete control plane.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from opssc_tools.cluster.certificates import KeyPair

CONTROLLERS_WITHOUT_NODES = "namespace-controller,garbage-collector-controller"
WITHOUT_NODES = ("--authorization-mode=RBAC", "--endpoint-reconciler-type=none")
LOOPBACK = "127.0.0.1"
SERVICES = ipaddress.IPv4Network("10.0.0.0/24")


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a control plane stands: the address it is reached at, the range of its Services, whether it has nodes.

    With nodes the address must be one that they and their pods reach.
    """

    address: str = LOOPBACK
    services: ipaddress.IPv4Network = SERVICES
    nodes: bool = False

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses clients know the API server by; the last one is that of the Service `kubernetes`."""
        return tuple(dict.fromkeys((LOOPBACK, self.address, str(self.services[1]))))


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """Where everything of one control plane is; etcd listens on 127.0.0.1, the API server where `ground` says."""

    ground: Ground
    data: Path
    authority: Path
    server: KeyPair
    etcd_client: KeyPair
    kubelet_client: KeyPair
    service_accounts: KeyPair
    etcd_port: int
    peer_port: int
    api_port: int

    @property
    def url(self) -> str:
        """The URL of the API server."""
        return f"https://{self.ground.address}:{self.api_port}"

    @property
    def etcd_url(self) -> str:
        """The URL of etcd."""
        return f"https://127.0.0.1:{self.etcd_port}"

    def etcd(self, program: Path) -> list[str | Path]:
        """Return etcd's command: one member, mutual TLS, no fsync (the data never outlives the cluster)."""
        peer = f"https://127.0.0.1:{self.peer_port}"
        return [
            program,
            "--name=etcd",
            f"--data-dir={self.data}",
            f"--listen-client-urls={self.etcd_url}",
            f"--advertise-client-urls={self.etcd_url}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=etcd={peer}",
            "--client-cert-auth",
            f"--trusted-ca-file={self.authority}",
            f"--cert-file={self.server.certificate}",
            f"--key-file={self.server.key}",
            "--peer-client-cert-auth",
            f"--peer-trusted-ca-file={self.authority}",
            f"--peer-cert-file={self.server.certificate}",
            f"--peer-key-file={self.server.key}",
            "--socket-reuse-port",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

    def apiserver(self, program: Path) -> list[str | Path]:
        """Return kube-apiserver's command: RBAC on, one address, and with nodes what they need."""
        return [
            program,
            f"--etcd-servers={self.etcd_url}",
            f"--etcd-cafile={self.authority}",
            f"--etcd-certfile={self.etcd_client.certificate}",
            f"--etcd-keyfile={self.etcd_client.key}",
            f"--bind-address={self.ground.address}",
            f"--advertise-address={self.ground.address}",
            f"--secure-port={self.api_port}",
            "--permit-port-sharing",
            f"--tls-cert-file={self.server.certificate}",
            f"--tls-private-key-file={self.server.key}",
            f"--client-ca-file={self.authority}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.service_accounts.certificate}",
            f"--service-account-signing-key-file={self.service_accounts.key}",
            f"--service-cluster-ip-range={self.ground.services}",
            *(self._with_nodes() if self.ground.nodes else WITHOUT_NODES),
            "--enable-priority-and-fairness=false",
            "--profiling=false",
        ]

    def _with_nodes(self) -> tuple[str, ...]:
        """Return what the API server is told when kubelets report to it and are asked for logs."""
        return (
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--kubelet-client-certificate={self.kubelet_client.certificate}",
            f"--kubelet-client-key={self.kubelet_client.key}",
            f"--kubelet-certificate-authority={self.authority}",
            "--kubelet-preferred-address-types=InternalIP",
        )

    def controller_manager(self, program: Path, kubeconfig: Path) -> list[str | Path]:
        """Return kube-controller-manager's command.

        Without nodes namespaces end and owned objects are collected, no more; with nodes all controllers run.
        """
        controllers: tuple[str, ...] = (f"--controllers={CONTROLLERS_WITHOUT_NODES}",)
        if self.ground.nodes:
            key = self.service_accounts.key
            controllers = (f"--root-ca-file={self.authority}", f"--service-account-private-key-file={key}")
        return [
            program,
            f"--kubeconfig={kubeconfig}",
            *controllers,
            "--leader-elect=false",
            "--secure-port=0",
            "--kube-api-qps=200",
            "--kube-api-burst=400",
            "--profiling=false",
        ]

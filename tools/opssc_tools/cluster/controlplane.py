"""The command lines of etcd, kube-apiserver and kube-controller-manager for one small, short-lived cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from opssc_tools.cluster.certificates import KeyPair

CONTROLLERS = "namespace-controller,garbage-collector-controller"


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """Where everything of one control plane is; the ports are on 127.0.0.1."""

    data: Path
    authority: Path
    server: KeyPair
    etcd_client: KeyPair
    service_accounts: KeyPair
    etcd_port: int
    peer_port: int
    api_port: int

    @property
    def url(self) -> str:
        """The URL of the API server."""
        return f"https://127.0.0.1:{self.api_port}"

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
        """Return kube-apiserver's command: RBAC on, loopback only, nothing that needs nodes."""
        return [
            program,
            f"--etcd-servers={self.etcd_url}",
            f"--etcd-cafile={self.authority}",
            f"--etcd-certfile={self.etcd_client.certificate}",
            f"--etcd-keyfile={self.etcd_client.key}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.api_port}",
            "--permit-port-sharing",
            f"--tls-cert-file={self.server.certificate}",
            f"--tls-private-key-file={self.server.key}",
            f"--client-ca-file={self.authority}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.service_accounts.certificate}",
            f"--service-account-signing-key-file={self.service_accounts.key}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--endpoint-reconciler-type=none",
            "--enable-priority-and-fairness=false",
            "--profiling=false",
        ]

    def controller_manager(self, program: Path, kubeconfig: Path) -> list[str | Path]:
        """Return kube-controller-manager's command: namespaces end and owned objects are collected, no more."""
        return [
            program,
            f"--kubeconfig={kubeconfig}",
            f"--controllers={CONTROLLERS}",
            "--leader-elect=false",
            "--secure-port=0",
            "--kube-api-qps=200",
            "--kube-api-burst=400",
            "--profiling=false",
        ]

"""What the programs of a node are told, as files; no process is started here.

Everything with a socket lies under /run, which is the node's own, so that paths stay short.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from opssc_tools.node import address

if TYPE_CHECKING:
    from opssc_tools.cluster.certificates import KeyPair

OWN_RUN = Path("/run/opssc-node")
CONTAINERD_SOCKET = Path("/run/containerd/containerd.sock")
PAUSE_IMAGE = "opssc.invalid/pause:1"
KUBELET_PORT = 10250


@dataclass(frozen=True, slots=True)
class NodeFiles:
    """The folders of a node, and what its programs prove themselves with."""

    name: str
    folder: Path
    cgroup: str
    authority: Path
    kubelet_server: KeyPair
    kubelet: Path
    scheduler: Path
    proxy: Path
    plugins: Path

    def write(self) -> None:
        """Write every configuration file below `folder`."""
        files = {
            "containerd.toml": self._containerd(),
            "cni/10-opssc.conflist": json.dumps(_cni(), indent=2),
            "kubelet.yaml": yaml.safe_dump(self._kubelet()),
            "scheduler.yaml": yaml.safe_dump(self._scheduler()),
            "proxy.yaml": yaml.safe_dump(self._proxy()),
            # There is no cluster DNS; a resolver that answers nothing is better than this machine's own.
            "resolv.conf": f"nameserver {address.HOST}\n",
        }
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def _containerd(self) -> str:
        """Return containerd's configuration (format 2: containerd 1.6 and later)."""
        cri = "plugins.'io.containerd.grpc.v1.cri'"
        return f"""\
version = 2
root = "{OWN_RUN}/containerd"
state = "/run/containerd"

[grpc]
address = "{CONTAINERD_SOCKET}"

[{cri}]
sandbox_image = "{PAUSE_IMAGE}"
restrict_oom_score_adj = true
disable_apparmor = true

[{cri}.containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"

[{cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[{cri}.containerd.runtimes.runc.options]
SystemdCgroup = false

[{cri}.cni]
bin_dir = "{self.plugins}"
conf_dir = "{self.folder / "cni"}"
"""

    def _kubelet(self) -> dict[str, Any]:
        """Return the kubelet's configuration; nothing is evicted, for a test's machine may be full."""
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": str(address.NODE),
            "port": KUBELET_PORT,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(self.authority)},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(self.kubelet_server.certificate),
            "tlsPrivateKeyFile": str(self.kubelet_server.key),
            "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self.cgroup}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "oomScoreAdj": 0,
            "resolvConf": str(self.folder / "resolv.conf"),
            "volumePluginDir": str(OWN_RUN / "plugins"),
            "evictionHard": {"memory.available": "0%", "nodefs.available": "0%", "imagefs.available": "0%"},
            "imageGCHighThresholdPercent": 100,
            "syncFrequency": "10s",
            "nodeStatusUpdateFrequency": "5s",
        }

    def _scheduler(self) -> dict[str, Any]:
        return {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "leaderElection": {"leaderElect": False},
            "clientConnection": {"kubeconfig": str(self.scheduler)},
        }

    def _proxy(self) -> dict[str, Any]:
        """Return kube-proxy's configuration; the limits of conntrack belong to the whole machine and stay as is."""
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "hostnameOverride": self.name,
            "clusterCIDR": str(address.PODS),
            "clientConnection": {"kubeconfig": str(self.proxy)},
            "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
            "iptables": {"localhostNodePorts": False, "minSyncPeriod": "0s"},
        }


def _cni() -> dict[str, Any]:
    """Return the pods' network: a bridge inside the node's namespaces. It enforces no NetworkPolicy."""
    return {
        "cniVersion": "0.4.0",
        "name": "opssc",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": True,
                "hairpinMode": True,
                "ipMasq": False,
                "ipam": {
                    "type": "host-local",
                    "dataDir": str(OWN_RUN / "addresses"),
                    "ranges": [[{"subnet": str(address.PODS)}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }

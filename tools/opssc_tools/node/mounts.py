"""What a node sees of this machine's files: its own /run and /var/log, and settings of the kernel it cannot change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from opssc_tools.cluster.shared import find_program
from opssc_tools.node.configuration import OWN_RUN

if TYPE_CHECKING:
    from opssc_tools.node.namespaces import Namespaces

CNI_CACHE: Final = Path("/var/lib/cni")  # compiled into the CNI library
DECOYS: Final = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""What the kubelet would set for the whole machine (pkg/kubelet/cm/container_manager_linux.go); it finds it set."""


async def prepare(namespaces: Namespaces, folder: Path) -> None:
    """Mount the node's own files inside its namespaces; they go with them.

    `folder` holds what must be on disk. Raises ClusterError when a mount is refused.
    """
    mount, mkdir = find_program("mount", "install mount"), find_program("mkdir", "install coreutils")
    logs = folder / "log"
    logs.mkdir(parents=True, exist_ok=True)
    CNI_CACHE.mkdir(parents=True, exist_ok=True)
    for mounted in (Path("/run"), CNI_CACHE):
        await namespaces.carry_out(mount, "-t", "tmpfs", "-o", "mode=755", "opssc-node", mounted)
    await namespaces.carry_out(mount, "--bind", logs, "/var/log")
    for name in ("containerd", "kubelet"):
        (folder / name).mkdir(exist_ok=True)
        await namespaces.carry_out(mkdir, "-p", OWN_RUN / name)
        await namespaces.carry_out(mount, "--bind", folder / name, OWN_RUN / name)
    for name, value in DECOYS.items():
        decoy = folder / "sysctl" / name
        decoy.parent.mkdir(parents=True, exist_ok=True)
        decoy.write_text(f"{value}\n", encoding="ascii")
        await namespaces.carry_out(mount, "--bind", decoy, Path("/proc/sys") / name)
    # Volumes of pods must appear in their containers.
    await namespaces.carry_out(mount, "--make-rshared", "/")

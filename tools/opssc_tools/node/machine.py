"""Whether this machine can run a node, and what is missing if not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from opssc_tools.node import cgroups

PROGRAMS: Final = {
    "containerd": "containerd",
    "containerd-shim-runc-v2": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
    "mkdir": "coreutils",
    "ldd": "libc-bin",
}
"""The programs of the machine that a node needs, and the Debian package of each."""
PLUGINS: Final = ("bridge", "host-local", "loopback", "portmap")
PLUGINS_PACKAGE: Final = "containernetworking-plugins"
PLUGIN_FOLDERS: Final = (Path("/usr/lib/cni"), Path("/opt/cni/bin"), Path("/usr/libexec/cni"))
PROBE_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Shortage:
    """One thing a node needs and this machine lacks; `package` is the Debian package that has it, if one does."""

    what: str
    package: str = ""


def find_plugins() -> Path | None:
    """Return the folder of the CNI plugins, if there is one."""
    complete = (folder for folder in PLUGIN_FOLDERS if all((folder / plugin).is_file() for plugin in PLUGINS))
    return next(complete, None)


def find_shortages() -> tuple[Shortage, ...]:
    """Return everything that is missing; rights are tried out, and what that made is removed again."""
    if sys.platform != "linux":
        return (Shortage(f"the system is {sys.platform}, not Linux"),)
    missing = [Shortage(f"no program `{name}`", package) for name, package in PROGRAMS.items() if not _has(name)]
    if find_plugins() is None:
        missing.append(Shortage(f"no CNI plugins ({', '.join(PLUGINS)})", PLUGINS_PACKAGE))
    if os.geteuid() != 0:
        return (*missing, Shortage("not root, who alone may make namespaces, mounts and control groups"))
    return (*missing, *_try_cgroups(), *_try_namespaces())


def _has(program: str) -> bool:
    return shutil.which(program) is not None


def _try_cgroups() -> list[Shortage]:
    if not cgroups.hierarchies():
        return [Shortage(f"no control groups at {cgroups.ROOT}")]
    try:
        cgroups.probe()
    except OSError as exc:
        return [Shortage(f"no right to make control groups ({exc.strerror}: {exc.filename})")]
    return []


def _try_namespaces() -> list[Shortage]:
    """Do inside namespaces of a moment what a node does inside its own."""
    tries = {
        "namespaces of its own": ("true",),
        "mounts of its own": ("mount", "-t", "tmpfs", "none", "/run"),
        "a veth pair": ("ip", "link", "add", "probe0", "type", "veth", "peer", "name", "probe1"),
        "packet rewriting": ("iptables", "-t", "nat", "-L", "-n"),
    }
    for what, command in tries.items():
        if not _has("unshare") or not _has(command[0]):
            continue
        inside = ("unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", *command)
        done = subprocess.run(inside, capture_output=True, text=True, check=False, timeout=PROBE_SECONDS)
        if done.returncode != 0:
            # The later ones need the earlier ones.
            words = done.stderr.strip().splitlines() or ["without a word"]
            return [Shortage(f"the kernel refuses {what} ({words[-1]})")]
    return []


def packages(shortages: tuple[Shortage, ...]) -> tuple[str, ...]:
    """Return the Debian packages that would end shortages."""
    return tuple(sorted({shortage.package for shortage in shortages if shortage.package}))


def describe(shortages: tuple[Shortage, ...]) -> str:
    """Return one text for a person: what is missing and what can be installed."""
    text = "this machine cannot run a Kubernetes node: " + "; ".join(shortage.what for shortage in shortages)
    if installable := packages(shortages):
        text += f". Debian has {' '.join(installable)}: `make test-node ARGS=--install` as root installs them"
    return text

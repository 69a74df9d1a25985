"""Which programs are pinned, and where a build of exactly these pins lives.

A build lives outside the work tree in `$OPSSC_CACHE/tools/<key>`, where the key is a digest of go.mod, go.sum, Go files
of our own, the Go version and the platform. So a changed pin is a new folder, several work trees share builds, and
nothing is ever stale.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from opssc_tools.errors import MissingProgramError, ToolsError

PINS_FOLDER = Path(__file__).resolve().parents[2]
GO_ENV_TIMEOUT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class GoModule:
    """One Go module of pins.

    `packages` is program name to Go package, `pinned` the module whose version counts, and `stamps` the packages whose
    version variables the linker sets.
    """

    folder: Path
    packages: dict[str, str]
    pinned: str
    stamps: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The short name of the module, that of its folder."""
        return self.folder.name

    @property
    def version(self) -> str:
        """The pinned version, such as `v1.34.4`, as its go.mod names it."""
        go_mod = (self.folder / "go.mod").read_text(encoding="utf-8")
        found = re.search(rf"^(?:require)?\s+{re.escape(self.pinned)} (v\S+)", go_mod, re.MULTILINE)
        if found is None:
            raise ToolsError(f"{self.folder / 'go.mod'} pins no {self.pinned}")
        return found[1]


KUBE = GoModule(
    folder=PINS_FOLDER / "kube",
    packages={
        "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
        "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
        "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    },
    pinned="k8s.io/kubernetes",
    stamps=("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"),
)
ETCD = GoModule(
    folder=PINS_FOLDER / "etcd", packages={"etcd": "go.etcd.io/etcd/server/v3"}, pinned="go.etcd.io/etcd/server/v3"
)
MODULES = (ETCD, KUBE)
NODE = GoModule(
    folder=PINS_FOLDER / "node",
    packages={
        "kubelet": "k8s.io/kubernetes/cmd/kubelet",
        "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
        "kube-proxy": "k8s.io/kubernetes/cmd/kube-proxy",
        "pause": "./pause",
    },
    pinned="k8s.io/kubernetes",
    stamps=KUBE.stamps,
)
"""What only a real node needs; `make setup` leaves it alone, `make test-node` builds it."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the built programs of a local test cluster are."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kubectl: Path


def cache_root() -> Path:
    """Return the folder of everything built and kept: OPSSC_CACHE, or `opssc` in the user's cache folder."""
    own = os.environ.get("OPSSC_CACHE")
    if own:
        return Path(own).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "opssc"


def fetch_go_version(module: GoModule) -> str:
    """Return the Go version and platform that would build this module, such as `go1.26.8 linux/amd64`.

    Raises:
        MissingProgramError: when there is no Go, or none that this module accepts.
    """
    command = ["go", "env", "GOVERSION", "GOOS", "GOARCH"]
    try:
        done = subprocess.run(
            command, cwd=module.folder, capture_output=True, text=True, check=True, timeout=GO_ENV_TIMEOUT_SECONDS
        )
    except FileNotFoundError as exc:
        raise MissingProgramError("there is no Go on this machine: install golang-go, then run `make setup`") from exc
    except subprocess.CalledProcessError as exc:
        raise MissingProgramError(f"Go cannot work in {module.folder}: {exc.stderr.strip()}") from exc
    version, system, architecture = done.stdout.split()
    return f"{version} {system}/{architecture}"


def build_folder(module: GoModule) -> Path:
    """Return where a build of exactly these pins with this Go lives, built or not."""
    digest = hashlib.sha256(fetch_go_version(module).encode())
    for pin in (module.folder / "go.mod", module.folder / "go.sum", *sorted(module.folder.rglob("*.go"))):
        digest.update(pin.read_bytes())
    return cache_root() / "tools" / f"{module.name}-{module.version}-{digest.hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class NodePrograms:
    """Where the built programs of a real node are; `pause` is also what its pods' sandboxes run."""

    kubelet: Path
    kube_scheduler: Path
    kube_proxy: Path
    pause: Path


def _locate(module: GoModule, remedy: str) -> dict[str, Path]:
    """Return the paths of a module's built programs by their names.

    Raises:
        MissingProgramError: with the remedy, when one of them has not been built for the present pins.
    """
    folder = build_folder(module)
    for program in module.packages:
        if not (folder / program).is_file():
            raise MissingProgramError(f"{program} {module.version} is not built on this machine: run `{remedy}`")
    return {program: folder / program for program in module.packages}


def locate() -> Programs:
    """Return the paths of the built programs.

    Raises:
        MissingProgramError: when one of them has not been built for the present pins.
    """
    paths = {program: path for module in MODULES for program, path in _locate(module, "make setup").items()}
    return Programs(
        etcd=paths["etcd"],
        kube_apiserver=paths["kube-apiserver"],
        kube_controller_manager=paths["kube-controller-manager"],
        kubectl=paths["kubectl"],
    )


def locate_node() -> NodePrograms:
    """Return the paths of the programs that only a real node needs.

    Raises:
        MissingProgramError: when one of them has not been built for the present pins.
    """
    paths = _locate(NODE, "make test-node")
    return NodePrograms(
        kubelet=paths["kubelet"],
        kube_scheduler=paths["kube-scheduler"],
        kube_proxy=paths["kube-proxy"],
        pause=paths["pause"],
    )

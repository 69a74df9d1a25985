from __future__ import annotations

import subprocess
import sys

import pytest

from opssc_tools.node import machine
from opssc_tools.node.machine import Shortage
from opssc_tools.toolchain import MODULES, NODE
from opssc_tools.toolchain.pins import KUBE

CASES = [
    pytest.param(
        (Shortage("no program `ctr`", "containerd"), Shortage("no program `runc`", "runc"), Shortage("not root")),
        (
            "this machine cannot run a Kubernetes node: no program `ctr`; no program `runc`; not root. "
            "Debian has containerd runc: `make test-node ARGS=--install` as root installs them"
        ),
        id="packages would help",
    ),
    pytest.param(
        (Shortage("no right to make control groups (Read-only file system: /sys/fs/cgroup/x)"),),
        (
            "this machine cannot run a Kubernetes node: "
            "no right to make control groups (Read-only file system: /sys/fs/cgroup/x)"
        ),
        id="no package would help",
    ),
]


@pytest.mark.parametrize(("shortages", "text"), CASES)
def test_what_is_missing_is_said_with_what_helps(shortages: tuple[Shortage, ...], text: str) -> None:
    assert machine.describe(shortages) == text


def test_a_package_is_named_once() -> None:
    shortages = (Shortage("no program `ctr`", "containerd"), Shortage("no program `containerd`", "containerd"))

    assert machine.packages(shortages) == ("containerd",)


def test_a_machine_without_the_programs_is_told_apart_before_anything_is_built() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "opssc_tools.node"],
        env={"PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("this machine cannot run a Kubernetes node: no program `containerd`; ")
    assert "no program `runc`" in said.stdout
    assert "ARGS=--install" in said.stdout


def test_a_node_has_the_kubernetes_version_of_the_api_server_and_is_no_part_of_the_ordinary_set_up() -> None:
    assert NODE.version == KUBE.version
    assert NODE not in MODULES

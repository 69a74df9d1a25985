from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MEMBERS = {
    "fabric": "fabric_admin",
    "chaincode": "opssc_chaincode",
    "operator": "opssc_operator",
    "devnet": "fabric_devnet",
    "tools": "opssc_tools",
}
LINTER_SECONDS = 60


@pytest.fixture
def copy(project_root: Path, tmp_path: Path) -> Path:
    """A copy of every member's modules, to be broken."""
    for folder, package in MEMBERS.items():
        shutil.copytree(project_root / folder / package, tmp_path / folder / package)
    shutil.copy(project_root / "pyproject.toml", tmp_path)
    return tmp_path


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(str(root / folder) for folder in MEMBERS)},
        capture_output=True,
        text=True,
        check=False,
        timeout=LINTER_SECONDS,
    )


def test_the_tree_keeps_its_layers(copy: Path) -> None:
    result = lint(copy)

    assert result.returncode == 0, result.stdout
    assert "0 broken" in result.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        pytest.param(
            "operator/opssc_operator/domain/__init__.py",
            "import opssc_operator.handlers",
            "The operator's layers BROKEN",
            id="domain-imports-handlers",
        ),
        pytest.param(
            "operator/opssc_operator/ledger/__init__.py",
            "import opssc_operator.kube",
            "The operator's layers BROKEN",
            id="ledger-imports-kube",
        ),
        pytest.param(
            "operator/opssc_operator/reconcile/__init__.py",
            "import kopf",
            "Only handlers and __main__ import kopf BROKEN",
            id="reconcile-imports-kopf",
        ),
        pytest.param(
            "operator/opssc_operator/ledger/__init__.py",
            "import kubernetes.aio",
            "Only kube imports the Kubernetes client BROKEN",
            id="ledger-imports-kubernetes",
        ),
        pytest.param(
            "operator/opssc_operator/domain/__init__.py",
            "import time",
            "Decisions and API models do no I/O BROKEN",
            id="domain-reads-the-clock",
        ),
        pytest.param(
            "operator/opssc_operator/kube/__init__.py",
            "import fabric_devnet",
            "Nothing imports the development network but tests and tools BROKEN",
            id="operator-imports-devnet",
        ),
        pytest.param(
            "fabric/fabric_admin/msp.py",
            "import grpc",
            "The pure core of fabric_admin knows no network BROKEN",
            id="msp-imports-grpc",
        ),
        pytest.param(
            "fabric/fabric_admin/msp.py",
            "import fabric_admin.transport",
            "What talks to a network stands above the pure core of fabric_admin BROKEN",
            id="msp-imports-transport",
        ),
        pytest.param(
            "fabric/fabric_admin/__init__.py",
            "import opssc_chaincode",
            "fabric_admin knows nothing of OpsSC, Kubernetes or the development network BROKEN",
            id="fabric-admin-imports-the-contract",
        ),
        pytest.param(
            "chaincode/opssc_chaincode/tally.py",
            "import random",
            "Only the contract's server part knows the network and the clock BROKEN",
            id="tally-imports-random",
        ),
        pytest.param(
            "chaincode/opssc_chaincode/__init__.py",
            "import fabric_admin",
            "The contract imports no other member and no Kubernetes BROKEN",
            id="contract-imports-fabric-admin",
        ),
    ],
)
def test_the_linter_complains_when_a_layer_is_broken(copy: Path, module: str, line: str, contract: str) -> None:
    broken = copy / module
    assert broken.is_file()
    with broken.open("a", encoding="utf-8") as source:
        source.write(f"\n{line}\n")

    result = lint(copy)

    assert result.returncode == 1
    assert contract in result.stdout

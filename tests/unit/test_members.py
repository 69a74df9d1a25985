from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

MEMBERS = {
    "fabric": "fabric_admin",
    "chaincode": "opssc_chaincode",
    "operator": "opssc_operator",
    "devnet": "fabric_devnet",
    "tools": "opssc_tools",
}


@pytest.mark.parametrize(("folder", "package"), MEMBERS.items(), ids=MEMBERS.keys())
def test_each_member_imports_from_the_work_tree_and_is_typed(project_root: Path, folder: str, package: str) -> None:
    spec = importlib.util.find_spec(package)

    assert spec is not None
    assert spec.origin == str(project_root / folder / package / "__init__.py")
    assert (project_root / folder / package / "py.typed").is_file()
    assert (project_root / folder / "README.md").is_file()


@pytest.mark.parametrize("folder", MEMBERS, ids=MEMBERS.keys())
def test_a_member_folder_is_never_a_package_itself(project_root: Path, folder: str) -> None:
    assert not (project_root / folder / "__init__.py").exists()


@pytest.mark.parametrize("name", ["bootstrap", "runtime", "dev"])
def test_a_lock_names_no_package_host_and_hashes_everything(project_root: Path, name: str) -> None:
    lines = (project_root / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith((" ", "#"))]

    assert pins
    assert all("==" in pin and pin.endswith("\\") for pin in pins)
    assert not [line for line in lines if line.startswith("--") or "://" in line]

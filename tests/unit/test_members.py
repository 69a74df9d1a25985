from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import itertools
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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


def declared(project_root: Path, folder: str) -> set[str]:
    project = tomllib.loads((project_root / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = itertools.chain.from_iterable(project.get("optional-dependencies", {}).values())
    return {canonicalize_name(Requirement(text).name) for text in [*project["dependencies"], *extras]}


def imported(package: Path) -> set[str]:
    """The distributions whose modules a package imports, besides itself and the standard library."""
    # An editable install does not tell which modules it brings.
    providers = {**importlib.metadata.packages_distributions(), **{member: [member] for member in MEMBERS.values()}}
    modules: set[str] = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module)
    # `google` is shared by many distributions; the one we mean is protobuf.
    tops = {"google.protobuf" if name.startswith("google.protobuf") else name.partition(".")[0] for name in modules}
    tops -= {package.name, *sys.stdlib_module_names}
    return {canonicalize_name("protobuf" if top == "google.protobuf" else providers[top][0]) for top in tops}


@pytest.mark.parametrize(("folder", "package"), MEMBERS.items(), ids=MEMBERS.keys())
def test_a_member_declares_exactly_what_it_imports(project_root: Path, folder: str, package: str) -> None:
    used, named = imported(project_root / folder / package), declared(project_root, folder)

    assert used - named == set(), "imported, not declared"
    assert named - used == set(), "declared, not imported"

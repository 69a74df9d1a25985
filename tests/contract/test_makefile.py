"""What `make` finds out about a machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 30


def ask_make(project_root: Path, programs: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    make = shutil.which("make")
    assert make is not None
    return subprocess.run(
        [make, *arguments],
        cwd=project_root,
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )


def provide(programs: Path, *names: str) -> None:
    """Put programs of this machine, and its Python under any name, where make will look."""
    for name in names:
        found = sys.executable if name.startswith("python") else shutil.which(name)
        assert found is not None
        launcher = programs / name
        launcher.write_text(f'#!/bin/sh\nexec "{found}" "$@"\n', encoding="utf-8")
        launcher.chmod(0o755)


@pytest.mark.parametrize("name", ["python3", "python3.13", "python3.11"])
def test_one_python_of_any_accepted_name_is_enough(project_root: Path, tmp_path: Path, name: str) -> None:
    provide(tmp_path, name)

    asked = ask_make(project_root, tmp_path, "--dry-run", "machine")

    assert asked.stdout.split() == ["tools/machine.sh", f'"{name}"', "local"]


def test_everything_that_is_missing_is_said_at_once(project_root: Path, tmp_path: Path) -> None:
    provide(tmp_path, "sed", "dirname")

    asked = ask_make(project_root, tmp_path, "machine")

    assert asked.returncode == 2
    assert "  - Python 3.11 or newer\n" in asked.stdout
    assert "  - Go 1.24.0 or newer, to build the Kubernetes test programs once\n" in asked.stdout


@pytest.mark.parametrize("argument", ["--cluster=existing", "--cluster existing"])
def test_somebody_elses_cluster_needs_no_go(project_root: Path, tmp_path: Path, argument: str) -> None:
    provide(tmp_path, "python3", "sed", "dirname")
    (tmp_path / "kubectl").symlink_to("/bin/true")

    asked = ask_make(project_root, tmp_path, "machine", f"ARGS={argument} --orgs 2")

    assert (asked.returncode, asked.stdout) == (0, "")


@pytest.mark.parametrize(
    ("cluster", "missing"),
    [pytest.param("existing", ["kubectl"], id="existing"), pytest.param("kind", ["kubectl", "kind"], id="kind")],
)
def test_somebody_elses_cluster_needs_its_programs_before_anything_is_made(
    project_root: Path, tmp_path: Path, cluster: str, missing: list[str]
) -> None:
    provide(tmp_path, "python3", "sed", "dirname")

    asked = ask_make(project_root, tmp_path, "demo", f"ARGS=--cluster={cluster}")

    assert asked.returncode == 2
    first, *rest = asked.stdout.splitlines()
    assert first == "This machine lacks:"
    named = [line for line in rest if line.startswith("  - ")]
    assert named == [f"  - {program}, for --cluster={cluster}" for program in missing]

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from opssc_tools.errors import BuildError, MissingProgramError
from opssc_tools.toolchain import GoModule, locate
from opssc_tools.toolchain.build import ensure
from opssc_tools.toolchain.pins import build_folder

GO_MOD = """\
module example.test/pins

go 1.24.0

require (
\texample.test/greeter v1.2.3
)

replace example.test/greeter v1.2.3 => ./greeter
"""
GREETER = {
    "go.mod": "module example.test/greeter\n\ngo 1.24.0\n",
    "version/version.go": 'package version\n\nvar gitVersion = "unknown"\n\nfunc Get() string { return gitVersion }\n',
    "v3/main.go": ('package main\n\nimport "example.test/greeter/version"\n\nfunc main() { print(version.Get()) }\n'),
}


@pytest.fixture
def pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GoModule:
    """A module of pins as small as can be, and an empty cache."""
    monkeypatch.setenv("OPSSC_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "pins"
    for name, text in {"go.mod": GO_MOD, "go.sum": "", **{f"greeter/{k}": v for k, v in GREETER.items()}}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return GoModule(
        folder=folder,
        packages={"greeter": "example.test/greeter/v3"},
        pinned="example.test/greeter",
        stamps=("example.test/greeter/version",),
    )


def test_a_pinned_program_is_built_into_the_cache_and_reports_the_pinned_version(
    pins: GoModule, tmp_path: Path
) -> None:
    folder = ensure(pins)

    said = subprocess.run([folder / "greeter"], capture_output=True, text=True, check=True, timeout=10)
    assert folder.is_relative_to(tmp_path / "cache")
    assert said.stderr == "v1.2.3"


def test_a_built_program_is_not_built_again(pins: GoModule) -> None:
    program = ensure(pins) / "greeter"
    built = program.stat().st_mtime_ns

    again = ensure(pins) / "greeter"

    assert (again, again.stat().st_mtime_ns) == (program, built)


@pytest.mark.parametrize("pin", ["go.mod", "go.sum"])
def test_a_changed_pin_is_another_build(pins: GoModule, pin: str) -> None:
    before = build_folder(pins)

    with (pins.folder / pin).open("a", encoding="utf-8") as file:
        file.write("\n")

    assert build_folder(pins) != before


def test_a_build_that_fails_says_why_and_leaves_nothing_that_looks_built(pins: GoModule) -> None:
    (pins.folder / "greeter/v3/main.go").write_text("package main\n\nfunc main() { nothing() }\n", encoding="utf-8")

    with pytest.raises(BuildError, match="undefined: nothing"):
        ensure(pins)

    assert not build_folder(pins).exists()


def test_programs_that_are_not_built_are_named_with_the_command_that_builds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPSSC_CACHE", str(tmp_path))

    with pytest.raises(MissingProgramError, match="is not built on this machine: run `make setup`"):
        locate()


def test_without_go_the_package_to_install_is_named(pins: GoModule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(pins.folder))

    with pytest.raises(MissingProgramError, match="install golang-go"):
        build_folder(pins)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param(["absent-python"], 1, "apt install python3 python3-venv", id="no-python"),
        pytest.param([sys.executable], 1, "apt install golang-go", id="no-go"),
        pytest.param([sys.executable, "--without-go"], 0, "", id="go-not-needed"),
    ],
)
def test_what_the_machine_lacks_is_said_with_the_package_that_brings_it(
    project_root: Path, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    for program in ("dirname", "sed"):
        (tmp_path / program).symlink_to(f"/usr/bin/{program}")

    done = subprocess.run(
        ["/bin/sh", project_root / "tools/machine.sh", *arguments],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )

    assert done.returncode == code
    assert said in done.stdout

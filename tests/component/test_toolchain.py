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
    ("arguments", "lacking"),
    [
        pytest.param(["absent-python", "existing"], ["make", "Python 3.11 or newer", "kubectl"], id="no-python"),
        pytest.param(["absent-python"], ["make", "Python 3.11 or newer", "Go"], id="nothing-at-all"),
        pytest.param([], ["make", "Python 3.11 or newer", "Go"], id="asked-by-hand"),
        pytest.param([sys.executable], ["make", "Go"], id="no-go"),
        pytest.param([sys.executable, "existing"], ["make", "kubectl"], id="somebody-elses-cluster"),
        pytest.param([sys.executable, "kind"], ["make", "kubectl", "kind"], id="kind"),
    ],
)
def test_what_the_machine_lacks_is_said_in_one_list(
    project_root: Path, tmp_path: Path, arguments: list[str], lacking: list[str]
) -> None:
    # Given
    provide(tmp_path, "dirname", "sed")

    # When
    code, said = ask_machine(project_root, tmp_path, *arguments)

    # Then
    named = [line.removeprefix("  - ") for line in said.splitlines() if line.startswith("  - ")]
    assert code == 1
    assert len(named) == len(lacking)
    assert [line.startswith(what) for line, what in zip(named, lacking, strict=True)] == [True] * len(lacking)


@pytest.mark.parametrize(
    ("program", "package"),
    [
        pytest.param("make", "apt install make", id="make"),
        pytest.param("python", "apt install python3 python3-venv", id="python"),
        pytest.param("go", "apt install golang-go", id="go"),
        pytest.param("kubectl", "apt install kubernetes-client", id="kubectl"),
    ],
)
def test_with_what_is_missing_goes_the_package_that_brings_it(
    project_root: Path, tmp_path: Path, program: str, package: str
) -> None:
    # Given: everything else
    provide(tmp_path, "dirname", "sed", *({"make", "go", "kubectl"} - {program}))
    python = "absent-python" if program == "python" else sys.executable
    cluster = "existing" if program == "kubectl" else "local"

    # When
    code, said = ask_machine(project_root, tmp_path, python, cluster)

    # Then
    assert code == 1
    assert said.count("  - ") == 1
    assert package in said


@pytest.mark.parametrize(
    ("cluster", "programs"),
    [
        pytest.param("existing", ("make", "kubectl"), id="existing-needs-no-go"),
        pytest.param("local", ("make", "go"), id="local-needs-no-kubectl"),
    ],
)
def test_a_machine_that_has_it_all_is_told_nothing(
    project_root: Path, tmp_path: Path, cluster: str, programs: tuple[str, ...]
) -> None:
    provide(tmp_path, "dirname", "sed", *programs)

    assert ask_machine(project_root, tmp_path, sys.executable, cluster) == (0, "")


def provide(folder: Path, *programs: str) -> None:
    """Put programs into a folder; those that are only looked for do nothing."""
    for program in programs:
        real = Path(f"/usr/bin/{program}") if program in {"dirname", "sed"} else Path("/bin/true")
        (folder / program).symlink_to(real)


def ask_machine(project_root: Path, programs: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        ["/bin/sh", project_root / "tools/machine.sh", *arguments],
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    return done.returncode, done.stdout

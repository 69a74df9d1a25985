"""The release of the nodes: read from what `peer version` prints, and what follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fabric_devnet.errors import BackendUnavailable
from fabric_devnet.official.home import FabricHome
from fabric_devnet.release import FABRIC_3_0, Release

if TYPE_CHECKING:
    from pathlib import Path

PRINTED = "peer:\n Version: {}\n Commit SHA: f871cf92a\n Go version: go1.26.4\n OS/Arch: linux/amd64\n"


def release_that_prints(directory: Path, text: str, exit_code: int = 0) -> FabricHome:
    """A release whose `peer` prints this, whatever it is asked."""
    peer = directory / "bin" / "peer"
    peer.parent.mkdir()
    peer.write_text(f"#!/bin/sh\n/bin/cat <<'END'\n{text}END\nexit {exit_code}\n", encoding="utf-8")
    peer.chmod(0o755)
    return FabricHome(directory)


@pytest.mark.parametrize(
    ("version", "release", "capability"),
    [
        pytest.param("2.5.16", Release(2, 5, 16), "V2_0", id="2.5"),
        pytest.param("v3.0.0-beta", Release(3, 0, 0), "V3_0", id="3.0-beta"),
        pytest.param("3.1.5", Release(3, 1, 5), "V3_0", id="3.1"),
    ],
)
def test_a_release_is_read_from_its_peer_program(
    tmp_path: Path, version: str, release: Release, capability: str
) -> None:
    found = release_that_prints(tmp_path, PRINTED.format(version)).read_release()

    assert found == release
    assert found.channel_capability == capability


@pytest.mark.parametrize(
    ("printed", "exit_code", "text"),
    [
        pytest.param(PRINTED.format("2.4.9"), 0, "is of release 2.4.9; needed is 2.5.0 or newer", id="too-old"),
        pytest.param(PRINTED.format("latest"), 0, "is of release unknown", id="no-release"),
        pytest.param("", 1, "peer version failed", id="failing"),
    ],
)
def test_a_program_no_network_can_run_on_is_refused(tmp_path: Path, printed: str, exit_code: int, text: str) -> None:
    home = release_that_prints(tmp_path, printed, exit_code)

    with pytest.raises(BackendUnavailable, match=text):
        home.read_release()


def test_releases_are_ordered_by_number_not_by_text() -> None:
    assert Release(2, 5, 16) > Release(2, 5, 9)
    assert Release(3, 1, 5) > FABRIC_3_0 > Release(2, 10)
    assert str(Release(2, 5, 16)) == "2.5.16"

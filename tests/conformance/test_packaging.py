"""Packages of source trees hold what the official packager puts into them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from unit.fabric.test_build_git import GO, JAVA, NODE, built

from fabric_admin import package
from fabric_admin.sourcetree import Language


@pytest.mark.parametrize(
    ("language", "files", "path", "metadata_path"),
    [
        pytest.param("golang", GO, "cc", "example.com/consortium/asset", id="go"),
        pytest.param("golang", GO, "cc/nested/deep", "example.com/consortium/asset/nested/deep", id="go-nested"),
        pytest.param("node", NODE, "", "", id="node"),
        pytest.param(
            "java",
            {f"chaincode/{name}": content for name, content in JAVA.items()},
            "chaincode",
            "chaincode",
            id="java",
        ),
    ],
)
@pytest.mark.fabric
@pytest.mark.skipif("FABRIC_HOME" not in os.environ, reason="FABRIC_HOME names no official binaries")
def test_the_peer_packages_the_same_files(
    language: Language, files: Mapping[str, bytes], path: str, metadata_path: str, tmp_path: Path
) -> None:
    # Given
    for name, content in files.items():
        file = tmp_path / "tree" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    home = Path(os.environ["FABRIC_HOME"])
    output = tmp_path / "asset.tgz"

    # When
    command: list[Path | str] = [home / "bin" / "peer", "lifecycle", "chaincode", "package", output, "--lang", language]
    environment = {**os.environ, "FABRIC_CFG_PATH": str(home / "config"), "GOFLAGS": "-mod=vendor", "GOPROXY": "off"}
    subprocess.run(
        [*command, "--path", tmp_path / "tree" / path, "--label", "asset_1.0"], check=True, env=environment, timeout=60
    )
    theirs = package.parse(output.read_bytes())
    ours, _ = built(files, language, path)

    # Then
    assert package.unpack_code(ours) == package.unpack_code(theirs)
    assert (ours.label, ours.type) == (theirs.label, theirs.type)
    assert ours.path == metadata_path
    assert theirs.path in {metadata_path, str(tmp_path / "tree" / path)}

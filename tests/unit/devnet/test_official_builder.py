"""Our external builder does what Fabric's chaincode-as-a-service builder does."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from fabric_devnet.official.builder import BuilderError, render_connection, write_builder

if TYPE_CHECKING:
    from pathlib import Path

CONTEXT = {"chaincode_host": "127.3.4.1", "peername": "peer0-org1"}


def run(program: Path, *arguments: Path) -> subprocess.CompletedProcess[str]:
    """As a peer runs it: nothing in the environment but what is propagated."""
    environment = {"CHAINCODE_AS_A_SERVICE_BUILDER_CONFIG": json.dumps(CONTEXT), "PATH": os.defpath}
    return subprocess.run(
        [program, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=30
    )


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        pytest.param("ccaas", 0, id="its-type"),
        pytest.param("CCAAS", 0, id="any-case"),
        pytest.param("golang", 1, id="another-type"),
    ],
)
def test_only_its_own_package_type_is_accepted(tmp_path: Path, kind: str, code: int) -> None:
    builder = write_builder(tmp_path / "builder")
    (tmp_path / "metadata.json").write_text(json.dumps({"type": kind, "label": "x"}), encoding="utf-8")

    assert run(builder / "bin" / "detect", tmp_path, tmp_path).returncode == code


def test_a_package_is_built_and_released_with_its_template_filled_in_and_its_indexes(tmp_path: Path) -> None:
    builder = write_builder(tmp_path / "builder")
    source, output, released = (tmp_path / name for name in ("source", "output", "released"))
    for directory in (source / "META-INF" / "statedb" / "couchdb" / "indexes", output, released):
        directory.mkdir(parents=True)
    (source / "META-INF" / "statedb" / "couchdb" / "indexes" / "owner.json").write_text("{}", encoding="utf-8")
    connection = {"address": "{{.chaincode_host}}:9999", "dial_timeout": "10s", "tls_required": False}
    (source / "connection.json").write_text(json.dumps(connection), encoding="utf-8")

    built = run(builder / "bin" / "build", source, tmp_path, output)
    release = run(builder / "bin" / "release", output, released)

    assert (built.returncode, release.returncode) == (0, 0)
    served = json.loads((released / "chaincode" / "server" / "connection.json").read_text(encoding="utf-8"))
    assert served == {"address": "127.3.4.1:9999", "dial_timeout": "10s", "tls_required": False}
    assert (released / "statedb" / "couchdb" / "indexes" / "owner.json").is_file()


def test_a_package_without_connection_is_not_built(tmp_path: Path) -> None:
    builder = write_builder(tmp_path / "builder")

    built = run(builder / "bin" / "build", tmp_path, tmp_path, tmp_path)

    assert (built.returncode, built.stderr.strip()) == (1, "Error: connection.json not found")


@pytest.mark.parametrize(
    ("connection", "said"),
    [
        pytest.param({"address": "{{.nowhere}}:1"}, "uses nowhere, which CHAINCODE_AS", id="unknown-name"),
        pytest.param({"address": ""}, "connection.json has no address", id="no-address"),
        pytest.param({"address": 7}, "address is not text", id="no-text"),
    ],
)
def test_a_connection_that_leads_nowhere_is_refused(connection: dict[str, object], said: str) -> None:
    with pytest.raises(BuilderError) as refusal:
        render_connection(connection, CONTEXT)

    assert said in str(refusal.value)


def test_tls_material_is_kept_only_where_tls_is_asked_for() -> None:
    connection = {"address": "{{ .peername }}:1", "tls_required": True, "root_cert": "PEM", "client_key": "secret"}

    rendered = render_connection(connection, CONTEXT)

    assert rendered == {"address": "peer0-org1:1", "dial_timeout": "3s", "tls_required": True, "root_cert": "PEM"}

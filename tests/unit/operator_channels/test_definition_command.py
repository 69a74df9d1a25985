"""The command that makes a definition from an MSP folder: what it prints is what peers would load, and no key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from fabric_admin.msp import MSP
from fabric_devnet.crypto import Role
from fabric_devnet.material import write_organization
from opssc_chaincode.model import OrganizationDefinition
from opssc_operator.definition import KEY, main
from opssc_operator.domain.channels.definitions import build_msp

if TYPE_CHECKING:
    from pathlib import Path

DOMAIN = "org4.example.com"


@pytest.fixture(scope="module")
def organization(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("organization")
    write_organization(directory, DOMAIN, Role.PEER, (f"peer0.{DOMAIN}",))
    return directory


@pytest.mark.parametrize("folder", ["msp", f"users/Admin@{DOMAIN}/msp"], ids=["of the organization", "of a user"])
def test_the_definition_of_a_folder_means_that_folder(
    organization: Path, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["--msp-id", "Org4MSP", "--msp-dir", str(organization / folder)])

    printed = json.loads(capsys.readouterr().out)
    definition = OrganizationDefinition.model_validate_json(printed["data"][KEY])
    msp = MSP.from_config(build_msp("Org4MSP", definition))
    whole = MSP.from_directory(organization / "msp", "Org4MSP")
    assert code == 0
    assert (printed["kind"], printed["metadata"]["name"]) == ("ConfigMap", "org4-definition")
    assert msp.tls_root_certs == whole.tls_root_certs
    assert msp.node_ous_enforced
    assert "PRIVATE KEY" not in json.dumps(printed)


def test_a_folder_that_is_no_msp_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--msp-id", "Org4MSP", "--msp-dir", str(tmp_path)])

    assert code == 2
    assert "cacerts" in capsys.readouterr().err


def test_a_certificate_nobody_would_load_is_refused(
    organization: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cacerts").mkdir()
    leaf = next((organization / "users" / f"Admin@{DOMAIN}" / "msp" / "signcerts").iterdir())
    (tmp_path / "cacerts" / "ca.pem").write_bytes(leaf.read_bytes())

    assert main(["--msp-id", "Org4MSP", "--msp-dir", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err

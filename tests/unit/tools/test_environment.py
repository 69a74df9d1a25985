from __future__ import annotations

import os
from pathlib import Path

import pytest

from fabric_devnet.errors import BackendUnavailable
from fabric_devnet.spec import BackendName
from opssc_operator.api.chaincode_proposal import ChaincodeProposal
from opssc_operator.api.organization import FabricOrganization
from opssc_operator.api.vote import Vote
from opssc_tools.cluster.start import ClusterKind
from opssc_tools.environment import EnvironmentSpec, manifests
from opssc_tools.environment.consortium import check
from opssc_tools.environment.directory import hold
from opssc_tools.environment.manifests import ServicePackage, made_up_digest
from opssc_tools.errors import EnvironmentSpecError

METADATA = {"namespace": "org1", "uid": "1", "resourceVersion": "1", "generation": 1}


@pytest.mark.parametrize(
    ("organizations", "api_servers", "shared"),
    [
        pytest.param(3, 0, False, id="one-each"),
        pytest.param(3, 3, False, id="one-each-when-said"),
        pytest.param(3, 1, True, id="one-for-all-when-said"),
        pytest.param(7, 0, True, id="one-for-all-when-they-are-many"),
        pytest.param(7, 7, False, id="one-each-although-they-are-many"),
    ],
)
def test_organizations_share_an_api_server_only_when_said_or_when_many(
    organizations: int, api_servers: int, *, shared: bool
) -> None:
    spec = EnvironmentSpec(directory=Path("x"), organizations=organizations, api_servers=api_servers)

    assert spec.shares_api_server is shared


def test_a_number_of_api_servers_between_one_and_all_is_refused() -> None:
    with pytest.raises(EnvironmentSpecError, match="so api-servers is 3 or 1, not 2"):
        EnvironmentSpec(directory=Path("x"), organizations=3, api_servers=2)


def test_an_existing_cluster_is_shared_under_names_that_say_whose_they_are() -> None:
    spec = EnvironmentSpec(directory=Path("x"), cluster=ClusterKind.EXISTING)

    assert spec.shares_api_server
    assert spec.namespace("org1") == "opssc-org1"


def test_the_package_read_from_a_sample_has_the_label_the_sample_says() -> None:
    sample = manifests.read_sample("chaincodeproposal.yaml")["spec"]["package"]

    package = ServicePackage.of_manifest(sample)

    assert package.label == sample["ccaas"]["label"]
    assert package.package_id.startswith(f"{package.label}:")


def test_built_manifests_are_what_the_models_accept() -> None:
    package = ServicePackage("asset7", made_up_digest("asset7"), 10007)
    proposal = manifests.build_proposal("asset7-1", package, chaincode="asset7")
    vote = manifests.build_vote("Org1MSP", "asset7-1", content_hash="0" * 64, reason="good", name="mine")

    parsed = ChaincodeProposal.model_validate({**proposal, "metadata": {**METADATA, **proposal["metadata"]}})
    voted = Vote.model_validate({**vote, "metadata": {**METADATA, **vote["metadata"]}})

    assert str(parsed.ref("Org1MSP")) == str(voted.spec.proposal.ref) == "Org1MSP/asset7-1"


def test_the_sample_of_an_organization_is_what_the_model_accepts() -> None:
    sample = manifests.read_sample("org1/fabricorganization.yaml")

    FabricOrganization.model_validate({**sample, "metadata": {**METADATA, **sample["metadata"]}})


def test_a_directory_has_one_running_consortium(tmp_path: Path) -> None:
    with (
        hold(tmp_path),
        pytest.raises(EnvironmentSpecError, match=rf"already \(process {os.getpid()}\)"),
        hold(tmp_path),
    ):
        pytest.fail("held twice")

    with hold(tmp_path):
        assert (tmp_path / "running").read_text(encoding="ascii") == str(os.getpid())


def test_a_machine_without_fabric_is_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FABRIC_HOME", raising=False)

    with pytest.raises(BackendUnavailable, match="FABRIC_HOME is not set"):
        check(EnvironmentSpec(directory=tmp_path, backend=BackendName.FABRIC))

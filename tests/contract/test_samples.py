"""Every sample is a manifest the API accepts, the operator reads, and the contract would take."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from opssc_chaincode import model
from opssc_operator.api.chaincode_proposal import ChaincodeProposal
from opssc_operator.api.channel_proposal import ChannelProposal
from opssc_operator.api.charter_proposal import CharterProposal
from opssc_operator.api.group import Kind
from opssc_operator.api.organization import FabricOrganization
from opssc_operator.api.vote import Vote

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLES = Path(__file__).resolve().parents[2] / "config" / "samples"
FILES = sorted(SAMPLES.rglob("*.yaml"))
MODELS = {
    Kind.FABRIC_ORGANIZATION: FabricOrganization,
    Kind.CHAINCODE_PROPOSAL: ChaincodeProposal,
    Kind.CHANNEL_PROPOSAL: ChannelProposal,
    Kind.CHARTER_PROPOSAL: CharterProposal,
    Kind.VOTE: Vote,
}
EVERY_SAMPLE = pytest.mark.parametrize("sample", FILES, ids=lambda path: str(path.relative_to(SAMPLES)))


def load(sample: Path) -> dict[str, Any]:
    documents = list(yaml.safe_load_all(sample.read_text(encoding="utf-8")))
    assert len(documents) == 1, "one object per file"
    return dict(documents[0])


@EVERY_SAMPLE
def test_a_sample_fits_the_schema_of_its_kind(sample: Path, schema: Callable[[Kind], dict[str, Any]]) -> None:
    manifest = load(sample)

    jsonschema.Draft202012Validator(schema(Kind(manifest["kind"]))).validate(manifest)


@EVERY_SAMPLE
def test_a_sample_says_to_the_operator_what_it_says(sample: Path) -> None:
    manifest = load(sample)

    read = MODELS[Kind(manifest["kind"])].model_validate(manifest)

    assert covers(read.to_manifest(), manifest)


def covers(whole: object, part: object) -> bool:
    """Whether every value of `part` is in `whole`, which may say more."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(name in whole and covers(whole[name], part[name]) for name in part)
    if isinstance(part, list):
        return (
            isinstance(whole, list)
            and len(whole) == len(part)
            and all(covers(one, other) for one, other in zip(whole, part, strict=True))
        )
    return whole == part


@EVERY_SAMPLE
def test_the_contract_takes_a_sample_s_package_and_its_label_binds_the_code(sample: Path) -> None:
    spec = load(sample)["spec"]
    package = spec.get("package") or spec.get("governance", {}).get("bootstrap", {}).get("package")
    if package is None:
        assert load(sample)["kind"] not in {Kind.CHAINCODE_PROPOSAL, Kind.FABRIC_CHANNEL}
        return

    kind = package["type"]

    accepted = model.Package.model_validate_json(json.dumps({kind: package.get(kind, {})}))

    assert accepted.label == package.get(kind, {}).get("label")


def test_the_readme_lists_every_sample() -> None:
    text = (SAMPLES / "README.md").read_text(encoding="utf-8")
    listed = {
        file if folder is None else f"{folder}{file}"
        for row in re.findall(r"^\| (`.+?) \|", text, re.MULTILINE)
        for *folders, file in [re.findall(r"`([^`]+)`", row)]
        for folder in folders or [None]
    }

    assert listed == {str(path.relative_to(SAMPLES)) for path in FILES}


def test_the_organizations_consent_to_one_and_the_same_contract() -> None:
    consents = [load(path)["spec"]["governance"] for path in FILES if path.name == "fabricorganization.yaml"]

    assert len(consents) == 3
    assert all(consent == consents[0] for consent in consents)


def test_the_label_the_readme_computes_is_that_of_the_proposal() -> None:
    package = load(SAMPLES / "chaincodeproposal.yaml")["spec"]["package"]["ccaas"]

    connection = model.Connection.model_validate_json(json.dumps(package["connection"]))
    label = model.ccaas_label("asset", package["image"]["digest"], connection)

    assert package["label"] == label
    assert label in (SAMPLES / "README.md").read_text(encoding="utf-8")

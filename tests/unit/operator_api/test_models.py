from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from opssc_operator.api.chaincode_proposal import ChaincodeProposal, ChaincodeProposalSpec
from opssc_operator.api.conditions import Condition, ConditionStatus, ConditionType, Reason
from opssc_operator.api.definition import Chaincode, EndorsementPolicy
from opssc_operator.api.fields import manifest_name, status_text
from opssc_operator.api.group import Kind
from opssc_operator.api.metadata import ObjectMeta
from opssc_operator.api.organization import FabricOrganization, IdentitySource
from opssc_operator.api.package import Connection, Package
from opssc_operator.api.proposal import Origin
from opssc_operator.api.secretrefs import TlsAuthority

IMAGE = {"name": "ghcr.io/opssc/asset", "digest": f"sha256:{'a' * 64}"}
K8S = {"label": "asset", "image": IMAGE}
CCAAS = {"label": f"asset-{'0' * 12}", "image": IMAGE, "connection": {"port": 9999}}


def proposal(metadata: dict[str, Any] | None = None, **spec: object) -> ChaincodeProposal:
    return ChaincodeProposal.model_validate(
        {
            "apiVersion": "opssc.dev/v1alpha1",
            "kind": "ChaincodeProposal",
            "metadata": {"name": "asset-1", **(metadata or {})},
            "spec": {
                "channel": "mychannel",
                "chaincode": {"name": "asset", "version": "1.0"},
                "package": {"type": "k8s", "k8s": K8S},
                **spec,
            },
        }
    )


@pytest.mark.parametrize(
    ("attribute", "name"),
    [("msp_id", "mspID"), ("tls_ca", "tlsCA"), ("id", "id"), ("tx_id", "txID"), ("last_error", "lastError")],
    ids=str,
)
def test_attributes_have_the_names_of_kubernetes_in_manifests(attribute: str, name: str) -> None:
    assert manifest_name(attribute) == name


OWNER = {"apiVersion": "opssc.dev/v1alpha1", "kind": "FabricOrganization", "name": "org1", "uid": "1"}


@pytest.mark.parametrize(
    ("spec", "creator", "ref", "origin"),
    [
        ({}, {}, "Org1MSP/asset-1", Origin.LOCAL),
        ({"proposalID": "other"}, {}, "Org1MSP/other", Origin.LOCAL),
        ({"creator": "Org1MSP"}, {}, "Org1MSP/asset-1", Origin.LOCAL),
        ({"creator": "Org2MSP"}, {}, "Org2MSP/asset-1", Origin.OBSERVED),
        (
            {"creator": "Org2MSP", "proposalID": "asset-1"},
            {"labels": {"opssc.dev/origin": "mirrored"}, "ownerReferences": [OWNER]},
            "Org2MSP/asset-1",
            Origin.MIRRORED,
        ),
        (
            {"creator": "Org2MSP", "proposalID": "asset-1"},
            {"labels": {"opssc.dev/origin": "mirrored"}},
            "Org2MSP/asset-1",
            Origin.OBSERVED,
        ),
        (
            {"creator": "Org2MSP", "proposalID": "asset-1"},
            {"labels": {"opssc.dev/origin": "mirrored"}, "ownerReferences": [OWNER | {"kind": "Application"}]},
            "Org2MSP/asset-1",
            Origin.OBSERVED,
        ),
    ],
    ids=[
        "bare",
        "with an id",
        "with the own creator",
        "of another",
        "mirror",
        "labelled by a person",
        "owned by others",
    ],
)
def test_a_manifest_says_which_proposal_it_is_about_and_where_it_comes_from(
    spec: dict[str, object], creator: dict[str, Any], ref: str, origin: Origin
) -> None:
    manifest = proposal(creator, **spec)

    assert str(manifest.ref("Org1MSP")) == ref
    assert manifest.origin("Org1MSP") is origin


def test_what_a_manifest_leaves_out_stays_unset_and_empty_is_something_else() -> None:
    assert proposal().spec.collections is None
    assert proposal(collections=[]).spec.collections == ()
    assert "collections" not in proposal().spec.to_manifest()
    assert "endorsementPolicy" not in proposal().spec.to_manifest()


def test_a_proposal_read_and_written_says_the_same() -> None:
    spec = proposal(votingPeriod="1h30m", description="why", deletionPolicy="Withdraw").spec

    assert ChaincodeProposalSpec.model_validate(spec.to_manifest()) == spec
    assert spec.to_manifest()["votingPeriod"] == "1h30m"


def test_a_proposal_beyond_128_kib_is_refused_as_a_whole() -> None:
    policy = "OR('Org1MSP.member')" + " " * 16000
    collections = [{"name": f"c{number}", "memberOrgsPolicy": policy} for number in range(9)]

    with pytest.raises(ValidationError, match="larger than 128 KiB"):
        proposal(collections=collections)


@pytest.mark.parametrize(
    "package",
    [
        {"type": "k8s"},
        {"type": "k8s", "ccaas": CCAAS},
        {"type": "k8s", "k8s": K8S, "ccaas": CCAAS},
        {"type": "ccaas", "k8s": K8S},
        {"type": "git", "git": {}},
        {"type": "unchanged", "k8s": K8S},
        {"type": "k8s", "k8s": {**K8S, "indexes": {"../../etc/passwd": "{}"}}},
        {"type": "k8s", "k8s": {**K8S, "image": {**IMAGE, "name": "ghcr.io/opssc/asset:latest"}}},
    ],
    ids=["none", "another", "two", "swapped", "an empty one", "what stays has no member", "an index outside", "a tag"],
)
def test_a_package_that_is_not_exactly_one_of_its_kind_is_refused(package: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Package.model_validate(package)


@pytest.mark.parametrize(
    ("package", "label"),
    [({"type": "k8s", "k8s": K8S}, "asset"), ({"type": "ccaas", "ccaas": CCAAS}, f"asset-{'0' * 12}")],
    ids=["k8s", "ccaas"],
)
def test_the_member_of_a_package_is_the_one_its_type_names(package: dict[str, Any], label: str) -> None:
    read = Package.model_validate(package)
    assert [member.label for member in (read.ccaas, read.k8s) if member is not None] == [label]


@pytest.mark.parametrize(
    ("model", "manifest", "sentence"),
    [
        (EndorsementPolicy, {}, "exactly one of"),
        (EndorsementPolicy, {"signature": "OR('A.peer')", "channelPolicy": "/Channel/Writers"}, "exactly one of"),
        (TlsAuthority, {}, "exactly one of"),
        (TlsAuthority, {"pem": "x", "secretRef": {"name": "ca", "key": "ca.crt"}}, "exactly one of"),
        (IdentitySource, {"secretRef": {"name": "admin"}, "keyKey": "tls.key"}, "together, or neither"),
        (Connection, {"port": 9999, "tlsRequired": True}, "rootCert is needed"),
        (Connection, {"port": 9999, "rootCert": "{{.root}}"}, "no meaning without"),
        (Chaincode, {"name": "asset", "version": "1", "init": {"function": "Init"}}, "only when"),
        (Chaincode, {"name": "asset", "version": "1", "unknown": 1}, "Extra inputs"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_parts_that_contradict_themselves_are_refused_in_a_sentence(
    model: type[EndorsementPolicy], manifest: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValidationError, match=sentence):
        model.model_validate(manifest)


def test_a_model_never_changes() -> None:
    spec = proposal().spec

    with pytest.raises(ValidationError, match="frozen"):
        spec.withdraw = True  # type: ignore[misc]


def test_metadata_of_a_later_server_is_read_without_what_is_unknown() -> None:
    meta = ObjectMeta.model_validate(
        {"name": "a", "uid": "u", "managedFields": [], "deletionTimestamp": "2026-11-21T09:30:00Z", "fromTheFuture": 1}
    )

    assert meta.deleting
    assert meta.deletion_timestamp == datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def test_an_organization_of_another_api_version_is_refused() -> None:
    with pytest.raises(ValidationError, match="apiVersion"):
        FabricOrganization.model_validate({"apiVersion": "opssc.dev/v1", "metadata": {"name": "a"}, "spec": {}})


def test_a_condition_is_written_as_kubernetes_reads_it() -> None:
    condition = Condition(
        type=ConditionType.READY,
        status=ConditionStatus.UNKNOWN,
        reason=Reason.PENDING,
        message="first look",
        last_transition_time=datetime(2026, 11, 21, 11, 30, 5, 999999, tzinfo=timezone(timedelta(hours=2))),
    )

    assert condition.to_manifest() == {
        "type": "Ready",
        "status": "Unknown",
        "reason": "Pending",
        "message": "first look",
        "lastTransitionTime": "2026-11-21T09:30:05Z",
    }


@given(st.text(max_size=600))
def test_a_status_text_always_fits_on_one_line(text: str) -> None:
    fitted = status_text(text)

    assert len(fitted) <= 256
    assert "\n" not in fitted
    assert fitted == status_text(fitted)
    assert fitted.isprintable()
    condition = Condition(type="Ready", status="False", reason="Pending", message=text)
    assert condition.message == fitted


def test_a_text_of_others_cannot_command_a_terminal() -> None:
    assert status_text("no\x1b[2J\u202ereason\x00") == "no [2J reason"


@pytest.mark.parametrize("kind", Kind, ids=str)
def test_the_name_of_a_crd_is_that_of_its_resource(kind: Kind) -> None:
    assert kind.crd_name == f"{kind.value.lower()}s.opssc.dev"

"""What `_lifecycle` accepts, in the order and words of Fabric."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fabric_protos.common import policies_pb2
from fabric_protos.msp import msp_principal_pb2
from fabric_protos.peer import collection_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from fabric_admin.policy import parse
from fabric_devnet.embedded.errors import DefinitionRefused
from fabric_devnet.embedded.lifecycle import rules
from fabric_devnet.embedded.lifecycle.state import Definition, Parameters

MEMBERS = ("Org1MSP", "Org2MSP")


BASE = Parameters(
    "1.0", "escc", init_required=False, validation_plugin="vscc", validation_parameter=b"\x01", collections=b""
)


def parameters(**changes: Any) -> Parameters:
    return replace(BASE, **changes)


def collection(
    name: str = "c1", policy: str = "OR('Org1MSP.member')", **changes: Any
) -> collection_pb2.StaticCollectionConfig:
    config = collection_pb2.StaticCollectionConfig(name=name, maximum_peer_count=1, **changes)
    if policy:
        config.member_orgs_policy.signature_policy.CopyFrom(parse(policy))
    return config


@pytest.mark.parametrize("name", ["asset", "a", "a-b_c", "9lives", "A-1"])
def test_a_name_of_alphanumerics_with_single_separators_is_accepted(name: str) -> None:
    rules.validate_name_and_version(name, "1.0")


@pytest.mark.parametrize("name", ["", "bad name", "a.b", "-a", "a-", "a--b", "asset\n", "ümlaut"])
def test_any_other_name_is_refused_with_the_rule(name: str) -> None:
    with pytest.raises(DefinitionRefused) as refused:
        rules.validate_name_and_version(name, "1.0")

    assert str(refused.value) == (
        f"invalid chaincode name '{name}'. Names can only consist of alphanumerics, '_', and '-' "
        "and can only begin with alphanumerics"
    )


@pytest.mark.parametrize("name", ["cscc", "escc", "lscc", "qscc", "vscc"])
def test_the_name_of_a_system_chaincode_is_refused(name: str) -> None:
    with pytest.raises(DefinitionRefused, match=f"^chaincode name '{name}' is the name of a system chaincode$"):
        rules.validate_name_and_version(name, "1.0")


@pytest.mark.parametrize("version", ["", "v 1", "1.0\n", "1/0"])
def test_a_malformed_version_is_refused(version: str) -> None:
    with pytest.raises(DefinitionRefused, match=r"^invalid chaincode version '"):
        rules.validate_name_and_version("asset", version)


@pytest.mark.parametrize(
    ("requested", "current", "text"),
    [
        pytest.param(0, 0, "requested sequence is 0, but first definable sequence number is 1", id="zero"),
        pytest.param(-1, 0, "currently defined sequence 0 is larger than requested sequence -1", id="negative"),
        pytest.param(1, 2, "currently defined sequence 2 is larger than requested sequence 1", id="past"),
        pytest.param(4, 2, "requested sequence 4 is larger than the next available sequence number 3", id="future"),
    ],
)
def test_only_the_committed_or_the_next_sequence_can_be_approved(requested: int, current: int, text: str) -> None:
    with pytest.raises(DefinitionRefused) as refused:
        rules.validate_approval_sequence(requested, current)

    assert str(refused.value) == text


@given(current=st.integers(1, 100), step=st.sampled_from([0, 1]))
def test_the_committed_and_the_next_sequence_are_always_approvable(current: int, step: int) -> None:
    rules.validate_approval_sequence(current + step, current)


@given(current=st.integers(0, 100), requested=st.integers(-5, 105))
def test_exactly_the_next_sequence_can_be_committed(current: int, requested: int) -> None:
    if requested == current + 1:
        rules.validate_commit_sequence(requested, current)
        return
    with pytest.raises(DefinitionRefused) as refused:
        rules.validate_commit_sequence(requested, current)
    assert str(refused.value) == (
        f"requested sequence is {requested}, but new definition must be sequence {current + 1}"
    )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        pytest.param({"version": "9"}, "expected Version '1.0' does not match passed Version '9'", id="version"),
        pytest.param(
            {"endorsement_plugin": "x"},
            "expected EndorsementPlugin 'escc' does not match passed EndorsementPlugin 'x'",
            id="plugin",
        ),
        pytest.param(
            {"init_required": True},
            "expected InitRequired 'false' does not match passed InitRequired 'true'",
            id="init",
        ),
        pytest.param(
            {"validation_parameter": b"\x02"},
            "expected ValidationParameter '01' does not match passed ValidationParameter '02'",
            id="policy",
        ),
        pytest.param({"collections": b"x"}, "Collections do not match", id="collections"),
    ],
)
def test_redefining_the_committed_sequence_names_the_first_difference(change: dict[str, object], text: str) -> None:
    committed = Definition("asset", 1, parameters())

    with pytest.raises(DefinitionRefused) as refused:
        rules.validate_redefinition(Definition("asset", 1, parameters(**change)), committed)

    assert str(refused.value) == (
        "attempted to redefine the current committed sequence (1) for namespace asset "
        f"with different parameters: {text}"
    )


@pytest.mark.parametrize(
    ("sequence", "current", "text"),
    [
        pytest.param(
            2, 1, "attempted to redefine uncommitted sequence (2) for namespace asset with unchanged content", id="next"
        ),
        pytest.param(
            1, 1, "attempted to redefine the current committed sequence (1) for namespace asset", id="committed"
        ),
    ],
)
def test_repeating_the_own_approval_is_refused(sequence: int, current: int, text: str) -> None:
    own = Definition("asset", sequence, parameters())

    with pytest.raises(DefinitionRefused) as refused:
        rules.validate_repetition(own, "asset:1", own, "asset:1", current)

    assert str(refused.value) == text


@pytest.mark.parametrize(
    ("approved", "package_id"),
    [
        pytest.param(None, None, id="nothing approved yet"),
        pytest.param(Definition("asset", 1, parameters()), "asset:2", id="another package"),
        pytest.param(Definition("asset", 1, parameters(version="0.9")), "asset:1", id="other parameters"),
    ],
)
def test_an_approval_that_changes_something_is_no_repetition(approved: Definition | None, package_id: str) -> None:
    rules.validate_repetition(Definition("asset", 1, parameters()), "asset:1", approved, package_id, 0)


@pytest.mark.parametrize(
    ("collections", "text"),
    [
        pytest.param(
            [collection("my coll")],
            "invalid collection name 'my coll'. Names can only consist of alphanumerics, '_', and '-' "
            "and cannot begin with '_'",
            id="name",
        ),
        pytest.param(
            [collection("c1"), collection("c1")],
            "collection-name: c1 -- found duplicate in collection configuration",
            id="duplicate",
        ),
        pytest.param(
            [collection(required_peer_count=2)],
            "collection-name: c1 -- maximum peer count (1) cannot be less than the required peer count (2)",
            id="counts",
        ),
        pytest.param(
            [collection(required_peer_count=-1)],
            "collection-name: c1 -- requiredPeerCount (-1) cannot be less than zero",
            id="negative",
        ),
        pytest.param(
            [collection(policy="")], "collection member policy is not set for collection 'c1'", id="no policy"
        ),
        pytest.param(
            [collection(policy="AND('Org1MSP.member', 'Org2MSP.member')")],
            "collection-name: c1 -- error in member org policy: signature policy is not an OR concatenation, NOutOf 2",
            id="and",
        ),
        pytest.param(
            [collection(policy="OR('Org1MSP.member', 'Org6MSP.member')")],
            "collection-name: c1 -- collection member 'Org6MSP' is not part of the channel",
            id="stranger",
        ),
    ],
)
def test_a_malformed_collection_is_refused(collections: list[collection_pb2.StaticCollectionConfig], text: str) -> None:
    with pytest.raises(DefinitionRefused) as refused:
        rules.validate_collections(collections, MEMBERS)

    assert str(refused.value) == text


def test_a_collection_without_a_kind_is_refused() -> None:
    package = collection_pb2.CollectionConfigPackage(config=[collection_pb2.CollectionConfig()])

    with pytest.raises(DefinitionRefused, match=r"^collection config contains unexpected payload type: <nil>$"):
        rules.static_collections(package)


def test_a_principal_that_cannot_be_read_is_refused() -> None:
    principal = msp_principal_pb2.MSPPrincipal(principal=b"\xff")
    policy = policies_pb2.SignaturePolicyEnvelope(
        rule=policies_pb2.SignaturePolicy(signed_by=0), identities=[principal]
    )
    config = collection_pb2.StaticCollectionConfig(
        name="c1", member_orgs_policy=collection_pb2.CollectionPolicyConfig(signature_policy=policy)
    )

    with pytest.raises(DefinitionRefused, match="cannot unmarshal identity bytes"):
        rules.validate_collections([config], MEMBERS)


@pytest.mark.parametrize(
    ("proposed", "text"),
    [
        pytest.param(
            [], "the proposed collection config does not contain previously defined collections", id="dropped"
        ),
        pytest.param(
            [collection("other")],
            "existing collection [c1] missing in the proposed collection configuration",
            id="renamed",
        ),
        pytest.param(
            [collection(block_to_live=7)],
            "the BlockToLive in an existing collection [c1] modified. Existing value [0]",
            id="lifetime",
        ),
    ],
)
def test_a_committed_collection_stays(proposed: list[collection_pb2.StaticCollectionConfig], text: str) -> None:
    committed = collection_pb2.CollectionConfigPackage()
    committed.config.add().static_collection_config.CopyFrom(collection())

    with pytest.raises(DefinitionRefused) as refused:
        rules.validate_against_committed(proposed, committed.SerializeToString())

    assert str(refused.value) == text


@settings(deadline=1000)
@given(st.text(alphabet="a-_", min_size=20, max_size=200))
def test_long_collection_names_are_judged_in_linear_time(name: str) -> None:
    rules.validate_collections([collection("a" + name)], MEMBERS)

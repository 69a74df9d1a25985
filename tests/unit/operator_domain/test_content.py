"""Manifests and ledger contents, turned into each other: what is proposed, what contradicts, what is mirrored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.chaincode import strategies as ledger

from fabric_admin.definition import Definition
from fabric_admin.rule import NOutOf
from opssc_chaincode.model import DEFAULT_CHARTER, ChaincodeContent, Connection, ProposalDocument, ccaas_label
from opssc_operator.api.chaincode_proposal import ChaincodeProposalSpec
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.channel import BlockNotKept, ChannelView, NoConfiguration, from_document, to_document
from opssc_operator.domain.content import ContentError, build_content, conflicting_fields, to_spec
from opssc_operator.domain.kinds.chaincode import ChaincodeKind
from opssc_operator.domain.planning import Outset, Plan, PlanningObserved, plan_proposal
from opssc_operator.domain.verdict import Verdict
from opssc_operator.domain.verification import Grounds, judge_staleness, verify_proposal

KIND = ChaincodeKind()
DIGEST = "sha256:" + "ab" * 32
NOW = datetime(2026, 1, 1, 12, 0, 0, 500_000, tzinfo=UTC)
CHANNEL = ChannelView(
    channel="mychannel",
    config_block=0,
    config_sequence=0,
    config_hash="cd" * 32,
    members=("Org1MSP", "Org2MSP", "Org3MSP"),
    rule=NOutOf(2, ("Org1MSP", "Org2MSP", "Org3MSP")),
)
COLLECTION = {"name": "secret", "memberOrgsPolicy": "OR('Org1MSP.member')", "requiredPeerCount": 0, "maxPeerCount": 1}


def manifest(**chaincode: Any) -> dict[str, Any]:
    label = ccaas_label("asset", DIGEST, Connection(port=9999, address="{{.chaincode_host}}:9999"))
    return {
        "channel": "mychannel",
        "chaincode": {"name": "asset", "version": "1.0", **chaincode},
        "package": {
            "type": "ccaas",
            "ccaas": {
                "label": label,
                "image": {"name": "example.com/asset", "digest": DIGEST},
                "connection": {"port": 9999, "address": "{{.chaincode_host}}:9999"},
            },
        },
    }


def spec(**changes: Any) -> ChaincodeProposalSpec:
    return ChaincodeProposalSpec.model_validate({**manifest(), **changes})


def planning(given_spec: ChaincodeProposalSpec, **changes: Any) -> PlanningObserved:
    values = {"channel": CHANNEL, "own_msp_id": "Org1MSP", "charter": DEFAULT_CHARTER, "committed": None, **changes}
    committed = values.pop("committed")
    return PlanningObserved(Outset(proposal_id="asset-1", now=NOW, **values), given_spec, committed)


def grounds(pinned: Any = CHANNEL) -> Grounds:
    return Grounds(pinned, DEFAULT_CHARTER)


def planned(given_spec: ChaincodeProposalSpec, **changes: Any) -> Plan:
    plan = plan_proposal(planning(given_spec, **changes))
    assert isinstance(plan, Plan), plan
    return plan


def content_of(plan: Plan) -> ChaincodeContent:
    assert isinstance(plan.content, ChaincodeContent)
    return plan.content


def test_a_plan_is_a_document_the_contract_accepts_and_everybody_else_verifies() -> None:
    # When
    plan = planned(spec(collections=[COLLECTION]))

    # Then
    document = ProposalDocument.parse(plan.document)
    assert document.content_hash == plan.content_hash
    assert document.deadline == (NOW + timedelta(days=7)).replace(microsecond=0)
    stored = ledger.proposal(document)
    assert verify_proposal(KIND, stored, grounds()).reason is Reason.VERIFIED


@pytest.mark.parametrize(
    ("wanted", "committed", "outcome"),
    [
        pytest.param(None, None, 1, id="first"),
        pytest.param(1, None, 1, id="first-explicit"),
        pytest.param(2, None, Reason.SEQUENCE_CONFLICT, id="never-deployed-with-sequence-2"),
        pytest.param(None, 4, 5, id="next"),
        pytest.param(5, 4, 5, id="next-explicit"),
        pytest.param(4, 4, Reason.SEQUENCE_CONFLICT, id="taken"),
        pytest.param(6, 4, Reason.SEQUENCE_CONFLICT, id="too-high"),
    ],
)
def test_only_the_next_sequence_is_proposed(wanted: int | None, committed: int | None, outcome: int | Reason) -> None:
    # Given
    given_spec = ChaincodeProposalSpec.model_validate(manifest(**({"sequence": wanted} if wanted else {})))
    current = None if committed is None else Definition(name="asset", version="0.9", sequence=committed)

    # When
    plan = plan_proposal(planning(given_spec, committed=current))

    # Then
    assert (plan.reason if isinstance(plan, Verdict) else content_of(plan).sequence) == outcome


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"own_msp_id": "Org9MSP"}, Reason.NOT_A_MEMBER, id="stranger"),
        pytest.param(
            {"channel": ChannelView("mychannel", 0, 0, "cd" * 32, ("Org1MSP",), None, "odd policy")},
            Reason.UNSUPPORTED_BY_THIS_VERSION,
            id="inexpressible-rule",
        ),
        pytest.param(
            {"given_spec": spec(votingPeriod="2161h")}, Reason.INVALID_SPEC, id="longer-than-the-charter-allows"
        ),
    ],
)
def test_what_cannot_be_proposed_says_why(changes: dict[str, Any], reason: Reason) -> None:
    plan = plan_proposal(planning(**{"given_spec": spec(), **changes}))
    assert isinstance(plan, Verdict)
    assert plan.reason is reason


def test_the_longest_voting_period_of_the_charter_is_proposed() -> None:
    assert isinstance(plan_proposal(planning(spec(votingPeriod="2160h"))), Plan)


def test_a_label_that_does_not_bind_the_code_is_refused_with_the_right_one() -> None:
    # Given
    bad = manifest()
    bad["package"]["ccaas"]["label"] = "asset-000000000000"

    # When
    with pytest.raises(ContentError) as refusal:
        build_content(ChaincodeProposalSpec.model_validate(bad), 1)

    # Then
    assert manifest()["package"]["ccaas"]["label"].removeprefix("asset") in str(refusal.value)


@pytest.mark.parametrize(
    ("changed", "conflicts"),
    [
        pytest.param({}, (), id="nothing-set-differs"),
        pytest.param({"chaincode": {"name": "asset", "version": "1.0", "sequence": 1}}, (), id="resolved-equals"),
        pytest.param({"chaincode": {"name": "asset", "version": "1.0", "sequence": 2}}, ("sequence",), id="sequence"),
        pytest.param({"chaincode": {"name": "asset", "version": "1.1"}}, ("version",), id="version"),
        pytest.param({"channel": "other"}, ("channel",), id="channel"),
        pytest.param({"endorsementPolicy": {"channelPolicy": "/Channel/Application/Endorsement"}}, (), id="default"),
        pytest.param({"endorsementPolicy": {"signature": "OR('Org1MSP.peer')"}}, ("endorsementPolicy",), id="policy"),
        pytest.param({"collections": [COLLECTION]}, ("collections",), id="collections"),
    ],
)
def test_a_manifest_conflicts_only_in_fields_it_sets(changed: dict[str, Any], conflicts: tuple[str, ...]) -> None:
    # Given
    content = build_content(spec(), 1)

    # Then
    assert conflicting_fields(spec(**changed), content) == conflicts


def test_a_mirror_says_exactly_what_is_on_the_ledger() -> None:
    # Given
    content = build_content(spec(collections=[COLLECTION], description="why"), 3)

    # When
    mirrored = ChaincodeProposalSpec.model_validate(to_spec(content))

    # Then
    assert conflicting_fields(mirrored, content) == ()
    assert build_content(mirrored, 3) == content


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        pytest.param({"members": ("Org1MSP", "Org2MSP")}, Reason.SNAPSHOT_MISMATCH, id="members"),
        pytest.param({"config_hash": "ef" * 32}, Reason.SNAPSHOT_MISMATCH, id="config-hash"),
        pytest.param({"config_sequence": 7}, Reason.SNAPSHOT_MISMATCH, id="config-sequence"),
        pytest.param({"rule": NOutOf(1, ("Org1MSP",))}, Reason.SNAPSHOT_MISMATCH, id="rule"),
    ],
)
def test_a_snapshot_that_differs_from_the_own_peer_is_not_verified(lie: dict[str, Any], reason: Reason) -> None:
    # Given
    stored = ledger.proposal(ProposalDocument.parse(planned(spec()).document))
    shown = ChannelView(
        **{
            "channel": "mychannel",
            "config_block": 0,
            "config_sequence": 0,
            "config_hash": "cd" * 32,
            "members": CHANNEL.members,
            "rule": CHANNEL.rule,
            **lie,
        }
    )

    # When
    verdict = verify_proposal(KIND, stored, grounds(shown))

    # Then
    assert verdict.fails
    assert verdict.reason is reason


def test_another_package_or_definition_than_claimed_is_not_verified() -> None:
    # Given
    document = ProposalDocument.parse(planned(spec()).document)
    label = document.content.package.label  # type: ignore[union-attr]
    other_package = document.content.model_copy(update={"package_id": f"{label}:{'0' * 64}"})
    other_definition = document.content.model_copy(update={"definition_hash": "0" * 64})

    # Then
    for content, reason in (
        (other_package, Reason.PACKAGE_ID_MISMATCH),
        (other_definition, Reason.DEFINITION_MISMATCH),
    ):
        stored = ledger.proposal(document.model_copy(update={"content": content}))
        assert verify_proposal(KIND, stored, grounds()).reason is reason


def test_without_the_config_block_a_proposal_waits() -> None:
    stored = ledger.proposal(ProposalDocument.parse(planned(spec()).document))
    assert verify_proposal(KIND, stored, grounds(None)).status == "Unknown"


def test_a_snapshot_that_names_a_block_of_transactions_is_refuted_and_not_waited_for() -> None:
    verdict = verify_proposal(KIND, ledger.proposal(), grounds(NoConfiguration(5)))
    assert (verdict.status, verdict.reason) == ("False", Reason.SNAPSHOT_MISMATCH)


def test_a_newer_config_with_the_same_members_and_rule_is_not_stale() -> None:
    snapshot = ProposalDocument.parse(planned(spec()).document).snapshot
    newer = ChannelView("mychannel", 9, 3, "ee" * 32, CHANNEL.members, CHANNEL.rule)
    fewer = ChannelView("mychannel", 9, 3, "ee" * 32, CHANNEL.members, NOutOf(3, CHANNEL.members))
    assert judge_staleness(KIND, snapshot, newer) is None
    assert judge_staleness(KIND, snapshot, fewer) is not None


@given(ledger.rules(("Org1MSP", "Org2MSP", "Org3MSP")), st.sets(st.sampled_from(CHANNEL.members)))
def test_a_rule_means_the_same_in_both_forms(rule: Any, agreed: set[str]) -> None:
    assert to_document(from_document(rule)) == rule
    assert from_document(rule).satisfied_by(agreed) == rule.satisfied(agreed)


def test_a_manifest_that_says_no_collections_contradicts_a_proposal_that_has_some() -> None:
    # Given
    content = content_of(planned(spec(collections=[COLLECTION])))

    # Then
    assert conflicting_fields(spec(), content) == ()
    assert conflicting_fields(spec(collections=[]), content) == ("collections",)


def test_a_peer_without_the_pinned_block_is_named_as_what_verification_waits_for() -> None:
    # When
    verdict = verify_proposal(KIND, ledger.proposal(), grounds(BlockNotKept(3)))

    # Then
    assert (verdict.status, verdict.reason) == ("Unknown", Reason.AWAITING_VERIFICATION)
    assert "joined channel mychannel by a snapshot and has no block 3" in verdict.message

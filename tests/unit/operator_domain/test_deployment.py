"""The decision that brings one definition onto one channel: tables for each branch, invariants for all."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric_admin.definition import Definition
from fabric_admin.rule import NOutOf
from opssc_chaincode.ranking import rank_by
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.deployment import (
    TAKEOVER_SECONDS,
    Approval,
    Approve,
    Commit,
    Committed,
    DeploymentObserved,
    Target,
    approval_mismatches,
    decide_deployment,
    differing_fields,
)
from opssc_operator.domain.installation import Install, PeerState

ORGANIZATIONS = ("Org1MSP", "Org2MSP", "Org3MSP")
PACKAGE_ID = "basic:" + sha256(b"package").hexdigest()
DEFINITION = Definition(name="basic", version="1.0", sequence=1)
SEED = b"Org1MSP\x00basic-1"
TARGET = Target("mychannel", DEFINITION, PACKAGE_ID, SEED)
JOINED = PeerState("peer0", reachable=True, on_channel=True)
INSTALLED = replace(JOINED, installed=True)
LACKING = replace(JOINED, name="peer1")
OBSERVED = DeploymentObserved(
    own_msp_id="Org1MSP",
    peers=(INSTALLED,),
    committed=None,
    approval=Approval(DEFINITION, PACKAGE_ID),
    approvals={"Org1MSP": True, "Org2MSP": False, "Org3MSP": False},
    mismatches={},
    rule=NOutOf(2, ORGANIZATIONS),
)


def observed(**changes: object) -> DeploymentObserved:
    return replace(OBSERVED, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("peers", "reason", "installs"),
    [
        pytest.param((JOINED,), Reason.AWAITING_INSTALL, ("peer0",), id="missing-is-installed"),
        pytest.param((INSTALLED,), Reason.INSTALLED, (), id="present-is-left"),
        pytest.param(
            (INSTALLED, replace(JOINED, name="peer1")), Reason.AWAITING_INSTALL, ("peer1",), id="only-missing"
        ),
        pytest.param((PeerState("peer0", reachable=True),), Reason.NO_PEERS, (), id="not-on-channel"),
        pytest.param((), Reason.NO_PEERS, (), id="no-peer"),
        pytest.param(
            (INSTALLED, PeerState("peer1", reachable=False, problem="down")), Reason.PEER_UNREACHABLE, (), id="silent"
        ),
        pytest.param(
            (replace(JOINED, problem="docker", problem_reason=Reason.EXTERNAL_BUILDER_MISSING),),
            Reason.EXTERNAL_BUILDER_MISSING,
            ("peer0",),
            id="failed-is-tried-again",
        ),
    ],
)
def test_the_package_is_installed_on_every_own_peer_that_lacks_it(
    peers: tuple[PeerState, ...], reason: Reason, installs: tuple[str, ...]
) -> None:
    # When
    decision = decide_deployment(TARGET, observed(peers=peers))

    # Then
    assert decision.installed.reason is reason
    assert tuple(a.peer for a in decision.actions if isinstance(a, Install)) == installs


@pytest.mark.parametrize(
    ("approval", "peers", "approves"),
    [
        pytest.param(None, (INSTALLED,), True, id="first"),
        pytest.param(Approval(DEFINITION, PACKAGE_ID), (INSTALLED,), False, id="same-is-left"),
        pytest.param(Approval(DEFINITION, None), (INSTALLED,), True, id="other-package"),
        pytest.param(Approval(replace(DEFINITION, version="0.9"), PACKAGE_ID), (INSTALLED,), True, id="other-version"),
        pytest.param(None, (JOINED,), False, id="not-before-install"),
        pytest.param(None, (INSTALLED, PeerState("peer1", reachable=False)), True, id="one-silent-peer-holds-nobody"),
        pytest.param(None, (INSTALLED, LACKING), True, id="one-slow-peer-holds-nobody"),
        pytest.param(None, (INSTALLED, replace(LACKING, problem="no")), True, id="one-broken-peer-holds-nobody"),
    ],
)
def test_the_definition_is_approved_once_the_package_is_there(
    approval: Approval | None, peers: tuple[PeerState, ...], approves: bool
) -> None:
    # When
    decision = decide_deployment(TARGET, observed(approval=approval, peers=peers))

    # Then
    assert (Approve() in decision.actions) is approves


@pytest.mark.parametrize(
    ("approvals", "status", "reason"),
    [
        pytest.param({"Org1MSP": True}, "True", Reason.APPROVED, id="the-hash-is-that-of-this-definition"),
        pytest.param({"Org1MSP": False}, "False", Reason.APPROVAL_DATA_MISSING, id="the-hash-is-of-another-one"),
        pytest.param({}, "False", Reason.APPROVAL_DATA_MISSING, id="nothing-compares-hashes"),
    ],
)
@pytest.mark.parametrize("committed", [None, Committed(DEFINITION, {})], ids=["before-the-commit", "after-it"])
def test_an_approval_of_which_only_the_hash_is_left_is_judged_by_it_and_never_repeated(
    approvals: dict[str, bool], status: str, reason: Reason, committed: Committed | None
) -> None:
    # When
    seen = observed(approval=None, unreadable_approval=("peer0",), approvals=approvals, committed=committed)
    decision = decide_deployment(TARGET, seen)

    # Then
    assert (decision.approved.status, decision.approved.reason) == (status, reason)
    assert "peer0" in decision.approved.message
    assert Approve() not in decision.actions


@pytest.mark.parametrize(
    ("agreed", "message"),
    [
        pytest.param(("Org1MSP",), "", id="not-possible"),
        pytest.param(("Org1MSP", "Org2MSP"), "waiting for the commit transaction", id="possible"),
    ],
)
def test_until_the_own_peer_shows_the_definition_its_commit_is_awaited(agreed: tuple[str, ...], message: str) -> None:
    # When
    decision = decide_deployment(TARGET, observed(approvals={name: name in agreed for name in ORGANIZATIONS}))

    # Then
    assert (decision.committed.status, decision.committed.reason) == ("False", Reason.AWAITING_COMMIT)
    assert decision.committed.message == message
    assert decision.commit_ready.reason is (Reason.COMMIT_READY if message else Reason.AWAITING_ORGANIZATIONS)
    assert decision.commit_possible is bool(message)


def test_an_install_that_failed_is_waited_for_without_an_event() -> None:
    # Given
    broken = replace(LACKING, problem="disk full", attempts=2, wait_seconds=1.5)
    agreed = dict.fromkeys(ORGANIZATIONS, True)

    # When
    before = decide_deployment(TARGET, observed(peers=(INSTALLED, broken)))
    ready = decide_deployment(TARGET, observed(peers=(INSTALLED, broken), approvals=agreed, ready_seconds=60.0))
    after = decide_deployment(TARGET, observed(peers=(INSTALLED, broken), committed=Committed(DEFINITION, {})))

    # Then
    assert [decision.requeue_seconds for decision in (before, ready, after)] == [1.5, 1.5, 1.5]


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        pytest.param({}, (), id="equal"),
        pytest.param({"version": "2.0"}, ("EndorsementInfo",), id="version"),
        pytest.param({"init_required": True}, ("EndorsementInfo",), id="init"),
        pytest.param({"endorsement_plugin": "other"}, ("EndorsementInfo",), id="endorsement-plugin"),
        pytest.param({"validation_plugin": "other"}, ("ValidationInfo",), id="validation-plugin"),
        pytest.param({"validation_parameter": b"other"}, ("ValidationInfo",), id="endorsement-policy"),
        pytest.param({"collections": b"other"}, ("Collections",), id="collections"),
        pytest.param(
            {"version": "2.0", "collections": b"other", "validation_plugin": "other"},
            ("Collections", "EndorsementInfo", "ValidationInfo"),
            id="all",
        ),
    ],
)
def test_the_parts_in_which_an_approval_differs_are_those_that_fabric_names(
    changes: dict[str, Any], parts: tuple[str, ...]
) -> None:
    assert approval_mismatches(DEFINITION, replace(DEFINITION, **changes)) == parts


def test_an_organization_may_approve_without_a_package() -> None:
    # Given
    target = replace(TARGET, package_id=None)

    # When
    decision = decide_deployment(target, observed(approval=None, peers=(JOINED,)))

    # Then
    assert decision.actions == (Approve(),)
    assert decision.installed.reason is Reason.SKIPPED_BY_VOTE


def test_organizations_commit_one_after_the_other_by_rank() -> None:
    # Given
    agreed = dict.fromkeys(ORGANIZATIONS, True)
    order = rank_by(SEED, ORGANIZATIONS)

    for place, msp_id in enumerate(order):
        # When
        early = decide_deployment(TARGET, observed(own_msp_id=msp_id, approvals=agreed))
        late = decide_deployment(
            TARGET, observed(own_msp_id=msp_id, approvals=agreed, ready_seconds=place * TAKEOVER_SECONDS)
        )

        # Then
        assert any(isinstance(action, Commit) for action in early.actions) is (place == 0)
        assert any(isinstance(action, Commit) for action in late.actions)
        assert early.requeue_seconds == (TAKEOVER_SECONDS if place == 0 else place * TAKEOVER_SECONDS)


def test_a_commit_names_approved_organizations_that_satisfy_the_rule() -> None:
    # Given
    agreed = {"Org1MSP": True, "Org2MSP": False, "Org3MSP": True}

    # When
    decision = decide_deployment(TARGET, observed(approvals=agreed, ready_seconds=60.0))

    # Then
    commit = next(action for action in decision.actions if isinstance(action, Commit))
    assert set(commit.endorsing_organizations) == {"Org1MSP", "Org3MSP"}


@pytest.mark.parametrize(
    ("shown", "reason", "stalled"),
    [
        pytest.param(replace(DEFINITION, version="2"), Reason.SEQUENCE_CONFLICT, True, id="same-sequence-differs"),
        pytest.param(replace(DEFINITION, sequence=2), Reason.SUPERSEDED, False, id="sequence-passed"),
        pytest.param(DEFINITION, Reason.COMMITTED, False, id="committed"),
    ],
)
def test_what_the_own_peer_shows_as_committed_decides(shown: Definition, reason: Reason, stalled: bool) -> None:
    # When
    decision = decide_deployment(TARGET, observed(committed=Committed(shown, {})))

    # Then
    assert (decision.committed.reason, decision.stalled) == (reason, stalled)
    assert decision.actions == ()


def test_a_commit_proved_before_stays_true_after_a_later_sequence() -> None:
    # Given
    target = replace(TARGET, already_committed=True)

    # When
    decision = decide_deployment(target, observed(committed=Committed(replace(DEFINITION, sequence=2), {})))

    # Then
    assert decision.committed.holds
    assert decision.committed.reason is Reason.SUPERSEDED
    assert decision.actions == ()


def test_what_was_committed_at_a_sequence_that_has_passed_is_unknown_without_proof() -> None:
    decision = decide_deployment(TARGET, observed(committed=Committed(replace(DEFINITION, sequence=2), {})))
    assert decision.committed.status == "Unknown"
    assert decision.committed.message == (
        "sequence 1 has passed; whether this definition was the one committed cannot be proved on the own peer"
    )


def test_a_gap_in_sequences_waits_without_stalling() -> None:
    # Given
    target = replace(TARGET, definition=replace(DEFINITION, sequence=3))

    # When
    decision = decide_deployment(target, observed(committed=Committed(DEFINITION, {}), approval=None))

    # Then
    assert decision.committed.reason is Reason.SEQUENCE_CONFLICT
    assert not decision.stalled
    assert decision.actions == ()


def test_an_organization_that_comes_late_catches_up_after_the_commit() -> None:
    # When
    decision = decide_deployment(
        TARGET, observed(committed=Committed(DEFINITION, {"Org1MSP": False}), approval=None, peers=(JOINED,))
    )

    # Then
    assert decision.actions == (Install("peer0"),)
    assert decision.committed.holds


definitions = st.builds(
    Definition,
    name=st.just("basic"),
    version=st.sampled_from(["1.0", "2.0"]),
    sequence=st.integers(1, 3),
    init_required=st.booleans(),
)
peers = st.lists(
    st.builds(
        PeerState,
        name=st.sampled_from(["peer0", "peer1", "peer2"]),
        reachable=st.booleans(),
        on_channel=st.booleans(),
        installed=st.booleans(),
        problem=st.sampled_from(["", "broken"]),
    ),
    max_size=3,
    unique_by=lambda peer: peer.name,
).map(tuple)


packages = st.sampled_from([None, PACKAGE_ID])


@pytest.mark.parametrize("dead", ["Org2MSP", "Org3MSP", "Org4MSP", "Org5MSP"])
def test_an_approved_organization_that_does_not_endorse_any_more_stops_nobody(dead: str) -> None:
    # Given
    organizations = (*ORGANIZATIONS, "Org4MSP", "Org5MSP")
    seen = observed(approvals=dict.fromkeys(organizations, True), rule=NOutOf(3, organizations), ready_seconds=60.0)

    # When
    asked = [
        action.endorsing_organizations
        for failures in range(12)
        for action in decide_deployment(TARGET, replace(seen, failed_commits=failures)).actions
        if isinstance(action, Commit)
    ]

    # Then
    assert len(asked) == 12
    assert any(dead not in endorsers for endorsers in asked)
    assert all("Org1MSP" in endorsers and len(endorsers) == 3 for endorsers in asked)


@st.composite
def observations(draw: st.DrawFn) -> tuple[Target, DeploymentObserved]:
    wanted = draw(definitions)
    target = Target("mychannel", wanted, draw(st.sampled_from([None, PACKAGE_ID])), SEED)
    approvals = {msp_id: draw(st.booleans()) for msp_id in ORGANIZATIONS}
    return target, DeploymentObserved(
        own_msp_id=draw(st.sampled_from(ORGANIZATIONS)),
        peers=draw(peers),
        committed=draw(st.none() | st.builds(Committed, definitions, st.just(approvals))),
        approval=draw(
            st.none() | st.builds(Approval, st.just(wanted) | definitions, st.sampled_from([None, PACKAGE_ID]))
        ),
        approvals=approvals,
        mismatches={},
        rule=NOutOf(draw(st.integers(1, 3)), ORGANIZATIONS),
        ready_seconds=draw(st.floats(0, 60)),
    )


@given(observations())
def test_nobody_commits_what_it_has_not_approved_or_what_would_not_be_endorsed(
    given_observation: tuple[Target, DeploymentObserved],
) -> None:
    target, seen = given_observation
    decision = decide_deployment(target, seen)
    for action in decision.actions:
        if isinstance(action, Commit):
            assert seen.approval is not None
            assert not differing_fields(target.definition, seen.approval.definition)
            assert all(seen.approvals[msp_id] for msp_id in action.endorsing_organizations)
            assert seen.rule.satisfied_by(set(action.endorsing_organizations))
            assert seen.committed is None or seen.committed.definition.sequence == target.definition.sequence - 1


@given(observations())
def test_nothing_is_done_against_a_sequence_that_is_taken_or_too_early(
    given_observation: tuple[Target, DeploymentObserved],
) -> None:
    target, seen = given_observation
    decision = decide_deployment(target, seen)
    current = seen.committed.definition.sequence if seen.committed is not None else 0
    same = seen.committed is not None and not differing_fields(target.definition, seen.committed.definition)
    if target.definition.sequence != current + 1 and not (target.definition.sequence == current and same):
        assert decision.actions == ()
        assert not decision.committed.holds


@given(observations())
def test_a_settled_deployment_asks_for_nothing(given_observation: tuple[Target, DeploymentObserved]) -> None:
    target, seen = given_observation
    decision = decide_deployment(target, seen)
    if decision.installed.holds and decision.approved.holds and decision.committed.holds:
        assert decision.actions == ()


@given(observations())
def test_only_reachable_peers_on_the_channel_are_installed_on(
    given_observation: tuple[Target, DeploymentObserved],
) -> None:
    target, seen = given_observation
    by_name = {peer.name: peer for peer in seen.peers}
    for action in decide_deployment(target, seen).actions:
        if isinstance(action, Install):
            peer = by_name[action.peer]
            assert peer.on_channel
            assert not peer.installed

"""Who makes the Init call and when: once, by one organization, and never while a peer cannot tell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.chaincode import strategies as ledger
from unit.operator_domain.proposals import ACCEPTED, DEFINITION, DONE, TARGET, observed

from opssc_chaincode.model import ChaincodeContent, Evidence, Facts, Outcome, Step
from opssc_chaincode.model.chaincode import Init
from opssc_chaincode.ranking import rank_by
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.domain.deployment import TAKEOVER_SECONDS, Approval, Committed, decide_deployment
from opssc_operator.domain.initialization import (
    InitDecision,
    Initialize,
    InitObserved,
    decide_initialization,
    read_runtime,
    reported_calls,
)
from opssc_operator.domain.proposal import decide_proposal
from opssc_operator.domain.reporting import missing_reports
from opssc_operator.domain.runtime import PeerReach, Reached, RuntimeSeen
from opssc_operator.domain.server_address import ServerAddress

ORGANIZATIONS = ("Org1MSP", "Org2MSP", "Org3MSP")
INIT = Init(function="Init", args=("1",))
DEFINED = replace(DEFINITION, init_required=True)
REQUIRED = replace(TARGET, definition=DEFINED)
DEPLOYED = replace(
    DONE,
    committed=Committed(DEFINED, dict.fromkeys(ORGANIZATIONS, True)),
    approval=Approval(DEFINED, "basic:" + "00" * 32),
)
NEEDED = InitObserved(initialized=False)
DUE = replace(NEEDED, needed_seconds=TAKEOVER_SECONDS * rank_by(REQUIRED.rank_seed, ORGANIZATIONS).index("Org1MSP"))


def content(init: Init | None = INIT) -> ChaincodeContent:
    proposed = ACCEPTED.proposal.content
    assert isinstance(proposed, ChaincodeContent)
    return proposed.model_copy(update={"init_required": True, "init": init})


def accepted(init: Init | None = INIT) -> Facts:
    proposal = ACCEPTED.proposal.model_copy(update={"content": content(init)})
    votes = [vote.model_copy(update={"content_hash": proposal.hash}) for vote in ACCEPTED.votes]
    return ACCEPTED.model_copy(update={"proposal": proposal, "votes": tuple(votes)})


def decide(seen: InitObserved | None, **changes: Any) -> InitDecision:
    init = changes.pop("init", INIT)
    return decide_initialization(content(init), REQUIRED, replace(DEPLOYED, **changes), seen)


DONE_THERE = PeerReach("peer0", Reached.YES, initialized=True)
DUE_THERE = PeerReach("peer1", Reached.UNKNOWN, initialized=False)
UNSURE = PeerReach("peer1", Reached.UNKNOWN, problem="channel 'mychannel' not found")
SERVER = ServerAddress("basic:9999", asked=True)


@pytest.mark.parametrize(
    ("seen", "initialized", "words"),
    [
        pytest.param(None, None, "asking own peers", id="nobody-was-asked"),
        pytest.param(RuntimeSeen("basic", reaches=(DONE_THERE,)), True, "", id="made"),
        pytest.param(RuntimeSeen("basic", reaches=(DUE_THERE,)), False, "", id="due"),
        pytest.param(RuntimeSeen("basic", reaches=(DONE_THERE, DUE_THERE)), False, "", id="one-may-be-behind"),
        pytest.param(RuntimeSeen("basic", reaches=(UNSURE,)), None, "peer peer1: channel 'mychannel'", id="unsure"),
        pytest.param(
            RuntimeSeen("basic", reaches=(PeerReach("peer0", Reached.SILENT),)), None, "does not answer", id="silent"
        ),
        pytest.param(
            RuntimeSeen("basic", SERVER, "other", (DUE_THERE,)), None, "runs something else", id="another-server"
        ),
    ],
)
def test_own_peers_tell_whether_init_is_due_and_nobody_calls_a_server_of_another_package(
    seen: RuntimeSeen | None, initialized: bool | None, words: str
) -> None:
    read = read_runtime("basic", ("peer0", "peer1"), seen)

    assert read.initialized is initialized
    assert words in read.problem


def test_who_runs_nothing_of_it_cannot_tell() -> None:
    assert read_runtime("basic", (), RuntimeSeen("basic", reaches=(DONE_THERE,))).initialized is None


def test_a_call_without_an_answer_is_not_made_again_at_once() -> None:
    decision = decide(replace(DUE, wait_seconds=200.0))

    assert (decision.action, decision.requeue_seconds) == (None, 200.0)


@pytest.mark.parametrize(
    ("seen", "status", "reason", "words"),
    [
        pytest.param(None, "Unknown", Reason.AWAITING_INIT, "looking", id="nobody-looked"),
        pytest.param(InitObserved(initialized=True), "True", Reason.INITIALIZED, "initialized", id="initialized"),
        pytest.param(
            InitObserved(initialized=True, by="Org2MSP", transaction_id="ab"),
            "True",
            Reason.INITIALIZED,
            "by Org2MSP",
            id="initialized-by-somebody-known",
        ),
        pytest.param(
            InitObserved(None, problem="peer0: no answer"), "Unknown", Reason.AWAITING_INIT, "no answer", id="unknown"
        ),
        pytest.param(NEEDED, "False", Reason.AWAITING_INIT, "waiting for the Init call, Init", id="needed"),
    ],
)
def test_what_is_said_of_initialization_is_what_the_own_peer_shows(
    seen: InitObserved | None, status: str, reason: Reason, words: str
) -> None:
    # When
    decision = decide(seen)

    # Then
    assert (decision.verdict.status, decision.verdict.reason) == (status, reason)
    assert words in decision.verdict.message


@given(st.integers(min_value=0, max_value=10_000))
def test_organizations_make_the_call_in_turns_by_rank(milliseconds: int) -> None:
    # Given: how long a call is needed that somebody may be unable to make
    turn = milliseconds * 10.0 / 1000.0
    order = rank_by(REQUIRED.rank_seed, ORGANIZATIONS)
    expected = order[int(turn / TAKEOVER_SECONDS) % len(order)]

    # When
    decisions = {msp_id: decide(replace(NEEDED, needed_seconds=turn), own_msp_id=msp_id) for msp_id in ORGANIZATIONS}

    # Then: one calls, and everybody else looks again when its own turn begins
    assert [msp_id for msp_id, decision in decisions.items() if decision.action is not None] == [expected]
    for msp_id, decision in decisions.items():
        wait = decision.requeue_seconds
        assert wait is not None
        if msp_id != expected:
            later = decide(replace(NEEDED, needed_seconds=turn + wait + 1e-6), own_msp_id=msp_id)
            assert later.action is not None


@pytest.mark.parametrize(
    ("seen", "changes"),
    [
        pytest.param(InitObserved(initialized=True), {}, id="initialized"),
        pytest.param(InitObserved(None, problem="?"), {}, id="unknown"),
        pytest.param(None, {}, id="nobody-looked"),
        pytest.param(DUE, {"init": None}, id="the-proposal-names-no-call"),
        pytest.param(
            DUE, {"committed": Committed(DEFINED, {"Org1MSP": False, "Org2MSP": True})}, id="own-approval-missing"
        ),
        pytest.param(DUE, {"peers": (replace(DONE.peers[0], installed=False),)}, id="no-peer-has-the-package"),
        pytest.param(DUE, {"peers": (replace(DONE.peers[0], reachable=False),)}, id="no-peer-answers"),
    ],
)
def test_nobody_makes_the_call_without_need_and_means(seen: InitObserved | None, changes: dict[str, Any]) -> None:
    assert decide(seen, **changes).action is None


def test_who_can_make_the_call_makes_it_through_a_peer_that_has_the_package() -> None:
    # Given
    lacking = replace(DONE.peers[0], name="peer1", installed=False)

    # When
    decision = decide(DUE, peers=(lacking, DONE.peers[0]))

    # Then
    assert decision.action == Initialize("peer0", INIT)


@pytest.mark.parametrize(
    ("seen", "init", "ready"),
    [
        pytest.param(NEEDED, INIT, False, id="needed"),
        pytest.param(DUE, INIT, False, id="due"),
        pytest.param(NEEDED, None, False, id="left-to-people"),
        pytest.param(InitObserved(initialized=True), INIT, True, id="done"),
    ],
)
def test_a_committed_chaincode_is_ready_only_when_it_is_initialized(
    seen: InitObserved, init: Init | None, ready: bool
) -> None:
    # When
    decision = decide_proposal(observed(accepted(init), target=REQUIRED, deployment=DEPLOYED, initialization=seen))

    # Then
    assert decision.conditions[ConditionType.COMMITTED].holds
    assert decision.conditions[ConditionType.READY].holds is ready
    assert (ConditionType.RECONCILING in decision.conditions) is not ready


def test_a_chaincode_that_asks_for_no_call_says_nothing_of_it() -> None:
    decision = decide_proposal(observed(ACCEPTED, target=TARGET, deployment=DONE))
    assert ConditionType.INITIALIZED not in decision.conditions


def test_an_organization_that_runs_nothing_of_it_does_not_wait_for_what_it_cannot_see() -> None:
    # Given
    target = replace(REQUIRED, package_id=None)
    deployment = replace(DEPLOYED, approval=Approval(DEFINED, None), peers=())

    # When
    seen = InitObserved(None, problem="no own peer runs basic")
    decision = decide_proposal(observed(accepted(), target=target, deployment=deployment, initialization=seen))

    # Then
    assert decision.conditions[ConditionType.READY].holds
    assert decision.conditions[ConditionType.INITIALIZED].status == "Unknown"


def test_a_suspended_organization_makes_no_call() -> None:
    decision = decide_proposal(
        observed(accepted(), suspended=True, target=REQUIRED, deployment=DEPLOYED, initialization=DUE)
    )
    assert not any(isinstance(action, Initialize) for action in decision.ledger_actions)


def test_only_whoever_made_the_call_reports_it_and_others_read_the_claim() -> None:
    # Given
    done = decide_deployment(REQUIRED, DEPLOYED)
    seen = InitObserved(initialized=True, by="Org1MSP", transaction_id="ab" * 32)

    # When
    ours, theirs = (
        [
            wish
            for wish in missing_reports(accepted(), msp_id, done, DEPLOYED.peers, aside=None, initialization=seen)
            if wish.step is Step.INITIALIZED
        ]
        for msp_id in ("Org1MSP", "Org2MSP")
    )

    # Then
    assert [(wish.outcome, wish.evidence) for wish in ours] == [(Outcome.DONE, Evidence(tx_id="ab" * 32))]
    assert theirs == []
    told = ledger.report(accepted().proposal, "Org1MSP", Step.INITIALIZED, Outcome.DONE, ours[0].evidence)
    assert reported_calls(accepted().model_copy(update={"reports": (told,)})) == (("Org1MSP", "ab" * 32),)

"""Whether own peers go on after a change that only newer releases of Fabric take."""

from __future__ import annotations

import pytest
from unit.operator_domain.proposals import ACCEPTED, OBSERVER, facts, observed

from fabric_admin.capabilities import Line
from opssc_chaincode.model import Facts
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.domain.proposal import decide_proposal
from opssc_operator.domain.releases import PEERS_NOT_ASKED, PeerRelease, judge_releases
from opssc_operator.domain.verdict import Verdict, no, unknown

NEW = PeerRelease("peer0", Line.FABRIC_3)
OLD = PeerRelease("peer1", Line.FABRIC_2_5)
MUTE = PeerRelease("peer2", None, "no answer in time")


@pytest.mark.parametrize("peers", [pytest.param(None, id="not-asked"), pytest.param((OLD, MUTE), id="old-and-mute")])
def test_what_all_releases_take_depends_on_no_peer(peers: tuple[PeerRelease, ...] | None) -> None:
    assert judge_releases(Line.FABRIC_2_5, peers) is None


@pytest.mark.parametrize(
    ("peers", "found"),
    [
        pytest.param((), None, id="no-peers"),
        pytest.param((NEW, NEW), None, id="all-are-new"),
        pytest.param((PeerRelease("peer0", Line.FABRIC_3, "no answer in time"),), None, id="new-and-away"),
        pytest.param((NEW, OLD), ("False", Reason.PEER_TOO_OLD, "peer1"), id="one-is-older"),
        pytest.param((NEW, MUTE), ("Unknown", Reason.AWAITING_VERIFICATION, "peer2"), id="one-never-said"),
        pytest.param((MUTE, OLD), ("False", Reason.PEER_TOO_OLD, "peer1"), id="older-whatever-the-other-says"),
    ],
)
def test_what_only_newer_releases_take_needs_the_word_of_every_peer(
    peers: tuple[PeerRelease, ...], found: tuple[str, Reason, str] | None
) -> None:
    verdict = judge_releases(Line.FABRIC_3, peers)

    assert (verdict is None) is (found is None)
    if verdict is not None and found is not None:
        assert (verdict.status, verdict.reason) == found[:2]
        assert [name for name in ("peer0", "peer1", "peer2") if name in verdict.message] == [found[2]]


def test_who_is_waited_for_is_told_with_the_reason_and_the_remedy() -> None:
    verdict = judge_releases(Line.FABRIC_3, (NEW, MUTE))

    assert verdict is not None
    assert verdict.message.endswith("peer2; start them, or take them off spec.peers (no answer in time)")


def test_peers_that_were_not_asked_are_asked() -> None:
    assert judge_releases(Line.FABRIC_3, None) is PEERS_NOT_ASKED


@pytest.mark.parametrize(
    ("given_facts", "stalled"),
    [pytest.param(facts(), False, id="voting"), pytest.param(ACCEPTED, True, id="accepted")],
)
def test_own_peers_that_have_to_be_upgraded_are_looked_at_again(given_facts: Facts, stalled: bool) -> None:
    seen = observed(given_facts, own_msp_id="Org2MSP", manifest=OBSERVER, verified=no(Reason.PEER_TOO_OLD, "peer1"))
    decision = decide_proposal(seen)
    assert decision.requeue_seconds == 30.0
    assert (decision.ledger_actions, decision.conditions[ConditionType.READY].reason) == ((), Reason.PEER_TOO_OLD)
    assert (ConditionType.STALLED in decision.conditions) is stalled


@pytest.mark.parametrize(
    ("plan", "stalled", "seconds"),
    [
        pytest.param(no(Reason.PEER_TOO_OLD, "peer1"), True, 30.0, id="too-old"),
        pytest.param(unknown(Reason.AWAITING_VERIFICATION, "peer1"), False, 10.0, id="not-said-yet"),
    ],
)
def test_what_own_peers_keep_from_being_proposed_is_planned_again(plan: Verdict, stalled: bool, seconds: float) -> None:
    decision = decide_proposal(observed(None, plan=plan))
    assert (decision.ledger_actions, decision.requeue_seconds) == ((), seconds)
    assert (ConditionType.STALLED in decision.conditions) is stalled

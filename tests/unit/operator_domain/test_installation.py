"""On which own peers a package is installed now, and what is said of the others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opssc_operator.api.conditions import Reason
from opssc_operator.domain.installation import (
    LONGEST_PAUSE_SECONDS,
    Install,
    PeerState,
    decide_installation,
    install_pause_seconds,
)

CHANNEL, PACKAGE_ID = "mychannel", "basic:" + "00" * 32
LACKING = PeerState("peer0", reachable=True, on_channel=True)
HAVING = PeerState("peer1", reachable=True, on_channel=True, installed=True)
BROKEN = replace(LACKING, problem="disk full", problem_reason=Reason.INSTALL_FAILED, attempts=3, wait_seconds=4.0)


@pytest.mark.parametrize(
    ("peers", "reason", "installs", "requeue"),
    [
        pytest.param((LACKING, HAVING), Reason.AWAITING_INSTALL, ("peer0",), None, id="missing"),
        pytest.param((replace(LACKING, installing=True), HAVING), Reason.AWAITING_INSTALL, (), None, id="under-way"),
        pytest.param((BROKEN, HAVING), Reason.INSTALL_FAILED, (), 4.0, id="failed-and-not-due"),
        pytest.param((replace(BROKEN, wait_seconds=0.0),), Reason.INSTALL_FAILED, ("peer0",), None, id="due-again"),
        pytest.param((BROKEN, replace(LACKING, name="peer2")), Reason.INSTALL_FAILED, ("peer2",), 4.0, id="next-to-it"),
        pytest.param(
            (replace(BROKEN, wait_seconds=0.0, installing=True),), Reason.INSTALL_FAILED, (), None, id="tried-again-now"
        ),
    ],
)
def test_every_peer_is_installed_on_by_itself(
    peers: tuple[PeerState, ...], reason: Reason, installs: tuple[str, ...], requeue: float | None
) -> None:
    found = decide_installation(CHANNEL, PACKAGE_ID, peers)
    assert (found.verdict.reason, found.installs, found.requeue_seconds) == (
        reason,
        tuple(Install(name) for name in installs),
        requeue,
    )


@given(st.integers(1, 10_000))
def test_pauses_grow_and_end_at_a_minute(attempts: int) -> None:
    pause = install_pause_seconds(attempts)
    assert 1.0 <= pause <= install_pause_seconds(attempts + 1) <= LONGEST_PAUSE_SECONDS
    assert pause == LONGEST_PAUSE_SECONDS or install_pause_seconds(attempts + 1) > pause


states = st.builds(
    PeerState,
    name=st.sampled_from(["peer0", "peer1", "peer2"]),
    reachable=st.booleans(),
    on_channel=st.booleans(),
    installed=st.booleans(),
    problem=st.sampled_from(["", "broken"]),
    wait_seconds=st.sampled_from([0.0, 3.0]),
    installing=st.booleans(),
)


@given(st.lists(states, max_size=3, unique_by=lambda peer: peer.name).map(tuple))
def test_what_one_peer_is_like_changes_nothing_for_another(peers: tuple[PeerState, ...]) -> None:
    together = {install.peer for install in decide_installation(CHANNEL, PACKAGE_ID, peers).installs}
    alone = {install.peer for peer in peers for install in decide_installation(CHANNEL, PACKAGE_ID, (peer,)).installs}
    assert together == alone


@given(st.lists(states, max_size=3, unique_by=lambda peer: peer.name).map(tuple))
def test_installed_holds_only_when_every_peer_answers_and_has_it(peers: tuple[PeerState, ...]) -> None:
    found = decide_installation(CHANNEL, PACKAGE_ID, peers)
    done = [peer.installed for peer in peers if peer.on_channel]
    assert found.verdict.holds is (bool(done) and all(done) and all(peer.reachable for peer in peers))

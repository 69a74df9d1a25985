"""Which own peers join a channel, and what an organization is told while they do not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opssc_operator.api.conditions import Reason
from opssc_operator.api.organization import JoinMode
from opssc_operator.domain.joining import (
    LONGEST_PAUSE_SECONDS,
    MOST_CHANNELS,
    PROVED_SECONDS,
    Admission,
    JoiningObserved,
    JoiningPeer,
    Standing,
    decide_joining,
    pause_after,
    reading_pause,
)

OUT, IN, SILENT = JoiningPeer("peer0"), JoiningPeer("peer1", joined=True), JoiningPeer("peer2", silent=True)
MEMBER = Admission(Standing.MEMBER, config_block=7)
NEWCOMER = JoiningObserved("trade", "Org4MSP", JoinMode.AUTOMATIC, suspended=False, peers=(OUT,), orderers_known=True)


def told(standing: Standing, says: str = "") -> JoiningObserved:
    """What orderers say of the newcomer."""
    return replace(NEWCOMER, admission=Admission(standing, says))


@pytest.mark.parametrize(
    ("observed", "reason", "says"),
    [
        pytest.param(
            replace(NEWCOMER, mode=JoinMode.MANUAL), Reason.CHANNEL_NOT_FOUND, "joinChannels: Automatic", id="by-hand"
        ),
        pytest.param(
            replace(NEWCOMER, orderers_known=False), Reason.CHANNEL_NOT_FOUND, "spec.orderers", id="no-orderer"
        ),
        pytest.param(replace(NEWCOMER, suspended=True), Reason.SUSPENDED, "suspended", id="suspended"),
        pytest.param(replace(NEWCOMER, peers=(SILENT,)), Reason.PEER_UNREACHABLE, "no own peer answers", id="silent"),
        pytest.param(
            replace(NEWCOMER, joined_channels=MOST_CHANNELS), Reason.JOIN_FAILED, "by hand", id="too-many-channels"
        ),
        pytest.param(told(Standing.UNASKED), Reason.PROGRESSING, "asking the orderers", id="no-turn-yet"),
        pytest.param(
            replace(NEWCOMER, peers=(IN,), reads=False, admission=Admission(Standing.UNASKED)),
            Reason.PROGRESSING,
            "asking the orderers",
            id="not-reading-and-no-turn-yet",
        ),
        pytest.param(
            told(Standing.OUTSIDE), Reason.NOT_A_MEMBER, "ask a member to propose addOrganization", id="outside"
        ),
        pytest.param(
            told(Standing.UNKNOWN_CHANNEL),
            Reason.CHANNEL_NOT_FOUND,
            "no listed orderer has channel trade; list one that does",
            id="unknown-channel",
        ),
        pytest.param(told(Standing.UNREACHABLE, "refused"), Reason.ORDERER_UNREACHABLE, "refused", id="unreachable"),
        pytest.param(told(Standing.UNPROVED, "not signed"), Reason.JOIN_FAILED, "not signed", id="unproved"),
        pytest.param(
            replace(NEWCOMER, peers=(IN,), reads=False, admission=MEMBER),
            Reason.PROGRESSING,
            "up to block 7",
            id="catching-up",
        ),
        pytest.param(
            replace(NEWCOMER, peers=(IN,), reads=False, admission=Admission(Standing.OUTSIDE)),
            Reason.NOT_A_MEMBER,
            "ask a member",
            id="removed",
        ),
        pytest.param(
            replace(NEWCOMER, peers=(IN,), reads=False, orderers_known=False),
            Reason.NOT_A_MEMBER,
            "it was removed",
            id="removed-or-catching-up",
        ),
    ],
)
def test_what_keeps_peers_from_joining_is_said_with_the_next_step(
    observed: JoiningObserved, reason: Reason, says: str
) -> None:
    decision = decide_joining(observed)

    assert (decision.verdict.holds, decision.verdict.reason) == (False, reason)
    assert says in decision.verdict.message
    assert not decision.join


def test_orderers_are_asked_before_anything_is_joined() -> None:
    first = decide_joining(NEWCOMER)
    then = decide_joining(replace(NEWCOMER, admission=MEMBER))

    assert (first.ask, first.join) == (True, ())
    assert (then.ask, then.join) == (False, ("peer0",))


def test_a_peer_that_failed_is_told_of_and_tried_again() -> None:
    decision = decide_joining(replace(NEWCOMER, admission=MEMBER, problems=("peer peer0 did not join: no disk",)))

    assert decision.join == ("peer0",)
    assert decision.verdict.reason is Reason.JOIN_FAILED
    assert "no disk" in decision.verdict.message


def test_nobody_is_asked_once_every_peer_that_answers_has_joined() -> None:
    decision = decide_joining(replace(NEWCOMER, peers=(IN, SILENT), orderers_known=False))

    assert decision.verdict.holds
    assert not decision.ask
    assert decision.requeue_seconds is None


@pytest.mark.parametrize(
    ("standing", "refusals", "seconds"),
    [
        pytest.param(Standing.MEMBER, 0, PROVED_SECONDS, id="member"),
        pytest.param(Standing.OUTSIDE, 1, 5.0, id="outside"),
        pytest.param(Standing.OUTSIDE, 2, 10.0, id="outside-still"),
        pytest.param(Standing.UNKNOWN_CHANNEL, 3, 20.0, id="unknown-channel"),
        pytest.param(Standing.UNPROVED, 6, 160.0, id="unproved"),
        pytest.param(Standing.UNREACHABLE, 7, LONGEST_PAUSE_SECONDS, id="longest"),
        pytest.param(Standing.OUTSIDE, 10_000, LONGEST_PAUSE_SECONDS, id="for-ever"),
    ],
)
def test_an_answer_holds_longer_the_more_often_it_was_not_membership(
    standing: Standing, refusals: int, seconds: float
) -> None:
    assert pause_after(standing, refusals, LONGEST_PAUSE_SECONDS) == seconds


@pytest.mark.parametrize(
    ("member_seconds", "seconds"),
    [
        pytest.param(0.0, 1.0, id="at-first"),
        pytest.param(20.0, 10.0, id="meanwhile"),
        pytest.param(7200.0, 30.0, id="for-hours"),
    ],
)
def test_a_peer_that_reads_for_long_is_looked_at_ever_more_rarely(member_seconds: float, seconds: float) -> None:
    reading = replace(NEWCOMER, peers=(IN,), reads=False, admission=replace(MEMBER, member_seconds=member_seconds))

    assert reading_pause(member_seconds) == seconds
    assert decide_joining(reading).requeue_seconds == seconds


@pytest.mark.parametrize("standing", [each for each in Standing if each is not Standing.MEMBER])
@pytest.mark.parametrize("peer", [pytest.param(OUT, id="to-join"), pytest.param(IN, id="not-reading")])
def test_a_channel_is_looked_at_again_when_orderers_are_asked_again(standing: Standing, peer: JoiningPeer) -> None:
    admission = Admission(standing, again_seconds=77.0)

    decision = decide_joining(replace(NEWCOMER, peers=(peer,), reads=False, admission=admission))

    assert decision.requeue_seconds == 77.0


OBSERVED = st.builds(
    JoiningObserved,
    channel=st.just("trade"),
    own_msp_id=st.just("Org4MSP"),
    mode=st.sampled_from(JoinMode),
    suspended=st.booleans(),
    peers=st.lists(st.sampled_from([OUT, IN, SILENT]), unique=True).map(tuple),
    orderers_known=st.booleans(),
    admission=st.none() | st.builds(Admission, st.sampled_from(Standing)),
    reads=st.booleans(),
    joined_channels=st.integers(0, MOST_CHANNELS + 1),
    problems=st.lists(st.just("no disk"), max_size=1).map(tuple),
)


@given(OBSERVED)
def test_a_peer_joins_only_what_orderers_show_its_organization_to_be_a_member_of(observed: JoiningObserved) -> None:
    decision = decide_joining(observed)

    if decision.join:
        assert observed.admission is not None
        assert observed.admission.standing is Standing.MEMBER
        assert observed.mode is JoinMode.AUTOMATIC
        assert not observed.suspended
        assert set(decision.join) <= {"peer0"}
    if decision.verdict.holds:
        assert observed.joined
        assert not decision.join
    if decision.ask:
        assert observed.orderers_known
        assert observed.admission is None

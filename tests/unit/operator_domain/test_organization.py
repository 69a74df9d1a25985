"""What an organization's conditions say of its peers, and what all of them say together."""

from __future__ import annotations

import pytest

from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.domain.organization import PeerLook, judge_peers, summarize
from opssc_operator.domain.verdict import Verdict, no, unknown, yes

ONE = PeerLook("peer0", "peer0:7051", ("mychannel",))
SILENT = PeerLook("peer1", "peer1:7051", problem="refused", problem_reason=Reason.PEER_UNREACHABLE)
EARLIER = PeerLook("another", "another:7051", problem="unknown", problem_reason=Reason.UNKNOWN_MSP)
UNEXPLAINED = PeerLook("peer2", "peer2:7051", problem="something else")
IDENTITY = yes(Reason.IDENTITY_VALID)
PEERS = yes(Reason.PEERS_REACHABLE)
GOVERNANCE = yes(Reason.CONTRACT_COMMITTED)


@pytest.mark.parametrize(
    ("looks", "notes", "verdict"),
    [
        pytest.param((ONE,), (), yes(Reason.PEERS_REACHABLE, "1 of 1 peers answer"), id="all-answer"),
        pytest.param(
            (ONE,),
            ("Service x has no port", "Service y has none"),
            yes(Reason.PEERS_REACHABLE, "1 of 1 peers answer; Service x has no port; Service y has none"),
            id="what-was-left-out-is-said",
        ),
        pytest.param(
            (),
            (),
            no(
                Reason.NO_PEERS,
                "no own peer is found; label its Service opssc.dev/peer=true, or list the peers in spec.peers.explicit",
            ),
            id="nobody",
        ),
        pytest.param((), ("Service x has no port",), no(Reason.NO_PEERS, "Service x has no port"), id="nobody-and-why"),
        pytest.param(
            (ONE, SILENT),
            (),
            no(
                Reason.PEER_UNREACHABLE,
                "peer peer1 does not answer; check its address, its tlsCA and that it runs (refused)",
            ),
            id="one-is-silent",
        ),
        pytest.param(
            (SILENT, EARLIER),
            (),
            no(
                Reason.UNKNOWN_MSP,
                "peer another, peer1 knows no such identity; check spec.mspID and that its CA issued the certificates "
                "(unknown)",
            ),
            id="the-first-by-name-gives-the-reason",
        ),
        pytest.param(
            (UNEXPLAINED,),
            (),
            no(
                Reason.PEER_UNREACHABLE,
                "peer peer2 does not answer; check its address, its tlsCA and that it runs (something else)",
            ),
            id="without-a-reason",
        ),
    ],
)
def test_peers_are_ready_when_all_answer(looks: tuple[PeerLook, ...], notes: tuple[str, ...], verdict: Verdict) -> None:
    assert judge_peers(looks, notes) == verdict


@pytest.mark.parametrize(
    ("identity", "peers", "governance", "reason"),
    [
        pytest.param(IDENTITY, PEERS, GOVERNANCE, None, id="ready"),
        pytest.param(no(Reason.SECRET_NOT_FOUND), no(Reason.NO_PEERS), GOVERNANCE, Reason.SECRET_NOT_FOUND, id="first"),
        pytest.param(IDENTITY, no(Reason.NO_PEERS), no(Reason.PENDING), Reason.NO_PEERS, id="second"),
        pytest.param(IDENTITY, PEERS, unknown(Reason.PENDING), Reason.PENDING, id="last"),
    ],
)
def test_ready_is_the_first_look_that_fails(
    identity: Verdict, peers: Verdict, governance: Verdict, reason: Reason | None
) -> None:
    # When
    conditions = summarize(identity, peers, governance)

    # Then
    ready = conditions[ConditionType.READY]
    assert (ready.status, ready.reason) == (("True", Reason.READY) if reason is None else ("False", reason))
    assert (ConditionType.RECONCILING in conditions) is (reason is not None)
    assert [
        conditions[kind]
        for kind in (ConditionType.IDENTITY_READY, ConditionType.PEERS_READY, ConditionType.GOVERNANCE_READY)
    ] == [identity, peers, governance]

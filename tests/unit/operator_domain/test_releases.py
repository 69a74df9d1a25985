"""Whether own peers go on after a change that only newer releases of Fabric take."""

from __future__ import annotations

import pytest

from fabric_admin.capabilities import Line
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.releases import PEERS_NOT_ASKED, PeerRelease, judge_releases

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

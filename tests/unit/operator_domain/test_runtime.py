"""What own peers' answers say about a chaincode's server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opssc_operator.api.conditions import Reason
from opssc_operator.domain.runtime import PeerReach, Reached, judge_reach, read_refusal

DOWN = (
    "error in simulation: failed to execute transaction 0a: could not launch chaincode basic:00: connection to basic:0 "
    "failed: error cannot create connection for basic:00: error creating grpc connection to 127.0.0.1:9999: failed to "
    'create new connection: connection error: desc = "transport: error while dialing: dial tcp"'
)


@pytest.mark.parametrize(
    ("text", "reached", "address"),
    [
        pytest.param(DOWN, Reached.NO, "127.0.0.1:9999", id="refused"),
        pytest.param("could not launch chaincode basic:00: timeout expired while starting", Reached.NO, "", id="mute"),
        pytest.param(
            "error in simulation: failed to execute transaction 0a: error sending: timeout expired while executing "
            "transaction",
            Reached.UNKNOWN,
            "",
            id="slow",
        ),
        pytest.param(
            "error in simulation: chaincode 'basic' has not been initialized for this version, must call as init first",
            Reached.UNKNOWN,
            "",
            id="not-initialized",
        ),
        pytest.param("Unknown transaction function GetMetadata", Reached.YES, "", id="its-own-refusal"),
        pytest.param("", Reached.YES, "", id="its-own-empty-refusal"),
    ],
)
def test_only_the_peers_own_words_about_launching_say_that_a_server_is_gone(
    text: str, reached: Reached, address: str
) -> None:
    assert read_refusal("peer0", text) == PeerReach("peer0", reached, address)


@pytest.mark.parametrize(
    ("answers", "status", "reason"),
    [
        pytest.param((Reached.YES, Reached.YES), "True", Reason.SERVER_REACHED, id="all"),
        pytest.param((Reached.YES, Reached.NO), "False", Reason.SERVER_UNREACHABLE, id="one-does-not"),
        pytest.param((Reached.UNKNOWN, Reached.NO), "False", Reason.SERVER_UNREACHABLE, id="one-is-sure"),
        pytest.param((Reached.UNKNOWN, Reached.YES), "Unknown", Reason.SERVER_NOT_ASKED, id="not-all-say"),
    ],
)
def test_every_peer_has_to_reach_the_server(answers: tuple[Reached, ...], status: str, reason: Reason) -> None:
    verdict = judge_reach(PeerReach(f"peer{number}", reached) for number, reached in enumerate(answers))
    assert verdict is not None
    assert (verdict.status, verdict.reason) == (status, reason)


def test_nothing_is_said_before_anybody_was_asked() -> None:
    assert judge_reach(()) is None


@given(st.text())
def test_any_text_is_read_and_its_address_is_bounded(text: str) -> None:
    assert len(read_refusal("peer0", f"could not launch chaincode {text}").address) <= 253

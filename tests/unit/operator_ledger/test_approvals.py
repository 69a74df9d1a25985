"""The own approval, from peers of which some know only that there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from unit.fabric.authority import authority

from fabric_admin.definition import ApprovedDefinition, Definition
from fabric_admin.errors import ChaincodeError
from fabric_admin.lifecycle import Lifecycle
from fabric_admin.transport import Endpoint
from opssc_operator.ledger.approvals import PRIVATE_DATA_MISSING, fetch_own_approval
from opssc_operator.ledger.peers import OwnPeer, OwnPeers, PeerAddress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CHANNEL = "mychannel"
APPROVED = ApprovedDefinition(Definition("basic", "1.0", 1), "basic:" + "00" * 32)
LOST = ChaincodeError(500, f"failed to read: {PRIVATE_DATA_MISSING}. Public hash version = 3")
BROKEN = ChaincodeError(500, "access denied")


class Answering(Lifecycle):
    """The lifecycle of a peer that says this of every own approval."""

    __slots__ = ("_answer",)

    def __init__(self, peer: OwnPeer, answer: ApprovedDefinition | ChaincodeError | None) -> None:
        super().__init__(peer.connection, peer.admin)
        self._answer = answer

    async def query_approved(
        self, channel: str, name: str, sequence: int = 0, *, timeout_seconds: float = 30.0
    ) -> ApprovedDefinition | None:
        del channel, name, sequence, timeout_seconds
        if isinstance(self._answer, ChaincodeError):
            raise self._answer
        return self._answer


@pytest_asyncio.fixture
async def peers() -> AsyncIterator[OwnPeers]:
    admin = authority("Org1MSP").issue("admin")
    peers = OwnPeers((PeerAddress(name, Endpoint("127.0.0.1:1", None)) for name in ("peer0", "peer1")), admin, admin)
    for peer in peers.all:
        peer.joined = frozenset({CHANNEL})
    yield peers
    await peers.close()


def answer(peers: OwnPeers, *answers: ApprovedDefinition | ChaincodeError | None) -> None:
    for peer, said in zip(peers.all, answers, strict=True):
        peer.lifecycle = Answering(peer, said)


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        pytest.param((APPROVED, BROKEN), (APPROVED, ()), id="the-first-peer-knows"),
        pytest.param((LOST, APPROVED), (APPROVED, ()), id="the-first-peer-lacks-the-text"),
        pytest.param((LOST, LOST), (None, ("peer0", "peer1")), id="every-peer-lacks-the-text"),
        pytest.param((None, APPROVED), (None, ()), id="there-is-no-approval"),
    ],
)
async def test_any_peer_that_holds_the_text_shows_it(
    peers: OwnPeers,
    answers: tuple[ApprovedDefinition | ChaincodeError | None, ...],
    found: tuple[ApprovedDefinition | None, tuple[str, ...]],
) -> None:
    answer(peers, *answers)

    assert await fetch_own_approval(peers, CHANNEL, "basic", 1) == found


async def test_a_refusal_of_another_kind_is_one(peers: OwnPeers) -> None:
    answer(peers, BROKEN, BROKEN)

    with pytest.raises(ChaincodeError, match="access denied"):
        await fetch_own_approval(peers, CHANNEL, "basic", 1)

"""A session closes everything it holds open."""

from __future__ import annotations

import asyncio
import logging

import pytest
from fabric_protos.peer import events_pb2
from unit.fabric.authority import authority
from unit.fabric_io.scripted import ScriptedNode

from fabric_admin.errors import TransportError
from fabric_devnet.crypto import CertificateAuthority
from opssc_operator.api.refs import ProposalRef
from opssc_operator.ledger.peers import PeerAddress
from opssc_operator.ledger.session import OrganizationSession, SessionSettings, Wakers

CHANNEL = "mychannel"


class Waker:
    """Somebody to wake who falls over the first time."""

    def __init__(self) -> None:
        self.doubted, self.again = asyncio.Event(), asyncio.Event()
        self._fallen = False

    def wake(self, channel: str) -> None:
        if self._fallen:
            self.again.set()
            return
        self._fallen = True
        raise RuntimeError(f"a bug in what {channel} wakes")

    def ignore(self, ref: ProposalRef) -> None:
        """Proposals are not looked at here."""

    def doubt(self) -> None:
        self.doubted.set()


def opened(wakers: Wakers, *peers: PeerAddress) -> OrganizationSession:
    admin = authority("Org1MSP").issue("admin")
    settings = SessionSettings(
        namespace="org1",
        msp_id="Org1MSP",
        governance_channel="ops-channel",
        contract_name="opssc",
        peers=peers,
        fingerprint="",
        admin=admin,
        client=admin,
    )
    return OrganizationSession(settings, wakers)


def wake_nobody(_: object) -> None:
    """What is told is of no interest."""


async def test_a_stream_that_ended_with_a_bug_is_noticed_at_once_and_begins_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # Given
    node, waker = ScriptedNode(CertificateAuthority.create("tlsca.test", "test")), Waker()
    node.answers = (events_pb2.DeliverResponse(filtered_block=events_pb2.FilteredBlock(channel_id=CHANNEL, number=5)),)
    await node.start()
    session = opened(Wakers(waker.ignore, waker.wake, waker.doubt), PeerAddress("peer0", node.endpoint))
    peer = session.peers.all[0]
    peer.joined = frozenset({CHANNEL})

    # When
    with caplog.at_level(logging.ERROR):
        session.follow_channel(CHANNEL)
        await asyncio.wait_for(waker.doubted.wait(), 30.0)

    # Then
    assert "a block stream ended by itself" in caplog.text
    await asyncio.wait_for(waker.again.wait(), 30.0)
    await session.close()
    with pytest.raises(TransportError, match="closed"):
        await peer.system.channels(timeout_seconds=1.0)
    await node.stop()


async def test_only_news_about_who_may_read_a_channel_has_things_looked_at_anew() -> None:
    # Given
    doubts: list[str] = []
    session = opened(Wakers(wake_nobody, wake_nobody, lambda: doubts.append("organization")))

    # When
    session.note_refused(CHANNEL, refused=False)
    session.note_read(CHANNEL)
    unchanged = list(doubts)
    for refused in (True, True, False):
        session.note_refused(CHANNEL, refused=refused)
    session.note_unread(CHANNEL)
    session.note_read(CHANNEL)
    await session.close()

    # Then: removed, let in again, and shown again
    assert (unchanged, len(doubts)) == ([], 3)
    assert not session.is_refused(CHANNEL)


@pytest.mark.parametrize(
    ("said_before", "orderers", "expected"),
    [
        pytest.param(False, None, (False, False), id="nothing-is-known"),
        pytest.param(False, True, (True, False), id="refused-without-a-proposal-such-as-in-maintenance"),
        pytest.param(True, None, (True, True), id="removed-before-this-session-and-nobody-answers"),
        pytest.param(True, True, (True, True), id="removed-before-this-session"),
        pytest.param(True, False, (False, False), id="let-in-again"),
    ],
)
async def test_only_who_was_removed_counts_as_refused(
    said_before: bool, orderers: bool | None, expected: tuple[bool, bool]
) -> None:
    # Given
    session = opened(Wakers(wake_nobody, wake_nobody, lambda: None))

    # When: its FabricChannel is read again and again, before and after orderers are asked
    for answer in (None, orderers):
        if said_before:
            session.recall_removal(CHANNEL)
        if answer is not None:
            session.note_refused(CHANNEL, refused=answer)
    await session.close()

    # Then
    assert (session.is_shut_out(CHANNEL), session.is_refused(CHANNEL)) == expected

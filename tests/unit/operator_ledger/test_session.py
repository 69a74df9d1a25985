"""A session closes everything it holds open."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, cast

import pytest
from fabric_protos.peer import events_pb2
from unit.fabric.authority import authority
from unit.fabric_io.scripted import ScriptedNode
from unit.operator_channels.changes import leaving
from unit.operator_channels.proposals import agreed, proposed

from fabric_admin.errors import TransportError
from fabric_devnet.crypto import CertificateAuthority
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.membership import ShownMembership
from opssc_operator.ledger.peers import PeerAddress
from opssc_operator.ledger.session import OrganizationSession, SessionSettings, Wakers
from opssc_operator.ledger.view import LedgerView

if TYPE_CHECKING:
    from opssc_chaincode.model import Facts
    from opssc_operator.ledger.channels import ChannelReader
    from opssc_operator.ledger.contract import OpsContract

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


class Reader:
    """What is read of channels, until it is to be read anew."""

    def __init__(self) -> None:
        self.forgotten = asyncio.Event()

    def forget(self, channel: str) -> None:
        assert channel == CHANNEL
        self.forgotten.set()


async def test_what_a_filtered_stream_did_not_show_is_read_anew_when_it_begins() -> None:
    # Given: the newest block says nothing about those before
    node, woken = ScriptedNode(CertificateAuthority.create("tlsca.test", "test")), list[str]()
    node.answers = (events_pb2.DeliverResponse(filtered_block=events_pb2.FilteredBlock(channel_id=CHANNEL, number=5)),)
    await node.start()
    session = opened(Wakers(wake_nobody, woken.append, lambda: None), PeerAddress("peer0", node.endpoint))
    session.peers.all[0].joined = frozenset({CHANNEL})
    reader = Reader()
    session.reader = cast("ChannelReader", reader)

    # When
    session.follow_channel(CHANNEL)
    await asyncio.wait_for(reader.forgotten.wait(), 30.0)
    await session.close()
    await node.stop()

    # Then: whoever was woken by the block is woken once more
    assert woken[:2] == [CHANNEL, CHANNEL]


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
        pytest.param(True, None, (False, True), id="removed-before-this-session-and-nobody-answers"),
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
            session.recall_removal(CHANNEL, 3)
        if answer is not None:
            session.note_refused(CHANNEL, refused=answer)
    await session.close()

    # Then
    assert (session.is_shut_out(CHANNEL), session.is_refused(CHANNEL)) == expected


async def test_a_refusal_after_a_readmission_is_not_the_removal_that_was_recalled() -> None:
    session = opened(Wakers(wake_nobody, wake_nobody, lambda: None))
    session.recall_removal(CHANNEL, 3)

    for answer in (False, True):
        session.note_refused(CHANNEL, refused=answer)
    await session.close()

    assert (session.is_shut_out(CHANNEL), session.is_refused(CHANNEL)) == (True, False)


class Contract:
    """A governance channel on which one proposal was accepted."""

    name = "opssc"

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    async def list_all(self) -> AsyncIterator[Facts]:
        yield self._facts


async def test_who_is_refused_was_removed_as_soon_as_the_proposal_that_says_so_is_read() -> None:
    # Given: an orderer refuses before any proposal was read
    doubts: list[str] = []
    woken: list[str] = []
    session = opened(Wakers(wake_nobody, woken.append, lambda: doubts.append("organization")))
    removed = agreed(proposed(leaving("Org1MSP")), "Org1MSP", "Org2MSP")
    session.view = LedgerView(cast("OpsContract", Contract(removed)), "Org1MSP")
    session.note_refused("trade", refused=True)
    before = session.is_refused("trade"), len(doubts)

    # When
    await session.catch_up()

    # Then: the organization and the channel are looked at anew
    assert (before, session.is_refused("trade")) == ((False, 1), True)
    assert (len(doubts), woken) == (2, ["trade"])
    assert not session.is_removed(CHANNEL)

    # When: it turns out to say what is not so
    session.note_truth(ProposalRef("Org1MSP", "change"), refuted=True)
    refuted = session.is_refused("trade"), len(doubts)
    session.note_truth(ProposalRef("Org1MSP", "change"), refuted=False)

    # Then
    assert (refuted, session.is_refused("trade")) == ((False, 3), True)

    # When: own peers show that something else took the removal's place
    session.note_shown("trade", ShownMembership(member=True, version=1, sequence=1))
    await session.close()

    # Then: the orderers have another reason
    assert (session.is_refused("trade"), session.is_shut_out("trade")) == (False, True)
    assert len(doubts) == 5

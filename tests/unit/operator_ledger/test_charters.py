"""The charter in force as the own peer shows it: forged ones never count, and nothing is assumed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.chaincode import strategies as ledger
from unit.chaincode.test_succession import decided, in_force
from unit.operator_domain.test_charter import PINNED

from opssc_chaincode.model import DEFAULT_CHARTER, Charter, CharterInForce, Facts, Proposal, ProposalDocument, Rule
from opssc_chaincode.ranking import LedgerPosition
from opssc_operator.domain.channel import BlockNotKept, ChannelView, NoConfiguration
from opssc_operator.errors import NotProved, TransientError
from opssc_operator.ledger.charters import Charters
from opssc_operator.ledger.view import LedgerView

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from opssc_operator.api.refs import ProposalRef
    from opssc_operator.ledger.channels import ChannelReader
    from opssc_operator.ledger.contract import OpsContract

CHANNEL = PINNED.channel
FIRST = decided("first").proposal
SECOND = decided("second", in_force(decided("first"))).proposal
EARLIER, LATER = decided("zz-earlier").proposal, decided("aa-later").proposal


def agreed(proposal: Proposal, *members: str) -> Facts:
    cast_by = members or ("Org1MSP", "Org2MSP")
    return Facts(proposal=proposal, votes=tuple(ledger.vote(proposal, msp_id) for msp_id in cast_by))


class Peer:
    """An own peer: blocks of ten per proposal in the order given, its votes following it one by one."""

    name = "opssc"

    def __init__(self, *said: Facts) -> None:
        self.said = said
        self.views: dict[int, Any] = {PINNED.config_block: PINNED}
        self.later: Sequence[ChannelView] = ()
        self.unplaced: set[str] = set()
        """Transactions from before the snapshot the peer joined by."""
        self.view = LedgerView(cast("OpsContract", self))
        self.charters = Charters(CHANNEL, self.view, cast("ChannelReader", self), self.locate)

    async def list_all(self) -> AsyncIterator[Facts]:
        for facts in self.said:
            yield facts

    async def fetch(self, ref: ProposalRef) -> Facts | None:
        return next((facts for facts in self.said if facts.proposal.name == str(ref)), None)

    async def at(self, channel: str, number: int) -> Any:
        assert channel == CHANNEL
        view = self.views.get(number)
        if isinstance(view, NotProved):
            raise view
        return view

    async def members(self, channel: str) -> tuple[str, ...]:
        assert channel == CHANNEL
        return PINNED.members

    async def changes(self, channel: str, *, after: int, until: int) -> tuple[ChannelView, ...]:
        assert channel == CHANNEL
        return tuple(view for view in self.later if after < view.config_block <= until)

    async def locate(self, transaction_ids: object) -> None:
        if self.unplaced.intersection(cast("Iterable[str]", transaction_ids)):
            raise NotProved("from before the snapshot")
        for index, facts in enumerate(self.said):
            block = 10 * (index + 1)
            said = [facts.proposal.tx_id, *(vote.tx_id for vote in facts.votes)]
            for place, transaction_id in enumerate(said):
                self.view._positions[transaction_id] = LedgerPosition(block + place, 0)


async def names(peer: Peer) -> list[str | None]:
    if not peer.view.loaded:
        await peer.view.load()
    return [reign.charter.proposal for reign in (await peer.charters.succession()).reigns]


def changed(proposal: Proposal, **snapshot: Any) -> Proposal:
    """The same proposal with another snapshot, hashed as the contract would."""
    document = ProposalDocument(
        schema_version=proposal.schema_version,
        id=proposal.id,
        kind=proposal.kind,
        content=proposal.content,
        snapshot=proposal.snapshot.model_copy(update=snapshot),
        deadline=proposal.deadline,
    )
    return ledger.proposal(document)


async def test_an_accepted_charter_is_followed_and_an_open_one_is_not() -> None:
    assert await names(Peer(agreed(FIRST), agreed(SECOND, "Org1MSP"))) == [None, "Org1MSP/first"]
    assert await names(Peer(agreed(FIRST), agreed(SECOND))) == [None, "Org1MSP/first", "Org1MSP/second"]


async def test_the_first_decided_of_two_successors_counts() -> None:
    assert await names(Peer(agreed(EARLIER), agreed(LATER))) == [None, "Org1MSP/zz-earlier"]


ALONE = Rule(n=1, of=("Org1MSP",))


@pytest.mark.parametrize(
    ("forged", "voters"),
    [
        pytest.param(changed(FIRST, members=("Org1MSP",), rule=ALONE), ("Org1MSP",), id="alone"),
        pytest.param(changed(FIRST, rule=Rule(n=1, of=PINNED.members)), ("Org1MSP",), id="one-is-enough"),
        pytest.param(changed(FIRST, members=ledger.members(2), rule=Rule(n=2, of=ledger.members(2))), (), id="members"),
        pytest.param(changed(FIRST, channel="another"), (), id="channel"),
        pytest.param(changed(FIRST, config_hash="00" * 32), (), id="hash"),
        pytest.param(changed(FIRST, config_block=8), (), id="a-block-of-transactions"),
        pytest.param(changed(FIRST, config_block=10), (), id="a-block-that-cannot-have-been-there"),
        pytest.param(changed(FIRST, config_block=2**40), (), id="a-block-that-never-comes"),
        pytest.param(changed(FIRST, charter=CharterInForce(version=0, proposal="Org1MSP/x")), (), id="charter"),
        pytest.param(SECOND, (), id="of-no-predecessor"),
    ],
)
async def test_a_forged_charter_never_comes_in_force_and_holds_nobody_up(
    forged: Proposal, voters: tuple[str, ...]
) -> None:
    # Given: accepted, by what it says of itself, before a true one
    peer = Peer(agreed(forged, *voters), agreed(EARLIER))
    peer.views[8] = NoConfiguration(8)

    # Then
    assert await names(peer) == [None, "Org1MSP/zz-earlier"]


@pytest.mark.parametrize(
    ("block", "members", "counts"),
    [
        pytest.param(11, ledger.members(2), False, id="changed-before-the-decision"),
        pytest.param(11, PINNED.members, True, id="another-config-with-the-same-members"),
        pytest.param(13, ledger.members(2), True, id="changed-after-the-decision"),
    ],
)
async def test_a_charter_counts_only_for_those_who_were_there_all_the_time(
    block: int, members: tuple[str, ...], counts: bool
) -> None:
    # Given: proposed in block 10, decided in block 12
    peer = Peer(agreed(FIRST))
    peer.later = (replace(PINNED, config_block=block, members=members),)

    # Then
    assert await names(peer) == ([None, "Org1MSP/first"] if counts else [None])


async def test_while_a_candidate_cannot_be_judged_nothing_is_assumed_and_later_it_is() -> None:
    # Given
    peer = Peer(agreed(FIRST))
    peer.views[PINNED.config_block] = BlockNotKept(PINNED.config_block)
    with pytest.raises(TransientError, match="cannot be read"):
        await names(peer)

    # When
    peer.views[PINNED.config_block] = PINNED

    # Then
    assert await names(peer) == [None, "Org1MSP/first"]


OLD = 5
"""A config block from before a snapshot."""
LONELY = changed(FIRST, config_block=OLD, members=("Org1MSP",), rule=ALONE)


def joined_by_snapshot(peer: Peer, forged: Proposal, *, misses: str) -> None:
    """Let a peer miss a config block, the transactions of a proposal, or an orderer that can prove the block."""
    if misses == "transactions":
        peer.unplaced.add(forged.tx_id)
    peer.views[OLD] = NotProved("no orderer proves it") if misses == "proof" else BlockNotKept(OLD)


@pytest.mark.parametrize("misses", ["block", "transactions", "proof"])
async def test_one_organization_cannot_hold_up_who_joined_by_a_snapshot(misses: str) -> None:
    # Given: a charter of its own, by its own vote, as of a time that this peer knows nothing of
    lawful = ledger.proposal(ledger.document(proposal_id="lawful"))
    peer = Peer(agreed(LONELY, "Org1MSP"), agreed(EARLIER), Facts(proposal=lawful))
    joined_by_snapshot(peer, LONELY, misses=misses)

    # Then: the others' charter is followed, and what goes by the forged one is neither followed nor refuted
    assert await names(peer) == [None, "Org1MSP/zz-earlier"]
    assert peer.charters.left_out == (LONELY.name,)
    with pytest.raises(NotProved, match="goes by another charter"):
        await peer.charters.at(lawful)
    assert await peer.charters.at(EARLIER) == DEFAULT_CHARTER


@pytest.mark.parametrize("misses", ["block", "transactions", "proof"])
async def test_what_most_members_may_have_decided_is_waited_for(misses: str) -> None:
    # Given
    old = changed(FIRST, config_block=OLD)
    peer = Peer(agreed(old))
    joined_by_snapshot(peer, old, misses=misses)

    # Then
    with pytest.raises(NotProved):
        await names(peer)
    assert peer.charters.left_out == ()


async def test_what_could_replace_no_charter_is_not_waited_for() -> None:
    # Given: a successor of a charter that never was
    stray = changed(SECOND, config_block=OLD)
    peer = Peer(agreed(stray), agreed(EARLIER))
    peer.views[OLD] = BlockNotKept(OLD)

    # Then
    assert await names(peer) == [None, "Org1MSP/zz-earlier"]


async def test_a_block_that_an_orderer_proves_refutes_a_claim_that_has_no_place_on_the_ledger() -> None:
    # Given
    peer = Peer(agreed(LONELY, "Org1MSP"), agreed(EARLIER))
    joined_by_snapshot(peer, LONELY, misses="transactions")
    peer.views[OLD] = replace(PINNED, config_block=OLD)

    # Then
    assert await names(peer) == [None, "Org1MSP/zz-earlier"]
    assert peer.charters.left_out == ()


async def test_a_charter_that_a_block_has_just_decided_is_known_before_anybody_asks_for_it() -> None:
    # Given: known as open
    peer = Peer(agreed(FIRST, "Org1MSP"))
    assert await names(peer) == [None]

    # When
    peer.said = (agreed(FIRST),)
    for ref in peer.view.refs():
        peer.view.mark(ref)

    # Then
    assert await names(peer) == [None, "Org1MSP/first"]


async def test_a_proposal_goes_by_the_charter_of_its_moment() -> None:
    # Given: before it, between its deciding vote and its last one, and after it
    before, after = (ledger.proposal(ledger.document(proposal_id=name)) for name in ("before", "after"))
    peer = Peer(Facts(proposal=before), agreed(FIRST, "Org1MSP", "Org2MSP", "Org3MSP"), Facts(proposal=after))
    await peer.view.load()

    # Then
    assert await peer.charters.at(before) == DEFAULT_CHARTER
    assert (await peer.charters.at(after)).proposal == "Org1MSP/first"
    # The charter's own proposal was made under the one before.
    assert await peer.charters.at(FIRST) == DEFAULT_CHARTER


FORGED = changed(decided("forged").proposal, rule=ALONE, members=("Org1MSP",))


@given(order=st.permutations([agreed(FIRST), agreed(SECOND), agreed(FORGED)]))
async def test_the_order_in_which_facts_are_listed_never_matters(order: list[Facts]) -> None:
    # Given: what stands where on the ledger stays the same
    peer = Peer(agreed(FORGED), agreed(FIRST), agreed(SECOND))
    await peer.locate(())
    listed = Peer(*order)
    listed.view._positions.update(peer.view.positions)
    listed.charters = Charters(CHANNEL, listed.view, cast("ChannelReader", listed), nothing)

    # Then
    assert await names(listed) == [None, "Org1MSP/first", "Org1MSP/second"]


async def nothing(transaction_ids: object) -> None:
    """Every position is known."""
    del transaction_ids


def test_the_charters_of_these_tables_are_charters() -> None:
    assert all(isinstance(proposal.content, Charter) for proposal in (FIRST, SECOND, EARLIER, LATER))

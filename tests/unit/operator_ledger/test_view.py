"""The view of the ledger: what overlapping readings and blocks leave behind."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, cast

import pytest
from unit.chaincode import strategies as ledger

from opssc_chaincode.model import Facts, Init
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.outline import outline_of
from opssc_operator.ledger.view import LedgerView

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from opssc_operator.ledger.contract import OpsContract

PROPOSAL = ledger.proposal()
REF = ProposalRef("Org1MSP", PROPOSAL.id)
BEFORE = Facts(proposal=PROPOSAL)
AFTER = Facts(proposal=PROPOSAL, votes=(ledger.vote(PROPOSAL, "Org2MSP"),))


class Ledger:
    """A contract whose answers are given when they are asked for, and arrive when the test lets them."""

    name = "opssc"

    def __init__(self) -> None:
        self.facts = BEFORE
        self.many: dict[ProposalRef, Facts] = {}
        self.reads = 0
        self._held: asyncio.Event | None = None

    def hold(self) -> asyncio.Event:
        """Holds back the next answer; set the event to let it arrive."""
        self._held = asyncio.Event()
        return self._held

    async def fetch(self, ref: ProposalRef) -> Facts | None:
        self.reads += 1
        answer = self.many.get(ref, self.facts if ref == REF else None)
        await self._arrival()
        return answer

    async def list_all(self) -> AsyncIterator[Facts]:
        self.reads += 1
        answers = list(self.many.values()) or [self.facts]
        await self._arrival()
        for answer in answers:
            yield answer

    async def _arrival(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            await held.wait()


@pytest.fixture
def contract() -> Ledger:
    return Ledger()


@pytest.fixture
def view(contract: Ledger) -> LedgerView:
    return LedgerView(cast("OpsContract", contract))


async def test_a_proposal_is_read_once_until_it_is_marked(contract: Ledger, view: LedgerView) -> None:
    await view.get(REF)
    contract.facts = AFTER
    unmarked = await view.get(REF)

    view.mark(REF)

    assert unmarked == BEFORE
    assert await view.get(REF) == AFTER
    assert contract.reads == 2


async def test_listing_again_tells_what_no_block_told(contract: Ledger, view: LedgerView) -> None:
    first = await view.load()
    contract.facts = AFTER

    news = await view.load()

    assert (first, news) == (frozenset({REF}), frozenset({REF}))
    assert await view.get(REF) == AFTER
    assert await view.load() == frozenset()


async def test_a_list_on_its_way_does_not_undo_what_was_read_since(contract: Ledger, view: LedgerView) -> None:
    # Given
    arrives = contract.hold()
    listing = asyncio.create_task(view.load())
    await asyncio.sleep(0)

    # When
    contract.facts = AFTER
    view.mark(REF)
    read = await view.get(REF)
    arrives.set()
    await listing

    # Then
    assert read == AFTER
    assert await view.get(REF) == AFTER


async def test_a_mark_made_while_a_list_is_on_its_way_stays(contract: Ledger, view: LedgerView) -> None:
    # Given
    arrives = contract.hold()
    listing = asyncio.create_task(view.load())
    await asyncio.sleep(0)

    # When
    contract.facts = AFTER
    view.mark(REF)
    arrives.set()
    await listing

    # Then
    assert await view.get(REF) == AFTER


async def test_of_two_readings_at_once_the_later_one_is_kept(contract: Ledger, view: LedgerView) -> None:
    # Given
    arrives = contract.hold()
    earlier = asyncio.create_task(view.get(REF))
    await asyncio.sleep(0)

    # When
    contract.facts = AFTER
    view.mark(REF)
    later = await view.get(REF)
    arrives.set()

    # Then
    assert later == AFTER
    assert await earlier == AFTER
    assert await view.get(REF) == AFTER


INIT = Init(function="i", args=("x" * 4096,) * 8)
BIG = ledger.proposal(ledger.document(content=ledger.chaincode_content(init=INIT, init_required=True)))


async def test_what_no_longer_fits_is_kept_in_outline_and_read_again_when_it_is_asked_for() -> None:
    # Given
    contract, others = Ledger(), [ProposalRef(f"Org{number}MSP", PROPOSAL.id) for number in range(1, 9)]
    contract.many = {
        ref: Facts(proposal=BIG.model_copy(update={"creator": BIG.creator.model_copy(update={"msp_id": ref.creator})}))
        for ref in others
    }
    view = LedgerView(cast("OpsContract", contract), kept_bytes=100_000)

    # When
    await view.load()
    reads = contract.reads
    again = [await view.get(ref) for ref in others]

    # Then
    assert again == list(contract.many.values())
    assert contract.reads - reads > len(others) - 4
    assert [outline.ref for outline in view.outlines()] == others
    assert await view.load() == frozenset()


async def test_an_absent_proposal_is_asked_for_once(contract: Ledger, view: LedgerView) -> None:
    absent = ProposalRef("Org9MSP", "nothing")
    assert [await view.get(absent), await view.get(absent)] == [None, None]
    assert contract.reads == 1


def test_an_outline_counts_as_the_tally_does() -> None:
    # When
    outline = outline_of(BEFORE, "Org2MSP")

    # Then
    assert (outline.awaits_own_vote, outline.ended, outline.accepted) == (True, False, False)
    assert outline.open_at(PROPOSAL.deadline)
    assert not outline.open_at(PROPOSAL.deadline + timedelta(hours=1))
    assert not outline_of(AFTER, "Org2MSP").awaits_own_vote
    assert outline_of(AFTER, "Org2MSP") != outline


async def test_proposals_with_equal_snapshots_share_one_and_others_keep_theirs(
    contract: Ledger, view: LedgerView
) -> None:
    # Given
    snapshot = PROPOSAL.snapshot
    newer = snapshot.model_copy(update={"config_block": snapshot.config_block + 1})
    proposals = [
        PROPOSAL.model_copy(update={"id": name, "snapshot": seen})
        for name, seen in (("a", snapshot.model_copy()), ("b", snapshot.model_copy()), ("c", newer))
    ]
    refs = [ProposalRef("Org1MSP", proposal.id) for proposal in proposals]
    contract.many = {ref: Facts(proposal=each) for ref, each in zip(refs, proposals, strict=True)}

    # When
    await view.load()

    # Then
    first, second, third = [(await view.get(ref)) for ref in refs]
    assert first is not None
    assert second is not None
    assert second.proposal.snapshot is first.proposal.snapshot
    assert [first, second, third] == list(contract.many.values())

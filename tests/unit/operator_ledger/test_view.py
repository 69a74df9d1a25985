"""The view of the ledger: what overlapping readings and blocks leave behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest
from unit.chaincode import strategies as ledger

from opssc_chaincode.model import Facts
from opssc_operator.api.refs import ProposalRef
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
        self.reads = 0
        self._held: asyncio.Event | None = None

    def hold(self) -> asyncio.Event:
        """Holds back the next answer; set the event to let it arrive."""
        self._held = asyncio.Event()
        return self._held

    async def fetch(self, ref: ProposalRef) -> Facts | None:
        self.reads += 1
        answer = self.facts if ref == REF else None
        await self._arrival()
        return answer

    async def list_all(self) -> AsyncIterator[Facts]:
        self.reads += 1
        answer = self.facts
        await self._arrival()
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

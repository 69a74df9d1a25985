"""Looks at own nodes about channels that anybody may name: nodes that hang hold nobody up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.kinds.creation_work import OrdererSeen
from opssc_operator.ledger.own_looks import KEPT_SECONDS, LOOKS_AT_ONCE, OwnLooks

if TYPE_CHECKING:
    from opssc_operator.ledger.own_looks import OwnNodes

DEADLINE_SECONDS = 20.0
REF = ProposalRef("Org1MSP", "create")


class Nodes:
    """Own nodes that answer with how often they were asked, unless they hang."""

    def __init__(self, *, hanging: bool = False) -> None:
        self.free = asyncio.Event()
        self.asked, self.questions = asyncio.Semaphore(0), list[str]()
        self.now = 100.0
        self.woken: list[ProposalRef] = []
        self.news = asyncio.Event()
        if not hanging:
            self.free.set()

    async def see(self, channel: str) -> OwnNodes:
        self.questions.append(channel)
        self.asked.release()
        await self.free.wait()
        return (OrdererSeen(f"{channel}:{len(self.questions)}"),), ()

    async def question(self) -> None:
        """Wait for the next question."""
        await asyncio.wait_for(self.asked.acquire(), DEADLINE_SECONDS)

    def wake(self, ref: ProposalRef) -> None:
        self.woken.append(ref)
        self.news.set()

    def looks(self, patience_seconds: float = DEADLINE_SECONDS) -> OwnLooks:
        return OwnLooks(self.see, self.wake, patience_seconds=patience_seconds, clock=lambda: self.now)


def answer(number: int, channel: str = "new") -> OwnNodes:
    return (OrdererSeen(f"{channel}:{number}"),), ()


async def test_an_answer_holds_for_a_while_and_is_asked_for_anew_then_or_at_a_resync() -> None:
    nodes = Nodes()
    looks = nodes.looks()

    first = await looks.look("new", REF)
    nodes.now += KEPT_SECONDS - 1.0
    kept = await looks.look("new", REF)
    nodes.now += 1.0
    later = await looks.look("new", REF)
    looks.forget()
    resynced = await looks.look("new", REF)

    assert (first, kept, later, resynced) == (answer(1), answer(1), answer(2), answer(3))
    assert nodes.woken == []


async def test_nodes_that_hang_are_asked_about_few_channels_and_hold_nobody_up() -> None:
    # Given
    nodes = Nodes(hanging=True)
    looks = nodes.looks(patience_seconds=0.0)
    refs = [ProposalRef("Org1MSP", f"create-{number}") for number in range(LOOKS_AT_ONCE + 2)]

    # When
    async with asyncio.timeout(DEADLINE_SECONDS):
        unanswered = [await looks.look(ref.id, ref) for ref in refs]
        again = await looks.look(refs[0].id, REF)
    asked = list(nodes.questions)
    nodes.free.set()
    async with asyncio.timeout(DEADLINE_SECONDS):
        while len(nodes.woken) <= len(refs):
            nodes.news.clear()
            await nodes.news.wait()

    # Then
    assert (unanswered, again) == ([None] * len(refs), None)
    assert asked == [ref.id for ref in refs[:LOOKS_AT_ONCE]]
    assert set(nodes.woken) == {*refs, REF}
    assert [await looks.look(ref.id, ref) for ref in refs] != unanswered
    assert nodes.questions == [ref.id for ref in refs]


async def test_who_finds_no_turn_does_not_wait_even_as_long_as_who_has_one() -> None:
    nodes = Nodes(hanging=True)
    looks = nodes.looks(patience_seconds=10 * DEADLINE_SECONDS)
    waiting = [asyncio.ensure_future(looks.look(f"new-{number}", REF)) for number in range(LOOKS_AT_ONCE)]
    for _ in waiting:
        await nodes.question()

    async with asyncio.timeout(DEADLINE_SECONDS):
        same, another = await looks.look("new-0", REF), await looks.look("another", REF)

    assert (same, another, any(each.done() for each in waiting)) == (None, None, False)
    await looks.close()
    assert await asyncio.gather(*waiting) == [None] * LOOKS_AT_ONCE


async def test_while_nodes_are_asked_anew_the_last_answer_stands() -> None:
    nodes = Nodes()
    looks = nodes.looks()
    await looks.look("new", REF)
    await nodes.question()
    nodes.free.clear()
    nodes.now += KEPT_SECONDS
    anew = asyncio.ensure_future(looks.look("new", REF))
    await nodes.question()

    meanwhile = await looks.look("new", REF)

    assert (meanwhile, anew.done()) == (answer(1), False)
    nodes.free.set()
    assert (await anew, nodes.woken) == (answer(2), [REF])


async def test_whoever_waits_when_the_session_ends_goes_on_and_nobody_is_asked_any_more() -> None:
    nodes = Nodes(hanging=True)
    looks = nodes.looks()
    waiting = asyncio.ensure_future(looks.look("new", REF))
    await nodes.question()

    await looks.close()

    assert (await waiting, await looks.look("other", REF)) == (None, None)
    assert nodes.questions == ["new"]


async def test_a_bug_in_a_look_is_told_to_who_waits_for_it() -> None:
    async def see(_: str) -> OwnNodes:
        raise ZeroDivisionError

    looks = OwnLooks(see, Nodes().wake)

    with pytest.raises(ZeroDivisionError):
        await looks.look("new", REF)

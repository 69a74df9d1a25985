"""What orderers show of a channel that no own peer is in: believed only as far as it proves itself."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fabric_protos.common import common_pb2
from unit.fabric.authority import authority
from unit.fabric.channel import CHANNEL, PROFILE
from unit.fabric_io.scripted import running
from unit.operator_ledger.clock import Clock
from unit.operator_ledger.sites import FIRST, OWN, Site, welcome, with_other_data, with_other_genesis

from fabric_admin import genesis
from fabric_admin.genesis import ApplicationOrganization
from opssc_operator.domain.joining import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, PROVED_SECONDS, Standing
from opssc_operator.ledger.admission import LOOKS_AT_ONCE, TURN_SECONDS, Admissions, Offer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from unit.fabric_io.scripted import Context

NEW_MEMBER = ApplicationOrganization("Org4", authority("Org4MSP").config(), ())
LONGEST = 20.0
DEADLINE_SECONDS = 20.0
FOREIGN = genesis.build(replace(PROFILE, channel_id="side"))


async def ask(*sites: Site) -> Offer:
    async with running(*sites):
        return await look(Admissions("Org4MSP", [site.endpoint for site in sites], OWN))


async def look(admissions: Admissions, channel: str = CHANNEL) -> Offer:
    """The answer for somebody who has a turn to ask."""
    offer = await admissions.look(channel, LONGEST)
    assert offer.admission.standing is not Standing.UNASKED
    return offer


async def test_a_member_gets_the_block_that_its_peers_join_with() -> None:
    offer = await ask(Site(*welcome()))

    assert (offer.admission.standing, offer.admission.config_block) == (Standing.MEMBER, 1)
    assert offer.genesis == FIRST


async def test_a_founding_member_gets_a_channel_of_one_block() -> None:
    founded = genesis.build(replace(PROFILE, organizations=(*PROFILE.organizations, NEW_MEMBER)))

    offer = await ask(Site(founded))

    assert (offer.admission.standing, offer.genesis) == (Standing.MEMBER, founded)


@pytest.mark.parametrize(
    ("site", "standing"),
    [
        pytest.param(lambda: Site(*welcome("Org5MSP")), Standing.OUTSIDE, id="another-was-let-in"),
        pytest.param(lambda: Site(status=common_pb2.FORBIDDEN), Standing.OUTSIDE, id="may-not-read"),
        pytest.param(lambda: Site(status=common_pb2.NOT_FOUND), Standing.UNKNOWN_CHANNEL, id="unknown-channel"),
        pytest.param(lambda: Site(status=common_pb2.SERVICE_UNAVAILABLE), Standing.UNREACHABLE, id="without-leader"),
        pytest.param(lambda: Site(*welcome(signer="Org1MSP")), Standing.UNPROVED, id="signed-by-no-orderer"),
        pytest.param(lambda: Site(*with_other_genesis()), Standing.UNPROVED, id="another-genesis-block"),
        pytest.param(lambda: Site(*with_other_data()), Standing.UNPROVED, id="other-data"),
        pytest.param(lambda: Site(FOREIGN), Standing.UNPROVED, id="another-channel"),
    ],
)
async def test_what_does_not_show_membership_gives_no_block(site: Callable[[], Site], standing: Standing) -> None:
    offer = await ask(site())

    assert (offer.admission.standing, offer.genesis) == (standing, None)


async def test_a_listed_orderer_that_knows_more_is_believed_rather_than_one_that_lags_behind() -> None:
    def refusing(status: common_pb2.Status.ValueType) -> Site:
        return Site(status=status)

    without_leader = await ask(refusing(common_pb2.SERVICE_UNAVAILABLE), refusing(common_pb2.FORBIDDEN))
    behind = await ask(refusing(common_pb2.FORBIDDEN), Site(*welcome()))

    assert without_leader.admission.standing is Standing.OUTSIDE
    assert behind.admission.standing is Standing.MEMBER


async def test_orderers_that_refuse_are_asked_ever_more_rarely_about_a_channel() -> None:
    site, clock = Site(status=common_pb2.FORBIDDEN), Clock()
    pauses, questions = [], []

    async with running(site):
        admissions = Admissions("Org4MSP", [site.endpoint], OWN, clock=clock)
        for _ in range(4):
            offer = await look(admissions)
            pauses.append(offer.admission.again_seconds)
            clock.now += pauses[-1] - 2.0
            again = await look(admissions)
            questions.append(site.questions)
            clock.now += again.admission.again_seconds

    assert pauses == [5.0, 10.0, 20.0, 20.0]
    assert questions == [1, 2, 3, 4]


async def test_a_membership_is_taken_for_granted_for_a_while_and_then_asked_for_anew() -> None:
    site, clock = Site(*welcome()), Clock()

    async with running(site):
        admissions = Admissions("Org4MSP", [site.endpoint], OWN, clock=clock)
        first = await look(admissions)
        asked = site.questions
        clock.now += PROVED_SECONDS - 1.0
        kept = await look(admissions)
        asked_for_kept = site.questions
        site.refusal = common_pb2.FORBIDDEN
        clock.now += 1.0
        later = await look(admissions)

    assert (kept.genesis, asked_for_kept) == (first.genesis, asked)
    assert kept.admission.member_seconds == PROVED_SECONDS - 1.0
    assert (later.admission.standing, later.genesis) == (Standing.OUTSIDE, None)
    assert later.admission.again_seconds == 5.0


async def test_orderers_are_asked_once_about_a_channel_that_many_proposals_name_at_once() -> None:
    site = Site(status=common_pb2.NOT_FOUND)

    async with running(site):
        admissions = Admissions("Org4MSP", [site.endpoint], OWN)
        offers = await asyncio.gather(*(admissions.look(CHANNEL, LONGEST) for _ in range(20)))
        later = await look(admissions)

    answered = [offer.admission.standing for offer in offers if offer.admission.standing is not Standing.UNASKED]
    assert answered == [later.admission.standing] == [Standing.UNKNOWN_CHANNEL]
    assert site.questions == 1


class HangingSite(Site):
    """An orderer that takes questions and answers none before it is let go."""

    def __init__(self) -> None:
        super().__init__(status=common_pb2.NOT_FOUND)
        self.questioned, self.free = asyncio.Semaphore(0), asyncio.Event()

    async def _stream(self, requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        self.questioned.release()
        await self.free.wait()
        async for answer in super()._stream(requests, context):
            yield answer


async def test_an_orderer_that_hangs_keeps_few_waiting_and_nobody_from_the_governance_channel() -> None:
    # Given: as many channels as there is room for
    site = HangingSite()
    async with running(site):
        admissions = Admissions("Org4MSP", [site.endpoint], OWN)
        waiting = [
            asyncio.ensure_future(admissions.look(f"invented-{number}", LONGEST)) for number in range(LOOKS_AT_ONCE)
        ]
        for _ in waiting:
            await asyncio.wait_for(site.questioned.acquire(), DEADLINE_SECONDS)

        # When
        same = await admissions.look("invented-0", LONGEST)
        another = await admissions.look("invented-99", LONGEST)
        waiting.append(asyncio.ensure_future(admissions.look(CHANNEL, LONGEST, first=True)))
        await asyncio.wait_for(site.questioned.acquire(), DEADLINE_SECONDS)

        # Then
        assert [each.admission.standing for each in (same, another)] == [Standing.UNASKED] * 2
        assert not any(each.done() for each in waiting)

        # And: there is room again
        site.free.set()
        await asyncio.gather(*waiting)
        assert (await look(admissions, "invented-99")).admission.standing is Standing.UNKNOWN_CHANNEL
        assert site.questions == LOOKS_AT_ONCE + 2


@pytest.mark.parametrize(
    "name", [pytest.param("invented-0", id="one-channel"), pytest.param("other-{}", id="a-channel-each")]
)
async def test_the_more_wait_for_a_turn_the_later_each_of_them_comes_again(name: str) -> None:
    # Given: nobody has a turn any more, and many proposals name channels
    site, clock, many = HangingSite(), Clock(), 4000
    async with running(site):
        admissions = Admissions("Org4MSP", [site.endpoint], OWN, clock=clock)
        asking = [
            asyncio.ensure_future(admissions.look(f"invented-{number}", LONGEST)) for number in range(LOOKS_AT_ONCE)
        ]
        for _ in asking:
            await asyncio.wait_for(site.questioned.acquire(), DEADLINE_SECONDS)

        # When
        offers = [await admissions.look(name.format(number), LONGEST_PAUSE_SECONDS) for number in range(many)]
        governing = await admissions.look(name.format(0), LONGEST)
        clock.now += 2 * LONGEST_PAUSE_SECONDS
        later = await admissions.look(name.format(0), LONGEST_PAUSE_SECONDS)
        site.free.set()
        await asyncio.gather(*asking)

    # Then: few of them come in any second, and none waits for ever
    pauses = [offer.admission.again_seconds for offer in offers]
    assert pauses[:2] == [FIRST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS + TURN_SECONDS]
    assert sum(pause < 60.0 for pause in pauses) <= 60.0 / TURN_SECONDS
    assert max(pauses) == LONGEST_PAUSE_SECONDS
    assert governing.admission.again_seconds == LONGEST

    # And: when all have come, nobody waits for them
    assert later.admission.again_seconds == FIRST_PAUSE_SECONDS


async def test_while_an_answer_is_asked_for_anew_the_last_one_stands() -> None:
    # Given
    site, clock = HangingSite(), Clock()
    site.free.set()
    async with running(site):
        admissions = Admissions("Org4MSP", [site.endpoint], OWN, clock=clock)
        before = await look(admissions)
        site.free.clear()
        await site.questioned.acquire()
        clock.now += LONGEST

        # When
        anew = asyncio.ensure_future(admissions.look(CHANNEL, LONGEST))
        await asyncio.wait_for(site.questioned.acquire(), DEADLINE_SECONDS)
        meanwhile = await admissions.look(CHANNEL, LONGEST)

        # Then
        assert (meanwhile.admission.standing, anew.done()) == (before.admission.standing, False)
        assert meanwhile.admission.again_seconds >= FIRST_PAUSE_SECONDS
        site.free.set()
        await anew


async def test_nobody_is_asked_where_no_orderer_is_listed() -> None:
    offer = await ask()

    assert (offer.admission.standing, offer.admission.problem) == (Standing.UNREACHABLE, "none is listed")


def refusing(status: common_pb2.Status.ValueType) -> Callable[[], Site]:
    return lambda: Site(status=status)


def serving() -> Site:
    return Site(*welcome())


@pytest.mark.parametrize(
    ("sites", "expected"),
    [
        pytest.param((), None, id="nobody-to-ask"),
        pytest.param((serving,), False, id="may-read"),
        pytest.param((refusing(common_pb2.FORBIDDEN),), True, id="may-not-read"),
        pytest.param((refusing(common_pb2.FORBIDDEN), serving), False, id="one-lags-behind"),
        pytest.param((*[refusing(common_pb2.SERVICE_UNAVAILABLE)] * 3, serving), False, id="the-fourth-answers"),
        pytest.param((refusing(common_pb2.NOT_FOUND),), None, id="unknown-channel"),
        pytest.param((refusing(common_pb2.SERVICE_UNAVAILABLE),), None, id="without-leader"),
    ],
)
async def test_an_organization_is_out_only_when_an_orderer_says_so_and_none_says_otherwise(
    sites: tuple[Callable[[], Site], ...], expected: bool | None
) -> None:
    async with AsyncExitStack() as stack:
        running = [site() for site in sites]
        for site in running:
            await site.start()
            stack.push_async_callback(site.stop)
        refused = await Admissions("Org4MSP", (), OWN).is_refused(CHANNEL, [site.endpoint for site in running])

    assert refused is expected

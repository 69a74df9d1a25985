"""Several embedded orderers that keep one log."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from component.orderersite import (
    CHANNEL,
    MEMBER,
    Site,
    delivered,
    join,
    message,
    position,
    refused,
    seek_envelope,
    wait_for_height,
)

from fabric_admin.orderer import Orderer as OrdererClient
from fabric_admin.proposal import build_seek
from fabric_admin.transport import Connection
from fabric_devnet.embedded.orderer import Orderer
from fabric_devnet.embedded.ordering import OrderingService
from fabric_devnet.material import write_material
from fabric_devnet.network import load_user
from fabric_devnet.plan import build_plan
from fabric_devnet.profile import build_genesis_block
from fabric_devnet.spec import ChannelSpec, NetworkSpec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class TestSeveralOrderers:
    """Three orderers are consenters of one log, which takes two of them."""

    @pytest_asyncio.fixture
    async def orderers(self, tmp_path: Path) -> AsyncIterator[tuple[Site, ...]]:
        spec = NetworkSpec(
            directory=tmp_path,
            organizations=1,
            orderers=3,
            channels=(ChannelSpec(CHANNEL),),
            batch_timeout="50ms",
        )
        plan = build_plan(spec)
        write_material(plan)
        genesis = build_genesis_block(plan, spec.channels[0])
        service = OrderingService()
        sites = tuple(Site(plan, Orderer(node, service), service, genesis) for node in plan.orderers)
        for site in sites:
            await site.orderer.start()
        try:
            yield sites
        finally:
            for site in sites:
                await site.orderer.stop()

    async def test_a_quorum_orders_and_every_orderer_serves_the_log(self, orderers: tuple[Site, ...]) -> None:
        first, second, third = orderers
        user = first.user(MEMBER)
        seek = build_seek(position("newest"), position("newest"), fail_if_not_ready=True)

        # Given one orderer alone on the channel: it has no leader
        await join(first)
        refusal = await refused(first, user, message(user))
        assert (refusal.status, refusal.info) == ("SERVICE_UNAVAILABLE", "no Raft leader")
        assert await delivered(first, seek_envelope(user, seek)) == ([], "SERVICE_UNAVAILABLE")

        # When a second and a third join
        await join(second)
        await join(third)
        async with Connection(second.endpoint) as connection:
            await OrdererClient(connection, user).broadcast(message(user))
        await wait_for_height(first, 2)

        # Then what one ordered, all serve; and the log goes on while one is down, but not with two down
        assert await delivered(third, seek_envelope(user, seek)) == ([1], "SUCCESS")
        await first.orderer.stop()
        async with Connection(third.endpoint) as connection:
            await OrdererClient(connection, user).broadcast(message(user))
        await wait_for_height(third, 3)
        await second.orderer.stop()
        assert (await refused(third, user, message(user))).info == "no Raft leader"

    async def test_a_peer_follows_through_restarts_but_only_with_the_right_to_read(
        self, orderers: tuple[Site, ...]
    ) -> None:
        # Given a peer that follows the channel from its start
        site = orderers[0]
        for each in orderers:
            await join(each)
        user = site.user(MEMBER)
        stream = site.service.follow(CHANNEL, 0, user)
        assert (await anext(stream)).header.number == 0

        # When every orderer stops and starts again, and a message is ordered
        coming = asyncio.ensure_future(anext(stream))
        for each in orderers:
            await each.orderer.stop()
        for each in orderers:
            await each.orderer.start()
        async with Connection(site.endpoint) as connection:
            await OrdererClient(connection, user).broadcast(message(user))

        # Then the stream goes on where it was
        async with asyncio.timeout(10):
            assert (await coming).header.number == 1
        await stream.aclose()

        # And a stranger's stream stays silent
        stranger = load_user(site.plan.orderer_organization.directory, "example.com", "NoSuchMSP", "User1")
        silent = site.service.follow(CHANNEL, 0, stranger)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(silent), 0.3)

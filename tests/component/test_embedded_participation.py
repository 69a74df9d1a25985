"""Channels of the embedded orderer: joined, listed and removed over HTTPS."""

from __future__ import annotations

import asyncio

import pytest
from component.orderersite import (
    CHANNEL,
    MEMBER,
    Site,
    message,
    wait_for_height,
)
from fabric_protos.common import common_pb2

from fabric_admin.errors import ParticipationError
from fabric_admin.orderer import Orderer as OrdererClient
from fabric_admin.transport import Connection


class TestParticipation:
    async def test_a_channel_is_joined_once(self, site: Site) -> None:
        async with site.participation() as participation:
            # Given an orderer without channels
            assert await participation.list() == ()

            # When it joins one, and again
            info = await participation.join(site.genesis)
            with pytest.raises(ParticipationError) as again:
                await participation.join(site.genesis)

            # Then it serves the channel and refuses the second time
            assert (info.name, info.relation, info.status, info.height) == (CHANNEL, "consenter", "active", 1)
            assert (again.value.status, again.value.message) == (405, "cannot join: channel already exists")
            assert await participation.list() == (CHANNEL,)
            assert await participation.info(CHANNEL) == info

    async def test_a_removed_channel_is_pending_and_then_gone(self, joined: Site) -> None:
        async with joined.participation() as participation:
            # When a channel is removed
            await participation.remove(CHANNEL)

            # Then it is inactive for a moment, refuses everything meanwhile, and can be joined anew
            info = await participation.info(CHANNEL)
            assert (info.status, info.height) == ("inactive", 0)
            with pytest.raises(ParticipationError) as again:
                await participation.remove(CHANNEL)
            assert (again.value.status, again.value.message) == (409, "cannot remove: channel pending removal")
            with pytest.raises(ParticipationError) as rejoin:
                await participation.join(joined.genesis)
            assert (rejoin.value.status, rejoin.value.message) == (409, "cannot join: channel pending removal")
            async with asyncio.timeout(5):
                while await participation.list():  # noqa: ASYNC110 - the state is another process's in real life
                    await asyncio.sleep(0.02)
            with pytest.raises(ParticipationError) as gone:
                await participation.info(CHANNEL)
            assert (gone.value.status, gone.value.message) == (404, "channel does not exist")
            assert (await participation.join(joined.genesis)).height == 1

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            pytest.param(
                lambda b: b.data.ClearField("data"), "invalid join block: block is not a config block", id="no data"
            ),
            pytest.param(
                lambda b: b.ClearField("metadata"),
                "invalid join block: invalid block: does not have metadata",
                id="no metadata",
            ),
            pytest.param(
                lambda b: setattr(b.header, "data_hash", b"x"),
                "invalid join block: invalid block: Header.DataHash is different from Hash(block.Data)",
                id="wrong data hash",
            ),
        ],
    )
    async def test_a_block_that_is_no_genesis_block_is_refused(self, site: Site, change: object, text: str) -> None:
        assert callable(change)
        broken = common_pb2.Block()
        broken.CopyFrom(site.genesis)
        change(broken)
        async with site.participation() as participation:
            with pytest.raises(ParticipationError) as refusal:
                await participation.join(broken)
        assert (refusal.value.status, refusal.value.message) == (400, text)

    async def test_a_restarted_orderer_keeps_its_channels(self, joined: Site) -> None:
        # Given a channel with a block, and a stopped orderer
        user = joined.user(MEMBER)
        async with Connection(joined.endpoint) as connection:
            await OrdererClient(connection, user).broadcast(message(user))
            await wait_for_height(joined, 2)
        await joined.orderer.stop()

        # When it starts again
        await joined.orderer.start()

        # Then the block is still there, and the next one follows it
        async with Connection(joined.endpoint) as connection:
            client = OrdererClient(connection, user)
            assert (await client.fetch(CHANNEL, "newest")).header.number == 1
            await client.broadcast(message(user))
            await wait_for_height(joined, 3)

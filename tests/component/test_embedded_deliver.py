"""Blocks of the embedded orderer, streamed to whoever may read them."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
import pytest_asyncio
from component.orderersite import (
    CHANNEL,
    MEMBER,
    OUTSIDER,
    Site,
    delivered,
    message,
    position,
    seek_envelope,
    wait_for_height,
)
from fabric_protos.common import common_pb2
from fabric_protos.orderer import ab_pb2, ab_pb2_grpc

from fabric_admin.orderer import Orderer as OrdererClient
from fabric_admin.proposal import build_seek
from fabric_admin.transport import Connection


class TestDeliver:
    """A channel of height 3: blocks 0, 1 and 2."""

    @pytest_asyncio.fixture
    async def filled(self, joined: Site) -> Site:
        user = joined.user(MEMBER)
        async with Connection(joined.endpoint) as connection:
            for number in range(6):
                await OrdererClient(connection, user).broadcast(message(user, content=bytes([number])))
        await wait_for_height(joined, 3)
        return joined

    @pytest.mark.parametrize(
        ("start", "stop", "numbers", "status"),
        [
            pytest.param(position("oldest"), position("newest"), [0, 1, 2], "SUCCESS", id="oldest to newest"),
            pytest.param(position("newest"), position("newest"), [2], "SUCCESS", id="newest alone"),
            pytest.param(position("oldest"), position("oldest"), [0], "SUCCESS", id="oldest alone"),
            pytest.param(position("at", 1), position("at", 2), [1, 2], "SUCCESS", id="by number"),
            pytest.param(position("at", 1), position("newest"), [1, 2], "SUCCESS", id="from a number to the newest"),
            pytest.param(position("at", 1), position("at", 9), [1, 2], "NOT_FOUND", id="stop beyond the chain"),
            pytest.param(position("at", 9), position("at", 9), [], "NOT_FOUND", id="start beyond the chain"),
            pytest.param(position("at", 3), position("at", 3), [], "NOT_FOUND", id="the next block, not there yet"),
            pytest.param(position("at", 2), position("at", 1), [], "BAD_REQUEST", id="start after stop"),
            pytest.param(position("unset"), position("newest"), [], "BAD_REQUEST", id="no start"),
            pytest.param(position("oldest"), position("unset"), [], "BAD_REQUEST", id="no stop"),
        ],
    )
    async def test_blocks_come_in_order_and_the_status_ends_them(
        self,
        filled: Site,
        start: ab_pb2.SeekPosition,
        stop: ab_pb2.SeekPosition,
        numbers: list[int],
        status: str,
    ) -> None:
        user = filled.user(MEMBER)
        seek = build_seek(start, stop, fail_if_not_ready=True)
        assert await delivered(filled, seek_envelope(user, seek)) == (numbers, status)

    async def test_a_start_beyond_the_height_is_not_waited_for(self, filled: Site) -> None:
        seek = build_seek(position("at", 4), position("at", 9), fail_if_not_ready=False)
        assert await delivered(filled, seek_envelope(filled.user(MEMBER), seek)) == ([], "NOT_FOUND")

    async def test_the_next_block_is_waited_for(self, filled: Site) -> None:
        # Given a reader of the next block
        user = filled.user(MEMBER)
        seek = build_seek(position("next"), position("next"), fail_if_not_ready=False)
        reading = asyncio.create_task(delivered(filled, seek_envelope(user, seek)))

        # When it comes into being
        async with Connection(filled.endpoint) as connection:
            await OrdererClient(connection, user).broadcast(message(user))

        # Then it is delivered
        assert await reading == ([3], "SUCCESS")

    async def test_a_second_request_on_the_same_stream_is_answered(self, filled: Site) -> None:
        user = filled.user(MEMBER)
        seek = build_seek(position("newest"), position("newest"), fail_if_not_ready=True)
        async with Connection(filled.endpoint) as connection:
            call = ab_pb2_grpc.AtomicBroadcastStub(connection.channel).Deliver(timeout=10)
            with contextlib.closing(Canceller(call)):
                for _ in range(2):
                    await call.write(seek_envelope(user, seek))
                    answers = [await call.read(), await call.read()]
                    kinds = [each.WhichOneof("Type") for each in answers if isinstance(each, ab_pb2.DeliverResponse)]
                    assert kinds == ["block", "status"]

    async def test_headers_alone_come_without_data_but_config_blocks_whole(self, filled: Site) -> None:
        user = filled.user(MEMBER)
        seek = build_seek(position("oldest"), position("at", 1), fail_if_not_ready=True)
        seek.content_type = ab_pb2.SeekInfo.HEADER_WITH_SIG
        async with Connection(filled.endpoint) as connection:
            call = ab_pb2_grpc.AtomicBroadcastStub(connection.channel).Deliver(timeout=10)
            await call.write(seek_envelope(user, seek))
            await call.done_writing()
            found = [answer.block async for answer in call if answer.WhichOneof("Type") == "block"]
        assert [len(block.data.data) for block in found] == [1, 0]
        assert found[1].metadata.metadata[0]

    @pytest.mark.parametrize(
        ("channel", "msp_id", "minutes", "status"),
        [
            pytest.param("nochannel", MEMBER, 0, "NOT_FOUND", id="unknown channel"),
            pytest.param("nochannel", OUTSIDER, 0, "NOT_FOUND", id="unknown channel, outsider"),
            pytest.param(CHANNEL, OUTSIDER, 0, "FORBIDDEN", id="outsider"),
            pytest.param(CHANNEL, MEMBER, -16, "BAD_REQUEST", id="an old request"),
            pytest.param(CHANNEL, MEMBER, 16, "BAD_REQUEST", id="a request from the future"),
            pytest.param(CHANNEL, MEMBER, 14, "SUCCESS", id="a clock that is a little off"),
        ],
    )
    async def test_who_may_not_read_gets_a_status_and_nothing_else(
        self, filled: Site, channel: str, msp_id: str, minutes: int, status: str
    ) -> None:
        seek = build_seek(position("oldest"), position("oldest"), fail_if_not_ready=True)
        envelope = seek_envelope(filled.user(msp_id), seek, channel=channel, minutes=minutes)
        assert await delivered(filled, envelope) == ([0] if status == "SUCCESS" else [], status)

    async def test_garbage_is_a_bad_request(self, filled: Site) -> None:
        assert await delivered(filled, common_pb2.Envelope(payload=b"\xff")) == ([], "BAD_REQUEST")


class Canceller:
    """Lets closing() end a call."""

    def __init__(self, call: object) -> None:
        self._call = call

    def close(self) -> None:
        cancel = getattr(self._call, "cancel", None)
        assert cancel is not None
        cancel()

"""The embedded orderer over real gRPC, TLS and HTTPS."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from fabric_protos.common import common_pb2
from fabric_protos.orderer import ab_pb2, ab_pb2_grpc

from fabric_admin import blocks
from fabric_admin.clock import new_moment
from fabric_admin.errors import DeliverError, OrdererRefused, ParticipationError
from fabric_admin.identity import SigningIdentity
from fabric_admin.msp import MSPManager
from fabric_admin.orderer import Orderer as OrdererClient
from fabric_admin.participation import Participation
from fabric_admin.proposal import Moment, build_envelope, build_seek
from fabric_admin.transport import Connection, Endpoint
from fabric_devnet.embedded.orderer import Orderer
from fabric_devnet.embedded.ordering import OrderingService
from fabric_devnet.material import write_material
from fabric_devnet.network import load_user
from fabric_devnet.plan import NetworkPlan, build_plan
from fabric_devnet.profile import build_genesis_block
from fabric_devnet.spec import ChannelSpec, NetworkSpec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CHANNEL = "mychannel"
MEMBER = "Org1MSP"
OUTSIDER = "Org2MSP"


@dataclass(frozen=True)
class Site:
    """One orderer, running, with a channel of Org1 that Org2 is no member of."""

    plan: NetworkPlan
    orderer: Orderer
    service: OrderingService
    genesis: common_pb2.Block

    def user(self, msp_id: str, name: str = "User1") -> SigningIdentity:
        organization = next(each for each in self.plan.organizations if each.msp_id == msp_id)
        return load_user(organization.directory, organization.domain, msp_id, name)

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.orderer.node.address, (self.orderer.node.directory / "tls" / "ca.crt").read_bytes())

    def participation(self) -> Participation:
        organization = self.plan.orderer_organization
        tls = organization.directory / "users" / f"Admin@{organization.domain}" / "tls"
        return Participation(
            f"https://{self.orderer.node.admin_address}",
            (tls / "ca.crt").read_bytes(),
            (tls / "client.crt").read_bytes(),
            (tls / "client.key").read_bytes(),
        )


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    spec = NetworkSpec(
        directory=tmp_path,
        organizations=2,
        channels=(ChannelSpec(CHANNEL, (MEMBER,)),),
        batch_timeout="100ms",
        max_message_count=3,
    )
    plan = build_plan(spec)
    write_material(plan)
    service = OrderingService()
    orderer = Orderer(plan.orderers[0], service)
    await orderer.start()
    try:
        yield Site(plan, orderer, service, build_genesis_block(plan, spec.channels[0]))
    finally:
        await orderer.stop()


@pytest_asyncio.fixture
async def joined(site: Site) -> Site:
    async with site.participation() as participation:
        await participation.join(site.genesis)
    return site


def message(
    signer: SigningIdentity,
    *,
    channel: str = CHANNEL,
    kind: common_pb2.HeaderType.ValueType = common_pb2.ENDORSER_TRANSACTION,
    content: bytes = b"content",
) -> common_pb2.Envelope:
    return build_envelope(signer, kind, channel, content, new_moment())


async def wait_for_height(site: Site, height: int) -> None:
    chain = site.service.chain(site.orderer.member, CHANNEL)
    assert chain is not None
    async with asyncio.timeout(10):
        await chain.blocks.wait_for_height(height)


class TestBroadcast:
    async def test_accepted_messages_become_signed_chained_blocks(self, joined: Site) -> None:
        # Given a member with the writer role
        user = joined.user(MEMBER)
        async with Connection(joined.endpoint) as connection:
            client = OrdererClient(connection, user)

            # When it sends four messages to a channel whose blocks hold three
            sent = [message(user, content=bytes([number])) for number in range(4)]
            for envelope in sent:
                await client.broadcast(envelope)
            await wait_for_height(joined, 3)
            fetched = [await client.fetch(CHANNEL, number) for number in range(3)]

        # Then a block is cut by count and one by time, each bound to the one before and signed by the orderer
        assert [list(block.data.data) for block in fetched[1:]] == [
            [each.SerializeToString() for each in sent[:3]],
            [sent[3].SerializeToString()],
        ]
        for before, block in itertools.pairwise(fetched):
            assert block.header.previous_hash == blocks.header_hash(before.header)
            assert block.header.data_hash == blocks.data_hash(block.data)
            assert blocks.last_config_index(block) == 0
            assert_signed(joined, block)

    @pytest.mark.parametrize(
        ("kind", "info"),
        [
            pytest.param(common_pb2.CONFIG, "message is of type that cannot be processed directly", id="CONFIG"),
            pytest.param(
                common_pb2.ORDERER_TRANSACTION,
                "message is of type that is no longer supported",
                id="ORDERER_TRANSACTION",
            ),
        ],
    )
    async def test_types_that_only_orderers_make_are_refused(
        self, joined: Site, kind: common_pb2.HeaderType.ValueType, info: str
    ) -> None:
        user = joined.user(MEMBER)
        refusal = await refused(joined, user, message(user, kind=kind))
        assert (refusal.status, refusal.info) == ("BAD_REQUEST", info)

    async def test_an_unknown_channel_is_a_bad_request(self, joined: Site) -> None:
        user = joined.user(MEMBER)
        refusal = await refused(joined, user, message(user, channel="nochannel"))
        assert (refusal.status, refusal.info) == ("BAD_REQUEST", "channel does not exist")

    async def test_an_empty_envelope_has_no_channel(self, joined: Site) -> None:
        refusal = await refused(joined, joined.user(MEMBER), common_pb2.Envelope())
        assert (refusal.status, refusal.info) == ("BAD_REQUEST", "could not determine channel ID: header not set")

    async def test_an_oversized_message_is_refused_with_its_size(self, joined: Site) -> None:
        # Given a message beyond the channel's absolute maximum
        user = joined.user(MEMBER)
        chain = joined.service.chain(joined.orderer.member, CHANNEL)
        assert chain is not None
        limit = chain.batch.absolute_max_bytes
        envelope = message(user, content=secrets.token_bytes(limit))

        # When it is sent, then size and limit are named
        refusal = await refused(joined, user, envelope)
        size = len(envelope.payload) + len(envelope.signature)
        assert refusal.status == "BAD_REQUEST"
        assert refusal.info == f"message payload is {size} bytes and exceeds maximum allowed {limit} bytes"

    @pytest.mark.parametrize("case", ["another organization", "a signature by somebody else"])
    async def test_who_does_not_satisfy_writers_is_forbidden(self, joined: Site, case: str) -> None:
        # Given a message of an outsider, or one whose signature is not the creator's
        user = joined.user(MEMBER)
        envelope = message(joined.user(OUTSIDER) if case == "another organization" else user)
        if case == "a signature by somebody else":
            envelope.signature = joined.user(MEMBER, "Admin").sign(envelope.payload)

        # When it is sent, then the policy's failure is named
        refusal = await refused(joined, user, envelope)
        assert refusal.status == "FORBIDDEN"
        assert refusal.info == (
            "implicit policy evaluation failed - 0 sub-policies were satisfied, but this policy requires 1 of the "
            "'Writers' sub-policies to be satisfied: permission denied"
        )

    async def test_the_stream_ends_after_the_first_refusal(self, joined: Site) -> None:
        # Given a stream
        user = joined.user(MEMBER)
        async with Connection(joined.endpoint) as connection:
            call = ab_pb2_grpc.AtomicBroadcastStub(connection.channel).Broadcast(timeout=10)

            # When a good and a bad message are sent
            await call.write(message(user))
            await call.write(message(user, channel="nochannel"))
            answers = [answer.status async for answer in call]

        # Then both are answered and the stream is over
        assert answers == [common_pb2.SUCCESS, common_pb2.BAD_REQUEST]

    async def test_an_empty_config_update_is_for_no_channel(self, joined: Site) -> None:
        user = joined.user(MEMBER)
        refusal = await refused(joined, user, message(user, kind=common_pb2.CONFIG_UPDATE, content=b""))
        assert refusal.info == (
            f"error applying config update to existing channel '{CHANNEL}': error authorizing update: "
            f"ConfigUpdate for channel '' but envelope for channel '{CHANNEL}'"
        )


def position(kind: str, number: int = 0) -> ab_pb2.SeekPosition:
    return {
        "oldest": ab_pb2.SeekPosition(oldest=ab_pb2.SeekOldest()),
        "newest": ab_pb2.SeekPosition(newest=ab_pb2.SeekNewest()),
        "next": ab_pb2.SeekPosition(next_commit=ab_pb2.SeekNextCommit()),
        "at": ab_pb2.SeekPosition(specified=ab_pb2.SeekSpecified(number=number)),
        "unset": ab_pb2.SeekPosition(),
    }[kind]


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


class Canceller:
    """Lets closing() end a call."""

    def __init__(self, call: object) -> None:
        self._call = call

    def close(self) -> None:
        cancel = getattr(self._call, "cancel", None)
        assert cancel is not None
        cancel()


def seek_envelope(
    signer: SigningIdentity, seek: ab_pb2.SeekInfo, *, channel: str = CHANNEL, minutes: int = 0
) -> common_pb2.Envelope:
    moment = Moment(secrets.token_bytes(24), time.time_ns() + minutes * 60 * 1_000_000_000)
    return build_envelope(signer, common_pb2.DELIVER_SEEK_INFO, channel, seek.SerializeToString(), moment)


async def delivered(site: Site, envelope: common_pb2.Envelope) -> tuple[list[int], str]:
    """Return the numbers of the blocks and the name of the status a request is answered with."""
    numbers: list[int] = []
    async with Connection(site.endpoint) as connection:
        call = ab_pb2_grpc.AtomicBroadcastStub(connection.channel).Deliver(timeout=10)
        await call.write(envelope)
        async for answer in call:
            if answer.WhichOneof("Type") == "status":
                call.cancel()
                return numbers, common_pb2.Status.Name(answer.status)
            numbers.append(answer.block.header.number)
    raise DeliverError("none", "the stream ended without a status")


async def refused(site: Site, signer: SigningIdentity, envelope: common_pb2.Envelope) -> OrdererRefused:
    async with Connection(site.endpoint) as connection:
        with pytest.raises(OrdererRefused) as refusal:
            await OrdererClient(connection, signer).broadcast(envelope)
    return refusal.value


def assert_signed(site: Site, block: common_pb2.Block) -> None:
    """Check the orderer's signature over metadata and header, as any peer does."""
    chain = site.service.chain(site.orderer.member, CHANNEL)
    assert chain is not None
    manager: MSPManager = chain.config.msp_manager
    metadata = common_pb2.Metadata.FromString(block.metadata.metadata[common_pb2.BlockMetadataIndex.SIGNATURES])
    (signature,) = metadata.signatures
    creator = common_pb2.SignatureHeader.FromString(signature.signature_header).creator
    identity = manager.deserialize(creator)
    assert identity.msp_id == "OrdererMSP"
    signed = metadata.value + signature.signature_header + blocks.header_bytes(block.header)
    identity.verify(signed, signature.signature)


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


async def join(site: Site) -> None:
    async with site.participation() as participation:
        await participation.join(site.genesis)

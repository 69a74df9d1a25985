"""Messages to the embedded orderer: which become blocks, and which are refused."""

from __future__ import annotations

import itertools
import secrets

import pytest
from component.orderersite import (
    CHANNEL,
    MEMBER,
    OUTSIDER,
    Site,
    message,
    refused,
    wait_for_height,
)
from fabric_protos.common import common_pb2
from fabric_protos.orderer import ab_pb2_grpc

from fabric_admin import blocks
from fabric_admin.msp import MSPManager
from fabric_admin.orderer import Orderer as OrdererClient
from fabric_admin.transport import Connection


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

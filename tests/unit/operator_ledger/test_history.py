"""Blocks that an orderer sends instead of the own peer: of which channel they have to be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from fabric_protos.common import common_pb2
from fabric_protos.orderer import ab_pb2
from unit.fabric.authority import authority
from unit.fabric.channel import CHANNEL, PROFILE, person
from unit.fabric_io.scripted import ScriptedNode

from fabric_admin import blocks, genesis
from fabric_admin.channelconfig import ChannelConfig
from fabric_admin.errors import BlockError
from fabric_devnet.crypto import CertificateAuthority
from opssc_operator.ledger.history import ConfigHistory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CONFIG = ChannelConfig.from_block(genesis.build(PROFILE))
OWN = genesis.build(PROFILE).data.data[0]
FOREIGN = genesis.build(replace(PROFILE, channel_id="side")).data.data[0]


@pytest_asyncio.fixture
async def orderer() -> AsyncIterator[ScriptedNode]:
    node = ScriptedNode(CertificateAuthority.create("tlsca.test", "test"))
    await node.start()
    yield node
    await node.stop()


def signed(*data: bytes, number: int = 3) -> common_pb2.Block:
    """A block as an orderer of the channel, and of many another one, signs it."""
    node = person("OrdererMSP", "orderer", "node1")
    block = common_pb2.Block(data=common_pb2.BlockData(data=data))
    block.header.number, block.header.data_hash = number, blocks.data_hash(block.data)
    header = common_pb2.SignatureHeader(creator=node.creator, nonce=b"nonce").SerializeToString()
    signature = node.sign(header + blocks.header_bytes(block.header))
    metadata = common_pb2.Metadata(
        signatures=[common_pb2.MetadataSignature(signature_header=header, signature=signature)]
    )
    block.metadata.metadata.extend([metadata.SerializeToString(), b"", b"", b"", b""])
    return block


async def ask(orderer: ScriptedNode, block: common_pb2.Block) -> common_pb2.Block:
    orderer.answers = (ab_pb2.DeliverResponse(block=block),)
    history = ConfigHistory((orderer.endpoint,), authority("Org1MSP").issue("client"))
    return await history.block(block.header.number, CONFIG)


async def test_a_block_of_the_channel_is_taken(orderer: ScriptedNode) -> None:
    assert (await ask(orderer, signed(OWN))).data.data == [OWN]
    assert (await ask(orderer, signed(OWN, OWN))).data.data == [OWN, OWN]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param((FOREIGN,), id="of-another-channel"),
        pytest.param((OWN, FOREIGN), id="in-part-of-another-channel"),
        pytest.param((b"",), id="of-no-channel"),
        pytest.param((), id="empty"),
    ],
)
@pytest.mark.parametrize("number", [0, 3])
async def test_a_block_that_the_same_orderers_signed_for_another_channel_is_refused(
    orderer: ScriptedNode, data: tuple[bytes, ...], number: int
) -> None:
    with pytest.raises(BlockError, match=f"not of channel {CHANNEL}"):
        await ask(orderer, signed(*data, number=number))

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
from fabric_admin.errors import BlockError, FabricError, PolicyNotSatisfied
from fabric_devnet.crypto import CertificateAuthority
from opssc_operator.ledger.history import CHAIN_BLOCKS, ConfigHistory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from unit.fabric_io.scripted import Context

CONFIG = ChannelConfig.from_block(genesis.build(PROFILE))
OWN = genesis.build(PROFILE).data.data[0]
FOREIGN = genesis.build(replace(PROFILE, channel_id="side")).data.data[0]


@pytest_asyncio.fixture
async def orderer() -> AsyncIterator[ScriptedNode]:
    node = ScriptedNode(CertificateAuthority.create("tlsca.test", "test"))
    await node.start()
    yield node
    await node.stop()


def signed(*data: bytes, number: int = 3, previous: bytes = b"", msp_id: str = "OrdererMSP") -> common_pb2.Block:
    """A block as an orderer of the channel, and of many another one, signs it."""
    node = person(msp_id, "orderer", "node1")
    block = common_pb2.Block(data=common_pb2.BlockData(data=data))
    block.header.previous_hash = previous
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


class Chain(ScriptedNode):
    """An orderer with some blocks, of which it sends the one that is asked for."""

    def __init__(self, *chain: common_pb2.Block) -> None:
        super().__init__(CertificateAuthority.create("tlsca.test", "test"))
        self.chain = {block.header.number: block for block in chain}

    async def _stream(self, requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        del context
        payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(await anext(requests)).payload)
        number = ab_pb2.SeekInfo.FromString(payload.data).start.specified.number
        known = self.chain.get(number)
        answer = ab_pb2.DeliverResponse(status=common_pb2.NOT_FOUND)
        yield (answer if known is None else ab_pb2.DeliverResponse(block=known)).SerializeToString()


def chain(*signers: str, data: bytes = OWN) -> list[common_pb2.Block]:
    """Blocks from number 3 on, one after the other, by orderers of these organizations."""
    made: list[common_pb2.Block] = []
    for number, msp_id in enumerate(signers, 3):
        previous = blocks.header_hash(made[-1].header) if made else b""
        made.append(signed(data, number=number, previous=previous, msp_id=msp_id))
    return made


async def content(*made: common_pb2.Block) -> common_pb2.Block:
    node = Chain(*made)
    await node.start()
    try:
        history = ConfigHistory((node.endpoint,), authority("Org1MSP").issue("client"))
        return await history.content(made[0].header.number, CONFIG)
    finally:
        await node.stop()


GONE, TODAY = "GoneMSP", "OrdererMSP"


@pytest.mark.parametrize("signers", [(TODAY,), (GONE, TODAY), (GONE, GONE, GONE, TODAY)], ids=len)
async def test_what_replaced_orderers_signed_is_proved_by_what_follows_it(signers: tuple[str, ...]) -> None:
    # When
    made = chain(*signers)
    found = await content(*made)

    # Then: without the metadata, which no hash covers
    assert (found.header, found.data) == (made[0].header, made[0].data)
    assert not found.metadata.metadata


def with_other_data() -> list[common_pb2.Block]:
    """The first block holds other data than its header says."""
    made = chain(GONE, TODAY)
    made[0].data.data.append(OWN)
    return made


@pytest.mark.parametrize(
    ("made", "failure"),
    [
        pytest.param(chain(GONE, GONE), FabricError, id="no-signature-to-the-end"),
        pytest.param(chain(*[GONE] * (CHAIN_BLOCKS + 1), TODAY), PolicyNotSatisfied, id="too-far"),
        pytest.param([signed(OWN, OWN, msp_id=GONE), *chain(TODAY, TODAY)[1:]], BlockError, id="another-chain"),
        pytest.param(chain(GONE, TODAY, data=FOREIGN), BlockError, id="another-channel"),
        pytest.param(with_other_data(), BlockError, id="other-data"),
    ],
)
async def test_what_no_unbroken_chain_proves_is_refused(
    made: list[common_pb2.Block], failure: type[FabricError]
) -> None:
    with pytest.raises(failure):
        await content(*made)

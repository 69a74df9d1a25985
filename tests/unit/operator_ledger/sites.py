"""Orderers that show chains, made of real blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fabric_protos.common import common_pb2, configtx_pb2
from fabric_protos.orderer import ab_pb2
from unit.fabric.authority import authority
from unit.fabric.channel import PROFILE, person
from unit.fabric_io.scripted import ScriptedNode
from unit.operator_ledger.test_history import signed

from fabric_admin import blocks, genesis
from fabric_admin.channelconfig import edits
from fabric_devnet.crypto import CertificateAuthority

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from unit.fabric_io.scripted import Context

FIRST = genesis.build(PROFILE)
OWN = authority("Org4MSP").issue("client")


class Site(ScriptedNode):
    """An orderer with a chain, of which it sends the block that is asked for, or a status for every question."""

    def __init__(self, *chain: common_pb2.Block, status: common_pb2.Status.ValueType | None = None) -> None:
        super().__init__(CertificateAuthority.create("tlsca.test", "test"))
        self.chain, self.refusal = chain, status
        self.questions = 0

    async def _stream(self, requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        del context
        self.questions += 1
        payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(await anext(requests)).payload)
        start = ab_pb2.SeekInfo.FromString(payload.data).start
        if self.refusal is not None:
            yield ab_pb2.DeliverResponse(status=self.refusal).SerializeToString()
            return
        number = -1 if start.HasField("newest") else start.specified.number
        yield ab_pb2.DeliverResponse(block=self.chain[number]).SerializeToString()


def update(config: configtx_pb2.Config, number: int, previous: common_pb2.Block, signer: str) -> common_pb2.Block:
    """A config block with this configuration."""
    envelope = common_pb2.Envelope.FromString(FIRST.data.data[0])
    payload = common_pb2.Payload.FromString(envelope.payload)
    payload.data = configtx_pb2.ConfigEnvelope(config=config).SerializeToString()
    envelope.payload = payload.SerializeToString()
    block = signed(
        envelope.SerializeToString(),
        number=number,
        previous=blocks.header_hash(previous.header),
        msp_id=signer,
    )
    last = common_pb2.LastConfig(index=number)
    metadata = common_pb2.Metadata.FromString(block.metadata.metadata[0])
    metadata.value = common_pb2.OrdererBlockMetadata(last_config=last).SerializeToString()
    del metadata.signatures[:]
    node = person(signer, "orderer", "node1")
    header = common_pb2.SignatureHeader(creator=node.creator, nonce=b"nonce").SerializeToString()
    signature = node.sign(metadata.value + header + blocks.header_bytes(block.header))
    metadata.signatures.append(common_pb2.MetadataSignature(signature_header=header, signature=signature))
    block.metadata.metadata[0] = metadata.SerializeToString()
    return block


def welcome(msp_id: str = "Org4MSP", signer: str = "OrdererMSP") -> list[common_pb2.Block]:
    """The genesis block, and a config block that lets an organization in."""
    config = blocks.config_envelope(FIRST)[1].config
    after = edits.add_organization(config, authority(msp_id).config(), name="newcomer")
    return [FIRST, update(after, 1, FIRST, signer)]


def with_other_genesis() -> list[common_pb2.Block]:
    other = common_pb2.Block.FromString(FIRST.SerializeToString())
    other.header.previous_hash = b"another"
    return [other, *welcome()[1:]]


def with_other_data() -> list[common_pb2.Block]:
    other = common_pb2.Block.FromString(FIRST.SerializeToString())
    other.header.data_hash = b"another"
    return [other, *welcome()[1:]]

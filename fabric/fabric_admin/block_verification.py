"""Whether a block follows another and was signed by the ordering service.

Follows ``fabric: common/deliverclient/block_verification.go`` and ``protoutil/blockutils.go``. The peer's validation
codes are not covered by any signature and so are not looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fabric_protos.common import common_pb2, configuration_pb2
from fabric_protos.msp import identities_pb2

from fabric_admin.block_hashes import data_hash, header_bytes, header_hash
from fabric_admin.errors import BlockError
from fabric_admin.policy import SignedData
from fabric_admin.wire import decode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fabric_admin.channelconfig import ChannelConfig

BLOCK_VALIDATION: Final = "/Channel/Orderer/BlockValidation"


def verify(block: common_pb2.Block, config: ChannelConfig, previous: common_pb2.BlockHeader) -> None:
    """Check that ``block`` comes right after ``previous`` and satisfies the BlockValidation policy of ``config``.

    ``config`` is the one in force before the block. Raises BlockError when the block does not fit, PolicyNotSatisfied
    when its signatures do not suffice.
    """
    number, channel = block.header.number, config.channel_id
    if number != previous.number + 1:
        raise BlockError(
            f"expected block number is [{previous.number + 1}] but actual block number inside block is [{number}]"
        )
    if block.header.previous_hash != header_hash(previous):
        raise BlockError(
            f"Header.PreviousHash of block [{number}] is different from Hash(block.Header) of previous block, "
            f"on channel [{channel}], received: {block.header.previous_hash.hex()}, "
            f"expected: {header_hash(previous).hex()}"
        )
    verify_signed(block, config)


def verify_signed(block: common_pb2.Block, config: ChannelConfig) -> None:
    """Check that a block's data is what its header says, and that orderers of ``config`` signed it.

    Says nothing of the blocks before it; the genesis block is signed by nobody. Raises BlockError and
    PolicyNotSatisfied as ``verify`` does.
    """
    number, channel = block.header.number, config.channel_id
    if not block.metadata.metadata:
        raise BlockError(
            f"block with id [{number}] on channel [{channel}] does not have metadata or contains too few entries"
        )
    actual = data_hash(block.data)
    if block.header.data_hash != actual:
        raise BlockError(
            f"Header.DataHash is different from Hash(block.Data) for block with id [{number}] on channel [{channel}]; "
            f"Header: {block.header.data_hash.hex()}, Data: {actual.hex()}"
        )
    config.policies.evaluate(BLOCK_VALIDATION, signatures(block, config))


def signatures(block: common_pb2.Block, config: ChannelConfig) -> list[SignedData]:
    """Return the orderers' signatures of a block, not yet verified; raises BlockError when they are unreadable."""
    what = f"signatures of block {block.header.number}"
    if len(block.metadata.metadata) <= common_pb2.BlockMetadataIndex.SIGNATURES:
        raise BlockError(f"{what}: there are none in its metadata")
    entry = block.metadata.metadata[common_pb2.BlockMetadataIndex.SIGNATURES]
    metadata = decode(common_pb2.Metadata, entry, BlockError, what)
    consenters = _consenters(config)
    signed = []
    for each in metadata.signatures:
        header = each.signature_header
        if consenters and not header and each.identifier_header:
            header = each.identifier_header
            identifier = decode(common_pb2.IdentifierHeader, header, BlockError, what).identifier
            signer = consenters.get(identifier, b"")
        else:
            signer = decode(common_pb2.SignatureHeader, header, BlockError, what).creator
        if signer:
            signed.append(SignedData(metadata.value + header + header_bytes(block.header), signer, each.signature))
    return signed


def _consenters(config: ChannelConfig) -> Mapping[int, bytes]:
    """Return the serialized identities of BFT consenters by number; empty for another consensus."""
    orderer = config.config.channel_group.groups.get("Orderer")
    if orderer is None or "Orderers" not in orderer.values:
        return {}
    listed = decode(
        configuration_pb2.Orderers, orderer.values["Orderers"].value, BlockError, "/Channel/Orderer/Orderers"
    )
    return {
        each.id: identities_pb2.SerializedIdentity(mspid=each.msp_id, id_bytes=each.identity).SerializeToString()
        for each in listed.consenter_mapping
    }

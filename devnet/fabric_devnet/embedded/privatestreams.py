"""The private part of a block stream: what one reader may see of a block's private writes.

Source: core/peer/deliverevents.go. A reader sees a collection's values when its organization is a member.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from fabric_protos.common import common_pb2
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.msp import identities_pb2
from google.protobuf.message import DecodeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fabric_devnet.embedded.ledger import Ledger


class Remembered:
    """The requests of a stream as they come, with channel and sender of the one being answered."""

    def __init__(self, requests: AsyncIterator[common_pb2.Envelope]) -> None:
        self._requests = requests
        self.channel_id = ""
        self.creator = b""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> common_pb2.Envelope:
        envelope = await anext(self._requests)
        try:
            header = common_pb2.Payload.FromString(envelope.payload).header
            self.channel_id = common_pb2.ChannelHeader.FromString(header.channel_header).channel_id
            self.creator = common_pb2.SignatureHeader.FromString(header.signature_header).creator
        except DecodeError:
            self.channel_id, self.creator = "", b""  # the stream refuses it in its own words
        return envelope


def readable_private_data(ledger: Ledger, number: int, creator: bytes) -> dict[int, rwset_pb2.TxPvtReadWriteSet]:
    """Return the private writes of a block that the peer has and the creator's organization may see, by position."""
    reader = identities_pb2.SerializedIdentity.FromString(creator).mspid
    definitions = ledger.definitions()
    readable = {}
    for position, collections in sorted(ledger.private_sets(number).items()):
        private = rwset_pb2.TxPvtReadWriteSet(data_model=rwset_pb2.TxReadWriteSet.KV)
        namespaces: dict[str, rwset_pb2.NsPvtReadWriteSet] = {}
        for (namespace, collection), content in sorted(collections.items()):
            if reader in (definitions.members(namespace, collection) or ()):
                if namespace not in namespaces:
                    namespaces[namespace] = private.ns_pvt_rwset.add(namespace=namespace)
                namespaces[namespace].collection_pvt_rwset.add(collection_name=collection, rwset=content)
        if namespaces:
            readable[position] = private
    return readable

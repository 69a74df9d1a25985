"""Private writes of endorsed transactions, kept until peers commit them.

One store is shared by all peers of a network: it stands in for gossip's dissemination and reconciliation. Who may keep
which collection is decided by the ledger that takes from it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fabric_protos.ledger.rwset import rwset_pb2

MAX_TRANSACTIONS: Final = 20_000  # Fabric keeps private data of that many blocks at most


class TransientStore:
    """Private write sets by channel and transaction ID; the oldest give way beyond `MAX_TRANSACTIONS`."""

    def __init__(self) -> None:
        self._sets: dict[tuple[str, str], dict[tuple[str, str, bytes], bytes]] = {}

    def put(self, channel_id: str, transaction_id: str, private: rwset_pb2.TxPvtReadWriteSet) -> None:
        """Keep the private writes of one endorsement; several endorsers of one transaction add up."""
        known = self._sets.setdefault((channel_id, transaction_id), {})
        for namespace in private.ns_pvt_rwset:
            for collection in namespace.collection_pvt_rwset:
                digest = hashlib.sha256(collection.rwset).digest()
                known[namespace.namespace, collection.collection_name, digest] = collection.rwset
        while len(self._sets) > MAX_TRANSACTIONS:
            del self._sets[next(iter(self._sets))]

    def get(self, channel_id: str, transaction_id: str, namespace: str, collection: str, digest: bytes) -> bytes | None:
        """Return the pb(KVRWSet) of one collection that has the endorsed SHA-256, None when nobody gave it."""
        return self._sets.get((channel_id, transaction_id), {}).get((namespace, collection, digest))

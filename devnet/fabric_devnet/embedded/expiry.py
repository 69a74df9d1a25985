"""Private values and hashes that a collection keeps for a number of blocks only (BlockToLive).

A value written in block B with BlockToLive N is gone once block B+N+1 is committed, unless it was written again.
Source: core/ledger/kvledger/txmgmt/pvtstatepurgemgmt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fabric_devnet.embedded.statedb import TransactionUpdates, Update, Version, key_hash

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fabric_devnet.embedded.collections import Definitions
    from fabric_devnet.embedded.statedb import Snapshot

_AFTER_ALL_TRANSACTIONS: Final = 2**31


class Expiry:
    """What expires at which block of one ledger."""

    def __init__(self) -> None:
        self._due: dict[int, list[tuple[str, str, Update[bytes], str | None]]] = {}

    def schedule(self, definitions: Definitions, update: TransactionUpdates) -> None:
        """Note what a transaction wrote into collections that forget."""
        for (namespace, collection), changes in update.hashed.items():
            found = definitions.collection(namespace, collection)
            if found is None or not found.block_to_live:
                continue
            keys = {key_hash(each.key): each.key for each in update.private.get((namespace, collection), ())}
            due = self._due.setdefault(update.version.block_number + found.block_to_live + 1, [])
            due += [(namespace, collection, each, keys.get(each.key)) for each in changes if each.value is not None]

    def resume(self, definitions: Definitions, hashed: Mapping[tuple[str, str], Iterable[Update[bytes]]]) -> None:
        """Note what a ledger that began with a snapshot has in collections that forget."""
        for place, values in hashed.items():
            for each in values:
                if each.value is not None:
                    self.schedule(definitions, TransactionUpdates(each.value.version, hashed={place: [each]}))

    def take(self, block_number: int, current: Snapshot) -> TransactionUpdates:
        """Return the deletions due with a block, of values that are still those written then."""
        updates = TransactionUpdates(Version(block_number, _AFTER_ALL_TRANSACTIONS))
        for namespace, collection, written, key in self._due.pop(block_number, ()):
            standing = current.get_hashed(namespace, collection, written.key)
            if standing is None or written.value is None or standing.version != written.value.version:
                continue
            place = (namespace, collection)
            updates.hashed.setdefault(place, []).append(Update(written.key, None, purge=True))
            if key is not None:
                updates.private.setdefault(place, []).append(Update(key, None, purge=True))
        return updates

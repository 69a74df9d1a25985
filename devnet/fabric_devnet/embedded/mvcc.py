"""Serializes the transactions of one block: version checks, phantom checks, and the updates of those that pass. Pure.

Source: core/ledger/kvledger/txmgmt/validation (validator, tx_ops, rangequery_validator).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2 as kvrwset

from fabric_devnet.embedded.rangereads import RangeReads
from fabric_devnet.embedded.statedb import TransactionUpdates, Update, Version, VersionedValue
from fabric_devnet.embedded.transaction import Code

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from fabric_devnet.embedded.statedb import Snapshot
    from fabric_devnet.embedded.transaction import CollectionAccess, EndorserTransaction, NamespaceAccess


@dataclass(slots=True)
class BlockState:
    """The state before a block plus what its valid transactions changed so far."""

    snapshot: Snapshot
    block_number: int
    public: dict[str, dict[str, VersionedValue | None]] = field(default_factory=dict)
    hashed: dict[tuple[str, str], dict[bytes, VersionedValue | None]] = field(default_factory=dict)

    def check(self, transaction: EndorserTransaction) -> int:
        """Return the validation code the transaction's reads earn: VALID, MVCC_ or PHANTOM_READ_CONFLICT."""
        for namespace in transaction.namespaces:
            if any(not self._read_holds(namespace.name, read) for read in namespace.public.reads):
                return Code.MVCC_READ_CONFLICT
            if any(not self._range_holds(namespace.name, info) for info in namespace.public.range_queries_info):
                return Code.PHANTOM_READ_CONFLICT
            for collection in namespace.collections:
                reads = collection.hashed.hashed_reads
                if any(not self._hashed_read_holds(namespace.name, collection.name, read) for read in reads):
                    return Code.MVCC_READ_CONFLICT
        return Code.VALID

    def apply(self, position: int, transaction: EndorserTransaction) -> TransactionUpdates:
        """Add a valid transaction's writes and return them as updates; private values are not among them."""
        updates = TransactionUpdates(
            Version(self.block_number, position), transaction.transaction_id, transaction.timestamp_nanoseconds
        )
        for namespace in transaction.namespaces:
            self._apply_public(namespace, updates)
            for collection in namespace.collections:
                self._apply_hashed(namespace.name, collection, updates)
        return updates

    def _read_holds(self, namespace: str, read: kvrwset.KVRead) -> bool:
        if read.key in self.public.get(namespace, ()):
            return False
        return _same_version(self.snapshot.get(namespace, read.key), read)

    def _hashed_read_holds(self, namespace: str, collection: str, read: kvrwset.KVReadHash) -> bool:
        if read.key_hash in self.hashed.get((namespace, collection), ()):
            return False
        return _same_version(self.snapshot.get_hashed(namespace, collection, read.key_hash), read)

    def _range_holds(self, namespace: str, info: kvrwset.RangeQueryInfo) -> bool:
        if not info.itr_exhausted and not info.end_key:
            return True  # opened but never taken from
        seen = RangeReads(info.reads_merkle_hashes.max_degree or 1, hashing=info.HasField("reads_merkle_hashes"))
        for key, found in self._scan(namespace, info):
            version = kvrwset.Version(block_num=found.version.block_number, tx_num=found.version.transaction_number)
            seen.add(kvrwset.KVRead(key=key, version=version))
        again = kvrwset.RangeQueryInfo(start_key=info.start_key, end_key=info.end_key, itr_exhausted=info.itr_exhausted)
        seen.write_to(again)
        return _range_result(again) == _range_result(info)

    def _scan(self, namespace: str, info: kvrwset.RangeQueryInfo) -> Iterator[tuple[str, VersionedValue]]:
        # A scan that was not taken to its end covers its last key too; U+0000 makes the smallest key after it.
        end = info.end_key if info.itr_exhausted else info.end_key + "\0"
        committed = self.snapshot.scan(namespace, info.start_key, end)
        changed = self.public.get(namespace, {})
        inside = {key: value for key, value in changed.items() if key >= info.start_key and (not end or key < end)}
        if not inside:
            return committed
        merged: dict[str, VersionedValue | None] = {**dict(committed), **inside}
        return ((key, value) for key, value in sorted(merged.items()) if value is not None)

    def _apply_public(self, namespace: NamespaceAccess, updates: TransactionUpdates) -> None:
        pending = self.public.setdefault(namespace.name, {})

        def current(key: str) -> VersionedValue | None:
            return pending[key] if key in pending else self.snapshot.get(namespace.name, key)

        metadata = {write.key: _entries(write.entries) for write in namespace.public.metadata_writes}
        changes: dict[str, VersionedValue | None] = {}
        for write in namespace.public.writes:
            value = None if write.is_delete else write.value
            changes[write.key] = _written(current(write.key), value, metadata.pop(write.key, None), updates.version)
        for key, entries in metadata.items():
            found = current(key)
            if found is not None:  # metadata of a key that does not exist is dropped
                changes[key] = replace(found, metadata=entries, version=updates.version)
        pending.update(changes)
        if changes:
            updates.public[namespace.name] = [Update(key, value) for key, value in changes.items()]

    def _apply_hashed(self, namespace: str, collection: CollectionAccess, updates: TransactionUpdates) -> None:
        place = (namespace, collection.name)
        pending = self.hashed.setdefault(place, {})

        def current(key: bytes) -> VersionedValue | None:
            return pending[key] if key in pending else self.snapshot.get_hashed(*place, key)

        metadata = {write.key_hash: _entries(write.entries) for write in collection.hashed.metadata_writes}
        changes: dict[bytes, VersionedValue | None] = {}
        for write in collection.hashed.hashed_writes:
            value = None if write.is_delete else write.value_hash
            entries = metadata.pop(write.key_hash, None)
            changes[write.key_hash] = _written(current(write.key_hash), value, entries, updates.version)
        for key, entries in metadata.items():
            found = current(key)
            if found is not None:
                changes[key] = replace(found, metadata=entries, version=updates.version)
        pending.update(changes)
        if changes:
            updates.hashed[place] = [Update(key, value) for key, value in changes.items()]


def _same_version(found: VersionedValue | None, read: kvrwset.KVRead | kvrwset.KVReadHash) -> bool:
    if found is None or not read.HasField("version"):
        return found is None and not read.HasField("version")
    return found.version == Version(read.version.block_num, read.version.tx_num)


def _written(
    current: VersionedValue | None, value: bytes | None, metadata: Mapping[str, bytes] | None, version: Version
) -> VersionedValue | None:
    if value is None:
        return None
    kept = metadata if metadata is not None else (current.metadata if current else {})
    return VersionedValue(value, version, kept)


def _entries(entries: Iterable[kvrwset.KVMetadataEntry]) -> dict[str, bytes]:
    return {entry.name: entry.value for entry in entries}


def _range_result(info: kvrwset.RangeQueryInfo) -> tuple[bytes, bytes]:
    return info.raw_reads.SerializeToString(), info.reads_merkle_hashes.SerializeToString()

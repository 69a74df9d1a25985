"""Simulates one transaction over a frozen state and collects its read and write sets.

Writes never appear in later reads of the same transaction, the last write to a key wins, and the results are sorted so
that endorsers of several organizations return equal bytes. This module knows no chaincode and no policies.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fabric_protos.ledger.rwset import rwset_pb2 as rwset
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2 as kvrwset

from fabric_devnet.embedded.errors import SimulationError
from fabric_devnet.embedded.rangereads import RangeReads
from fabric_devnet.embedded.statedb import key_hash

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fabric_devnet.embedded.statedb import Revision, Snapshot, Version, VersionedValue


@dataclass(frozen=True, slots=True)
class SimulationResults:
    """The outcome of a simulation: public read-write set, and the private writes or None when there are none."""

    public: rwset.TxReadWriteSet
    private: rwset.TxPvtReadWriteSet | None
    private_reads: frozenset[tuple[str, str]]


@dataclass(slots=True)
class _Collection:
    reads: dict[str, Version | None] = field(default_factory=dict)
    writes: dict[str, tuple[bytes | None, bool]] = field(default_factory=dict)  # value (None: delete), purge
    metadata_writes: dict[str, dict[str, bytes]] = field(default_factory=dict)


@dataclass(slots=True)
class _Namespace:
    reads: dict[str, Version | None] = field(default_factory=dict)
    writes: dict[str, bytes | None] = field(default_factory=dict)
    metadata_writes: dict[str, dict[str, bytes]] = field(default_factory=dict)
    scans: list[RangeScan] = field(default_factory=list)
    collections: dict[str, _Collection] = field(default_factory=dict)


class RangeScan:
    """An open range query: iterate it for (key, value); what was taken from it becomes part of the read set."""

    def __init__(self, snapshot: Snapshot, namespace: str, start: str, end: str) -> None:
        self._entries = snapshot.scan(namespace, start, end)
        self._end = end
        self._reads = RangeReads()
        self._info = kvrwset.RangeQueryInfo(start_key=start)

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        """Return itself: a scan can be taken from only once."""
        return self

    def __next__(self) -> tuple[str, bytes]:
        """Take the next entry and record it as read."""
        entry = next(self._entries, None)
        if entry is None:
            self._info.itr_exhausted = True
            self._info.end_key = self._end
            raise StopIteration
        key, found = entry
        self._info.end_key = key
        self._reads.add(_read(key, found.version))
        return key, found.value

    def info(self) -> kvrwset.RangeQueryInfo:
        """Describe what was read so far, as the read set carries it."""
        self._reads.write_to(self._info)
        return self._info


class Simulator:
    """One transaction's view of the state and the record of what it read and wants to write.

    Namespaces are chaincode names; values are bytes, None where absent. Raises `SimulationError` for combinations
    Fabric refuses (writing after a paginated or private query, and the reverse).
    Source: core/ledger/kvledger/txmgmt/txmgr (query executor, transaction simulator).
    """

    def __init__(self, snapshot: Snapshot, transaction_id: str) -> None:
        self.snapshot = snapshot
        self.transaction_id = transaction_id
        self._namespaces: dict[str, _Namespace] = {}
        self._private_reads: set[tuple[str, str]] = set()
        self._wrote = False
        self._paginated = False
        self._private_queried = False
        self._results: SimulationResults | None = None

    # Public state.

    def get_state(self, namespace: str, key: str) -> bytes | None:
        """Read the committed value of a key and record its version."""
        found = self._read(namespace, key)
        return found.value if found else None

    def get_state_metadata(self, namespace: str, key: str) -> Mapping[str, bytes]:
        """Read the committed metadata of a key and record its version."""
        found = self._read(namespace, key)
        return found.metadata if found else {}

    def put_state(self, namespace: str, key: str, value: bytes) -> None:
        """Write a key."""
        self._before_write()
        self._namespace(namespace).writes[key] = value

    def delete_state(self, namespace: str, key: str) -> None:
        """Delete a key."""
        self._before_write()
        self._namespace(namespace).writes[key] = None

    def put_state_metadata(self, namespace: str, key: str, metadata: Mapping[str, bytes]) -> None:
        """Replace a key's metadata; an empty mapping removes it."""
        self._before_write()
        self._namespace(namespace).metadata_writes[key] = dict(metadata)

    def scan(self, namespace: str, start: str, end: str) -> RangeScan:
        """Open a range query, start inclusive, end exclusive (empty: to the end of the namespace)."""
        scan = RangeScan(self.snapshot, namespace, start, end)
        self._namespace(namespace).scans.append(scan)
        return scan

    def scan_page(self, namespace: str, start: str, end: str) -> RangeScan:
        """Open a range query for one page; the transaction is read-only from here on."""
        if self._wrote:
            raise self._refusal("Paginated queries are supported only in a read-only transaction")
        self._paginated = True
        return self.scan(namespace, start, end)

    def history(self, namespace: str, key: str) -> list[Revision]:
        """List the committed writes of a key, newest first; not part of the read set."""
        return self.snapshot.history(namespace, key)

    # Private data collections.

    def get_private(self, namespace: str, collection: str, key: str) -> bytes | None:
        """Read a private value and record the version of its hash; refused where the value is not held."""
        committed = self._read_hash(namespace, collection, key)
        self._private_reads.add((namespace, collection))
        held = self.snapshot.get_private(namespace, collection, key)
        if committed is not None and (held is None or hashlib.sha256(held.value).digest() != committed.value):
            raise SimulationError(
                "private data matching public hash version is not available. Public hash version = "
                f"{_version_text(committed.version)}, Private data version = "
                f"{_version_text(held.version) if held else '<nil>'}"
            )
        return held.value if held and committed else None

    def get_private_hash(self, namespace: str, collection: str, key: str) -> bytes | None:
        """Read the SHA-256 of a private value and record its version; works without being a member."""
        found = self._read_hash(namespace, collection, key)
        return found.value if found else None

    def get_private_metadata(self, namespace: str, collection: str, key: str) -> Mapping[str, bytes]:
        """Read the committed metadata of a private key by its hash."""
        found = self._read_hash(namespace, collection, key)
        return found.metadata if found else {}

    def put_private(self, namespace: str, collection: str, key: str, value: bytes) -> None:
        """Write a private key."""
        self._before_write()
        self._collection(namespace, collection).writes[key] = (value, False)

    def delete_private(self, namespace: str, collection: str, key: str) -> None:
        """Delete a private key."""
        self._before_write()
        self._collection(namespace, collection).writes[key] = (None, False)

    def purge_private(self, namespace: str, collection: str, key: str) -> None:
        """Delete a private key and what it was before."""
        self._before_write()
        self._collection(namespace, collection).writes[key] = (None, True)

    def put_private_metadata(self, namespace: str, collection: str, key: str, metadata: Mapping[str, bytes]) -> None:
        """Replace a private key's metadata."""
        self._before_write()
        self._collection(namespace, collection).metadata_writes[key] = dict(metadata)

    def scan_private(self, namespace: str, collection: str, start: str, end: str) -> Iterator[tuple[str, bytes]]:
        """Iterate private values held here; the transaction is read-only from here on, nothing enters the read set."""
        if self._wrote:
            raise self._refusal("Queries on pvt data is supported only in a read-only transaction")
        self._private_queried = True
        self._private_reads.add((namespace, collection))
        return ((key, found.value) for key, found in self.snapshot.scan_private(namespace, collection, start, end))

    # Results.

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Names touched so far by reads or writes, sorted."""
        return tuple(sorted(self._namespaces))

    def results(self) -> SimulationResults:
        """Close the simulation and return its read-write sets; later calls return the same."""
        if self._results is None:
            self._results = SimulationResults(
                public=_public_set(self._namespaces),
                private=_private_set(self._namespaces),
                private_reads=frozenset(self._private_reads),
            )
        return self._results

    def _read(self, namespace: str, key: str) -> VersionedValue | None:
        found = self.snapshot.get(namespace, key)
        self._namespace(namespace).reads[key] = found.version if found else None
        return found

    def _read_hash(self, namespace: str, collection: str, key: str) -> VersionedValue | None:
        found = self.snapshot.get_hashed(namespace, collection, key_hash(key))
        self._collection(namespace, collection).reads[key] = found.version if found else None
        return found

    def _namespace(self, name: str) -> _Namespace:
        return self._namespaces.setdefault(name, _Namespace())

    def _collection(self, namespace: str, name: str) -> _Collection:
        return self._namespace(namespace).collections.setdefault(name, _Collection())

    def _before_write(self) -> None:
        if self._results is not None:
            raise SimulationError("this simulation is closed: writes are not allowed")
        if self._paginated:
            raise self._refusal("Transaction has already performed a paginated query. Writes are not allowed")
        if self._private_queried:
            raise self._refusal("Transaction has already performed queries on pvt data. Writes are not allowed")
        self._wrote = True

    def _refusal(self, reason: str) -> SimulationError:
        # "unsuppored" is how Fabric spells it, and clients may match on it.
        return SimulationError(f"txid [{self.transaction_id}]: unsuppored transaction. {reason}")


def _read(key: str, version: Version | None) -> kvrwset.KVRead:
    return kvrwset.KVRead(key=key, version=_version(version))


def _version(version: Version | None) -> kvrwset.Version | None:
    if version is None:
        return None
    return kvrwset.Version(block_num=version.block_number, tx_num=version.transaction_number)


def _version_text(version: Version) -> str:
    return f"{{BlockNum: {version.block_number}, TxNum: {version.transaction_number}}}"


def _entries(metadata: Mapping[str, bytes]) -> list[kvrwset.KVMetadataEntry]:
    return [kvrwset.KVMetadataEntry(name=name, value=metadata[name]) for name in sorted(metadata)]


def _public_set(namespaces: Mapping[str, _Namespace]) -> rwset.TxReadWriteSet:
    result = rwset.TxReadWriteSet(data_model=rwset.TxReadWriteSet.KV)
    for name in sorted(namespaces):
        touched = namespaces[name]
        result.ns_rwset.add(
            namespace=name,
            rwset=_namespace_set(touched).SerializeToString(),
            collection_hashed_rwset=[
                _hashed_set(collection, touched.collections[collection]) for collection in sorted(touched.collections)
            ],
        )
    return result


def _namespace_set(touched: _Namespace) -> kvrwset.KVRWSet:
    return kvrwset.KVRWSet(
        reads=[_read(key, touched.reads[key]) for key in sorted(touched.reads)],
        range_queries_info=[scan.info() for scan in touched.scans],
        writes=[_write(key, touched.writes[key]) for key in sorted(touched.writes)],
        metadata_writes=[
            kvrwset.KVMetadataWrite(key=key, entries=_entries(touched.metadata_writes[key]))
            for key in sorted(touched.metadata_writes)
        ],
    )


def _write(key: str, value: bytes | None) -> kvrwset.KVWrite:
    return kvrwset.KVWrite(key=key, is_delete=value is None, value=value or b"")


def _hashed_set(name: str, touched: _Collection) -> rwset.CollectionHashedReadWriteSet:
    # Sorted by the key itself, not by its hash: so does Fabric, and endorsers must agree byte for byte.
    hashed = kvrwset.HashedRWSet(
        hashed_reads=[
            kvrwset.KVReadHash(key_hash=key_hash(key), version=_version(touched.reads[key]))
            for key in sorted(touched.reads)
        ],
        hashed_writes=[_hashed_write(key, *touched.writes[key]) for key in sorted(touched.writes)],
        metadata_writes=[
            kvrwset.KVMetadataWriteHash(key_hash=key_hash(key), entries=_entries(touched.metadata_writes[key]))
            for key in sorted(touched.metadata_writes)
        ],
    )
    private = _private_collection_set(touched)
    return rwset.CollectionHashedReadWriteSet(
        collection_name=name,
        hashed_rwset=hashed.SerializeToString(),
        pvt_rwset_hash=hashlib.sha256(private).digest() if private else b"",
    )


def _hashed_write(key: str, value: bytes | None, purge: bool) -> kvrwset.KVWriteHash:
    digest = b"" if value is None else hashlib.sha256(value).digest()
    return kvrwset.KVWriteHash(key_hash=key_hash(key), is_delete=value is None, value_hash=digest, is_purge=purge)


def _private_collection_set(touched: _Collection) -> bytes:
    return kvrwset.KVRWSet(
        writes=[_write(key, touched.writes[key][0]) for key in sorted(touched.writes)]
    ).SerializeToString()


def _private_set(namespaces: Mapping[str, _Namespace]) -> rwset.TxPvtReadWriteSet | None:
    result = rwset.TxPvtReadWriteSet(data_model=rwset.TxReadWriteSet.KV)
    for name in sorted(namespaces):
        collections = namespaces[name].collections
        written = [collection for collection in sorted(collections) if collections[collection].writes]
        if written:
            sets = [
                rwset.CollectionPvtReadWriteSet(
                    collection_name=collection, rwset=_private_collection_set(collections[collection])
                )
                for collection in written
            ]
            result.ns_pvt_rwset.add(namespace=name, collection_pvt_rwset=sets)
    return result if result.ns_pvt_rwset else None

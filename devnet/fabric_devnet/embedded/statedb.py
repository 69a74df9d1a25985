"""The versioned state of one channel on one peer: public, hashed and private values, and their history.

Nothing is ever overwritten: each key holds its revisions, so that a simulation that lasts many events of the loop reads
one consistent height (a `Snapshot`), and history queries cost nothing extra. It knows no transactions and no policies.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, insort
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Key = TypeVar("Key", str, bytes)


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """The place of the transaction that wrote a value: block number and position in the block."""

    block_number: int
    transaction_number: int


@dataclass(frozen=True, slots=True)
class VersionedValue:
    """A committed value (for hashed state: the SHA-256 of the value), its version and its metadata by name."""

    value: bytes
    version: Version
    metadata: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Revision:
    """One write of one key; `value` is None for a delete."""

    version: Version
    value: VersionedValue | None
    transaction_id: str
    timestamp_nanoseconds: int


@dataclass(frozen=True, slots=True)
class Update(Generic[Key]):
    """One key's new value, or None to delete it; `purge` also forgets what it was before."""

    key: Key
    value: VersionedValue | None
    purge: bool = False


@dataclass(slots=True)
class TransactionUpdates:
    """What one valid transaction changes: public state by namespace, the others by namespace and collection."""

    version: Version
    transaction_id: str = ""
    timestamp_nanoseconds: int = 0
    public: dict[str, list[Update[str]]] = field(default_factory=dict)
    hashed: dict[tuple[str, str], list[Update[bytes]]] = field(default_factory=dict)
    private: dict[tuple[str, str], list[Update[str]]] = field(default_factory=dict)


class Table(Generic[Key]):
    """Sorted keys with their revisions."""

    __slots__ = ("_keys", "_revisions")

    def __init__(self) -> None:
        self._keys: list[Key] = []
        self._revisions: dict[Key, list[Revision]] = {}

    def write(self, key: Key, revision: Revision, *, purge: bool = False) -> None:
        """Append a revision; with `purge` the earlier ones are forgotten."""
        revisions = self._revisions.get(key)
        if revisions is None:
            insort(self._keys, key)
            self._revisions[key] = [revision]
            return
        if purge:
            revisions.clear()
        revisions.append(revision)

    def get(self, key: Key, height: int) -> VersionedValue | None:
        """Read a key as of the given number of committed blocks."""
        for revision in reversed(self._revisions.get(key, ())):
            if revision.version.block_number < height:
                return revision.value
        return None

    def scan(self, start: Key, end: Key, height: int) -> Iterator[tuple[Key, VersionedValue]]:
        """Iterate keys from `start` (inclusive) to `end` (exclusive, empty for the last one) as of a height."""
        position = bisect_left(self._keys, start)
        while position < len(self._keys):
            key = self._keys[position]
            if end and key >= end:
                return
            value = self.get(key, height)
            if value is not None:
                yield key, value
            # New keys may have been inserted before this one while the caller was away.
            position = bisect_left(self._keys, key) + 1

    def history(self, key: Key, height: int) -> list[Revision]:
        """List the revisions of a key as of a height, newest first."""
        return [
            r for r in reversed(self._revisions.get(key, ())) if r.transaction_id and r.version.block_number < height
        ]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state as it was when `height` blocks were committed."""

    state: StateDB
    height: int

    def get(self, namespace: str, key: str) -> VersionedValue | None:
        """Read a public value."""
        table = self.state.public.get(namespace)
        return table.get(key, self.height) if table else None

    def scan(self, namespace: str, start: str = "", end: str = "") -> Iterator[tuple[str, VersionedValue]]:
        """Iterate public values from `start` (inclusive) to `end` (exclusive; empty: to the end of the namespace)."""
        table = self.state.public.get(namespace)
        return table.scan(start, end, self.height) if table else iter(())

    def history(self, namespace: str, key: str) -> list[Revision]:
        """List the writes of a public key by valid transactions, newest first."""
        table = self.state.public.get(namespace)
        return table.history(key, self.height) if table else []

    def get_hashed(self, namespace: str, collection: str, key_hash: bytes) -> VersionedValue | None:
        """Read the SHA-256 of a private value by the SHA-256 of its key."""
        table = self.state.hashed.get((namespace, collection))
        return table.get(key_hash, self.height) if table else None

    def get_private(self, namespace: str, collection: str, key: str) -> VersionedValue | None:
        """Read a private value, None when absent or not held by this peer."""
        table = self.state.private.get((namespace, collection))
        return table.get(key, self.height) if table else None

    def scan_private(
        self, namespace: str, collection: str, start: str = "", end: str = ""
    ) -> Iterator[tuple[str, VersionedValue]]:
        """Iterate the private values held by this peer, bounds as in `scan`."""
        table = self.state.private.get((namespace, collection))
        return table.scan(start, end, self.height) if table else iter(())


class StateDB:
    """All state of one channel on one peer; grows by whole blocks."""

    def __init__(self) -> None:
        self.public: dict[str, Table[str]] = {}
        self.hashed: dict[tuple[str, str], Table[bytes]] = {}
        self.private: dict[tuple[str, str], Table[str]] = {}
        self.height = 0

    def snapshot(self, height: int | None = None) -> Snapshot:
        """Freeze the state as of a height, by default the current one."""
        return Snapshot(self, self.height if height is None else height)

    def apply(self, block_number: int, updates: Iterable[TransactionUpdates]) -> None:
        """Write the updates of one block's valid transactions, in their order, and move the height past it."""
        for update in updates:
            _write(self.public, update.public, update)
            _write(self.hashed, update.hashed, update)
            _write(self.private, update.private, update)
        self.height = block_number + 1

    def load(
        self,
        public: Mapping[str, list[Update[str]]],
        hashed: Mapping[tuple[str, str], list[Update[bytes]]],
        block_number: int,
    ) -> None:
        """Fill the empty state with values as of a block; how they came about is not known."""
        for namespace, updates in public.items():
            for each in updates:
                _write(self.public, {namespace: [each]}, TransactionUpdates(_version(each)))
        for place, hashes in hashed.items():
            for one in hashes:
                _write(self.hashed, {place: [one]}, TransactionUpdates(_version(one)))
        self.height = block_number + 1

    def dump(self) -> tuple[dict[str, list[Update[str]]], dict[tuple[str, str], list[Update[bytes]]]]:
        """Return every public value by namespace, and every hashed one by namespace and collection."""
        public = {name: _values(table, self.height, "") for name, table in self.public.items()}
        hashed = {name: _values(table, self.height, b"") for name, table in self.hashed.items()}
        return public, hashed


def _values(table: Table[Key], height: int, start: Key) -> list[Update[Key]]:
    return [Update(key, value) for key, value in table.scan(start, start, height)]


def _version(update: Update[str] | Update[bytes]) -> Version:
    return update.value.version if update.value else Version(0, 0)


Name = TypeVar("Name", str, "tuple[str, str]")


def _write(
    tables: dict[Name, Table[Key]], changes: Mapping[Name, list[Update[Key]]], transaction: TransactionUpdates
) -> None:
    for name, updates in changes.items():
        table = tables.get(name)
        if table is None:
            table = tables[name] = Table()
        for update in updates:
            revision = Revision(
                transaction.version, update.value, transaction.transaction_id, transaction.timestamp_nanoseconds
            )
            table.write(update.key, revision, purge=update.purge)


def key_hash(key: str) -> bytes:
    """Hash a private key or collection key as Fabric does: SHA-256 of its UTF-8 bytes."""
    return hashlib.sha256(key.encode()).digest()

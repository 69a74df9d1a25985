"""The commit hash: a running SHA-256 over what each block changed, equal on peers whose state is equal. Pure.

Source: core/ledger/kvledger (kv_ledger.go, txmgmt/txmgr/commit_hash.go). Private values are not part of it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fabric_devnet.embedded.statedb import TransactionUpdates, Update, Version

    # By key: the value (None: deleted) and who wrote it.
    _Written = dict[bytes, tuple[bytes | None, Version]]

# Field numbers of Fabric's internal message: namespace, collection, key, is_delete, value, version.
_NAMESPACE, _COLLECTION, _KEY, _IS_DELETE, _VALUE, _VERSION = range(1, 7)


def commit_hash(previous: bytes, codes: bytes, updates: Sequence[TransactionUpdates]) -> bytes:
    """Return the commit hash of a block with these validation codes and updates of its valid transactions."""
    return hashlib.sha256(_varint(len(codes)) + codes + _updates_bytes(updates) + previous).digest()


def _updates_bytes(updates: Sequence[TransactionUpdates]) -> bytes:
    public: dict[str, _Written] = {}
    hashed: dict[str, dict[str, _Written]] = {}
    for transaction in updates:
        for namespace, changes in transaction.public.items():
            place = public.setdefault(namespace, {})
            place.update({each.key.encode(): (_value(each), transaction.version) for each in changes})
        for (namespace, collection), hashes in transaction.hashed.items():
            place = hashed.setdefault(namespace, {}).setdefault(collection, {})
            place.update({each.key: (_value(each), transaction.version) for each in hashes})
    writes: list[bytes] = []
    for namespace in sorted(public.keys() | hashed.keys()):
        writes += _in_namespace(namespace, public.get(namespace, {}), hashed.get(namespace, {}))
    return b"".join(_field(1, write) for write in writes)


def _value(change: Update[str] | Update[bytes]) -> bytes | None:
    return None if change.value is None else change.value.value


def _in_namespace(namespace: str, public: _Written, hashed: Mapping[str, _Written]) -> Iterator[bytes]:
    # Only the first write of a namespace, and of a collection, names it.
    name = _field(_NAMESPACE, namespace.encode())
    for write in _writes(public):
        yield name + write
        name = b""
    for collection in sorted(hashed):
        name += _field(_COLLECTION, collection.encode())
        for write in _writes(hashed[collection]):
            yield name + write
            name = b""


def _writes(written: _Written) -> Iterator[bytes]:
    for key in sorted(written):
        value, version = written[key]
        encoded = _field(_KEY, key)
        if value is None:
            encoded += _varint(_IS_DELETE << 3) + _varint(1)
        else:
            encoded += _field(_VALUE, value)
        place = _ordered(version.block_number) + _ordered(version.transaction_number)
        yield encoded + _field(_VERSION, place)


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value if value else b""


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits in a byte, the eighth says that more follow
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _ordered(value: int) -> bytes:
    """Encode a number so that the bytes sort as the numbers do (fabric: common/ledger/util)."""
    digits = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return bytes([len(digits)]) + digits

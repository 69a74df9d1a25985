"""What a range query read, in the form the read set carries: the reads themselves, or a Merkle summary of many.

Pure. Source of the summary: Fabric's core/ledger/kvledger/txmgmt/rwsetutil (query results).
"""

from __future__ import annotations

import hashlib

from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2 as kvrwset

MAX_DEGREE = 50
_LEAF_LEVEL = 1


class RangeReads:
    """Collects the reads of one range query; from `max_degree` reads on only hashes of them are kept."""

    def __init__(self, max_degree: int = MAX_DEGREE, *, hashing: bool = True) -> None:
        self._max_degree = max_degree
        self._hashing = hashing
        self._pending: list[kvrwset.KVRead] = []
        self._levels: dict[int, list[bytes]] = {}
        self._top = _LEAF_LEVEL

    def add(self, read: kvrwset.KVRead) -> None:
        """Append one read in key order."""
        self._pending.append(read)
        if self._hashing and len(self._pending) > self._max_degree:
            self._fold()

    def write_to(self, info: kvrwset.RangeQueryInfo) -> None:
        """Set the reads or their summary on a range query of the read set; nothing is set when nothing was read."""
        if not self._levels:
            if self._pending:
                info.raw_reads.kv_reads.extend(self._pending)
            return
        if self._pending:
            self._fold()
        self._close()
        info.reads_merkle_hashes.max_degree = self._max_degree
        info.reads_merkle_hashes.max_level = self._top
        info.reads_merkle_hashes.max_level_hashes.extend(self._levels[self._top])

    def _fold(self) -> None:
        leaf = hashlib.sha256(kvrwset.QueryReads(kv_reads=self._pending).SerializeToString()).digest()
        self._pending = []
        level = _LEAF_LEVEL
        self._levels.setdefault(level, []).append(leaf)
        while len(self._levels[level]) > self._max_degree:
            combined = _combine(self._levels.pop(level))
            level += 1
            self._levels.setdefault(level, []).append(combined)
            self._top = max(self._top, level)

    def _close(self) -> None:
        for level in range(_LEAF_LEVEL, self._top):
            hashes = self._levels.pop(level, [])
            if hashes:
                self._levels.setdefault(level + 1, []).append(hashes[0] if len(hashes) == 1 else _combine(hashes))
        if len(self._levels[self._top]) > self._max_degree:
            combined = _combine(self._levels.pop(self._top))
            self._top += 1
            self._levels[self._top] = [combined]


def _combine(hashes: list[bytes]) -> bytes:
    return hashlib.sha256(b"".join(hashes)).digest()

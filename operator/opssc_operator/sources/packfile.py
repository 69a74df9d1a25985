"""Reading the objects of a git pack that anybody may have made: every size is checked before it is unpacked.

``git-scm.com/docs/pack-format``. dulwich knows the format; the limits are ours.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from typing import Final

from dulwich.errors import ApplyDeltaError
from dulwich.pack import OFS_DELTA, REF_DELTA, apply_delta, read_pack_header_at, take_msb_bytes_at, unpack_object_at

from opssc_operator.sources.failures import Unavailable

MAX_OBJECTS: Final = 200_000
MAX_UNPACKED_BYTES: Final = 256 * 1024 * 1024
MAX_DELTA_DEPTH: Final = 4096
_NAMES: Final = {1: b"commit", 2: b"tree", 3: b"blob", 4: b"tag"}
_NUMBER_BYTES: Final = 10
"""The longest number of a pack that is read; more would only cost time."""
_HEADER_BYTES, _CHECKSUM_BYTES = 12, 20


@dataclass(frozen=True, slots=True)
class GitObject:
    """An object with git's name of its type."""

    type: bytes
    content: bytes


@dataclass(frozen=True, slots=True)
class _Delta:
    base: int | bytes
    content: bytes


def read_pack(pack: bytes, *, limit: int = MAX_UNPACKED_BYTES) -> dict[bytes, GitObject]:
    """Every object by its hex SHA-1, computed here; raises Unavailable.

    Nothing about a pack is final: another server, or the same one later, may send the same commit in another pack.
    """
    try:
        return _Reader(pack, limit).read()
    except (AssertionError, ValueError, IndexError, KeyError, zlib.error, ApplyDeltaError) as exc:
        raise Unavailable(f"the repository sends a pack that cannot be read: {exc}") from exc


class _Reader:
    def __init__(self, pack: bytes, limit: int) -> None:
        self._pack = pack
        self._left = limit
        self._at: dict[int, GitObject] = {}
        self._deltas: dict[int, _Delta] = {}
        self._named: dict[bytes, GitObject] = {}

    def read(self) -> dict[bytes, GitObject]:
        _, count = read_pack_header_at(self._pack, 0)
        if count > MAX_OBJECTS:
            raise Unavailable(f"the commit has more than {MAX_OBJECTS} objects")
        body = memoryview(self._pack)[:-_CHECKSUM_BYTES]
        if hashlib.sha1(body, usedforsecurity=False).digest() != self._pack[-_CHECKSUM_BYTES:]:
            raise Unavailable("the repository sends a damaged pack")
        offset = _HEADER_BYTES
        for _ in range(count):
            offset = self._take(offset)
        self._resolve()
        return self._named

    def _take(self, offset: int) -> int:
        raw, after = _number(self._pack, offset)
        if (raw[0] >> 4) & 0x07 == OFS_DELTA:
            _number(self._pack, after)
        size = raw[0] & 0x0F
        for position, byte in enumerate(raw[1:]):
            size += (byte & 0x7F) << (4 + 7 * position)
        self._spend(size)
        unpacked, end = unpack_object_at(self._pack, offset, hashlib.sha1)
        content = b"".join(unpacked.decomp_chunks)
        kind, base = unpacked.pack_type_num, unpacked.delta_base
        if kind == OFS_DELTA and isinstance(base, int):
            self._deltas[offset] = _Delta(offset - base, content)
        elif kind == REF_DELTA and isinstance(base, bytes):
            self._deltas[offset] = _Delta(base.hex().encode(), content)
        else:
            self._keep(offset, GitObject(_NAMES[kind], content))
        return end

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise Unavailable("the commit unpacks to more than is allowed")

    def _keep(self, offset: int, found: GitObject) -> None:
        header = b"%s %d\0" % (found.type, len(found.content))
        name = hashlib.sha1(header + found.content, usedforsecurity=False).hexdigest().encode()
        self._at[offset] = self._named[name] = found

    def _resolve(self) -> None:
        """Apply deltas whose base is known, until none is left; a chain is resolved one link per turn."""
        waiting = self._deltas
        for _ in range(MAX_DELTA_DEPTH):
            if not waiting:
                return
            still: dict[int, _Delta] = {}
            for offset, delta in waiting.items():
                base = self._at.get(delta.base) if isinstance(delta.base, int) else self._named.get(delta.base)
                if base is None:
                    still[offset] = delta
                else:
                    self._keep(offset, GitObject(base.type, self._apply(base.content, delta.content)))
            if len(still) == len(waiting):
                break
            waiting = still
        raise Unavailable("the repository sends differences to objects it does not send")

    def _apply(self, base: bytes, delta: bytes) -> bytes:
        _, position = _number(delta, 0)
        raw, _ = _number(delta, position)
        self._spend(sum((byte & 0x7F) << (7 * index) for index, byte in enumerate(raw)))
        return b"".join(apply_delta(base, delta))


def _number(data: bytes, offset: int) -> tuple[list[int], int]:
    """The bytes of a number whose last one has no high bit, and where it ends."""
    raw, length, _ = take_msb_bytes_at(data[offset : offset + _NUMBER_BYTES], 0)
    return raw, offset + length

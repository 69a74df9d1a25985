"""gzip, read lazily and bounded like Go reads it, and written without a compressor.

Fabric's checks depend on reading no further than needed: a damaged trailer after the last byte asked for goes unseen.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

from fabric_admin.errors import PackageError

MAX_STORED_BLOCK: Final = 0xFFFF
MAX_MEMBERS: Final = 1000
FIXED_HEADER: Final = bytes.fromhex("1f8b08000000000000ff")
"""No name, no time, no compression hint, unknown operating system."""

_HEADER_BYTES: Final = 10
_TRAILER_BYTES: Final = 8
_HAS_CRC, _HAS_EXTRA, _HAS_NAME, _HAS_COMMENT = 0x02, 0x04, 0x08, 0x10
_CHUNK: Final = 1 << 16


def write_stored(data: bytes) -> bytes:
    """Return ``data`` as gzip in stored blocks: the same bytes on every machine and zlib."""
    blocks = [data[start : start + MAX_STORED_BLOCK] for start in range(0, len(data), MAX_STORED_BLOCK)] or [b""]
    parts = [FIXED_HEADER]
    for number, block in enumerate(blocks, start=1):
        last = number == len(blocks)
        parts.append(struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF) + block)
    parts.append(struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF))
    return b"".join(parts)


class GzipReader:
    """Reads the content of gzip bytes step by step; raises PackageError with Go's words."""

    def __init__(self, data: bytes, max_bytes: int) -> None:
        """Read the first header; ``max_bytes`` bounds what may ever be unpacked."""
        self._data = data
        self._position = 0
        self._left = max_bytes
        self._pending = b""
        self._crc = self._size = self._members = 0
        self._start_member()

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes, or fewer only at the end of the last member."""
        parts = []
        missing = size
        while missing > 0:
            chunk = self._some(min(missing, _CHUNK))
            if not chunk:
                break
            parts.append(chunk)
            missing -= len(chunk)
        return b"".join(parts)

    def _some(self, size: int) -> bytes:
        while True:
            if self._inflater.eof:
                if not self._next_member():
                    return b""
                continue
            chunk = self._inflate(size)
            if chunk:
                self._left -= len(chunk)
                if self._left < 0:
                    raise PackageError("the archive unpacks to more than is allowed")
                self._crc = zlib.crc32(chunk, self._crc)
                self._size += len(chunk)
                return chunk

    def _inflate(self, size: int) -> bytes:
        if not self._pending:
            self._pending = self._data[self._position : self._position + _CHUNK]
            self._position += len(self._pending)
            exhausted = not self._pending
        else:
            exhausted = False
        try:
            chunk = self._inflater.decompress(self._pending, size)
        except zlib.error as exc:
            raise PackageError(f"flate: corrupt input: {exc}") from exc
        self._pending = self._inflater.unconsumed_tail
        if self._inflater.eof:
            self._position -= len(self._inflater.unused_data)
            self._pending = b""
        elif exhausted and not chunk:
            raise PackageError("unexpected EOF")
        return chunk

    def _next_member(self) -> bool:
        """Check the trailer and go on to the next member, if there is one."""
        trailer = self._take(_TRAILER_BYTES)
        if struct.unpack("<II", trailer) != (self._crc, self._size & 0xFFFFFFFF):
            raise PackageError("gzip: invalid checksum")
        if self._position >= len(self._data):
            return False
        self._start_member()
        return True

    def _start_member(self) -> None:
        if self._position >= len(self._data):
            raise PackageError("EOF")
        self._members += 1
        if self._members > MAX_MEMBERS:
            raise PackageError(f"the archive has more than {MAX_MEMBERS} gzip members")
        header = self._take(_HEADER_BYTES)
        if header[:3] != FIXED_HEADER[:3]:
            raise PackageError("gzip: invalid header")
        flags = header[3]
        if flags & _HAS_EXTRA:
            self._take(int.from_bytes(self._take(2), "little"))
        for flag in (_HAS_NAME, _HAS_COMMENT):
            if flags & flag:
                end = self._data.find(b"\0", self._position)
                if end < 0:
                    raise PackageError("unexpected EOF")
                self._position = end + 1
        if flags & _HAS_CRC:
            self._take(2)
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._crc, self._size = 0, 0

    def _take(self, size: int) -> bytes:
        taken = self._data[self._position : self._position + size]
        if len(taken) < size:
            raise PackageError("unexpected EOF")
        self._position += size
        return taken

"""tar inside gzip: read the way Go's ``archive/tar`` does, written the same on every machine.

Must not know what is in an archive. Contents are bounded, nothing is ever unpacked to disk.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from fabric_admin.errors import PackageError
from fabric_admin.gzipstream import GzipReader, write_stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REGULAR: Final = ord("0")
DIRECTORY: Final = ord("5")
MAX_ENTRIES: Final = 10_000

_BLOCK: Final = 512
_ZERO: Final = bytes(_BLOCK)
_CHECKSUM: Final = slice(148, 156)
_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL = ord("L"), ord("K"), ord("x"), ord("g")
_HAS_NO_CONTENT: Final = frozenset(b"123456")
_OLD_REGULAR: Final = 0
_MAX_SIZE_DIGITS: Final = 20
_MAX_NAME: Final = 100
_MAX_PREFIX: Final = 155
_MAX_PATH: Final = 4096
_MAX_SPECIAL_BYTES: Final = 1 << 20
_MAX_LENGTH_DIGITS: Final = 9
_OCTAL: Final = re.compile(rb"[0-7]*")
_BAD_HEADER: Final = "archive/tar: invalid tar header"


def write(files: Mapping[str, bytes]) -> bytes:
    """Return the files as ``.tar.gz``: ustar, pax for long paths, entries sorted, no owner, no time, stored blocks."""
    parts = []
    for name in sorted(files, key=lambda each: each.encode()):
        content = files[name]
        parts += [*_headers(name, len(content)), content, bytes(-len(content) % _BLOCK)]
    return write_stored(b"".join((*parts, _ZERO, _ZERO)))


def open_archive(data: bytes, max_bytes: int) -> ArchiveReader:
    """Return a reader of gzip'd tar bytes; raises PackageError when they do not even start as gzip."""
    return ArchiveReader(GzipReader(data, max_bytes))


class ArchiveReader:
    """Yields entries in order; raises PackageError with Go's words."""

    def __init__(self, source: GzipReader) -> None:
        self._source = source
        self._entries = self._special = 0

    def __iter__(self) -> Iterator[Header]:
        """Yield each header; its content must be asked for, or is skipped."""
        while (header := self._next()) is not None:
            self._count_entry()
            yield header
            header.skip()

    def _count_entry(self) -> None:
        self._entries += 1
        if self._entries > MAX_ENTRIES:
            raise PackageError(f"the archive has more than {MAX_ENTRIES} entries")

    def _count_special(self) -> None:
        """Bound the headers that only describe the next entry, of which Go allows any number."""
        self._special += 1
        if self._special > 2 * MAX_ENTRIES:
            raise PackageError(f"the archive has more than {2 * MAX_ENTRIES} extended headers")

    def _next(self) -> Header | None:
        overrides: dict[str, str] = {}
        while True:
            block = self._read_header_block()
            if block is None:
                return None
            header = _parse_header(block, self._source)
            if header.type not in (_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL):
                return header.renamed(overrides)
            self._count_special()
            if header.size > _MAX_SPECIAL_BYTES:
                raise PackageError("archive/tar: header field too long")
            content = header.read()
            header.skip()
            if header.type == _LONG_NAME:
                overrides["path"] = content.split(b"\0", 1)[0].decode("utf-8", "replace")
            elif header.type == _PAX:
                overrides |= _pax_records(content)
            elif header.type == _PAX_GLOBAL:
                # Go returns a global header as an entry of its own, so callers see (and may refuse) its type.
                return Header("pax_global_header", _PAX_GLOBAL, 0, self._source)

    def _read_header_block(self) -> bytes | None:
        block = self._source.read(_BLOCK)
        if not block:
            return None
        if len(block) < _BLOCK:
            raise PackageError("unexpected EOF")
        if block != _ZERO:
            return block
        second = self._source.read(_BLOCK)
        if second and second != _ZERO:
            raise PackageError(_BAD_HEADER if len(second) == _BLOCK else "unexpected EOF")
        return None


class Header:
    """One entry whose content has not been read yet."""

    def __init__(self, name: str, type_flag: int, size: int, source: GzipReader) -> None:
        self.name = name
        self.size = size
        self.type = type_flag
        if type_flag == _OLD_REGULAR:
            self.type = DIRECTORY if name.endswith("/") else REGULAR
        self._raw_type = type_flag
        self._source = source
        self._unread = 0 if type_flag in _HAS_NO_CONTENT else size
        self._padding = -self._unread % _BLOCK

    def renamed(self, overrides: Mapping[str, str]) -> Header:
        """Return the entry with what extended headers say about it."""
        size = overrides.get("size", str(self.size))
        if not (size.isascii() and size.isdecimal() and len(size) < _MAX_SIZE_DIGITS):
            raise PackageError(_BAD_HEADER)
        return Header(overrides.get("path", self.name), self._raw_type, int(size), self._source)

    def read(self) -> bytes:
        """Return the content; raises PackageError when the archive ends inside it."""
        content = self._source.read(self._unread)
        if len(content) < self._unread:
            raise PackageError("unexpected EOF")
        self._unread = 0
        return content

    def skip(self) -> None:
        """Go to the next header."""
        rest = self._unread + self._padding
        self._unread = self._padding = 0
        if len(self._source.read(rest)) < rest:
            raise PackageError("unexpected EOF")


def _parse_header(block: bytes, source: GzipReader) -> Header:
    unsigned = sum(block) - sum(block[_CHECKSUM]) + 8 * ord(" ")
    signed = unsigned - 256 * sum(1 for byte in block[:148] + block[156:] if byte > 0x7F)  # noqa: PLR2004 - int8
    if _number(block[_CHECKSUM]) not in (unsigned, signed):
        raise PackageError(_BAD_HEADER)
    name = _text(block[:100])
    if block[257:263] == b"ustar\0" and block[345]:
        name = f"{_text(block[345:500])}/{name}"
    return Header(name, block[156], _number(block[124:136]), source)


def _number(field: bytes) -> int:
    """Read an octal field, or a base-256 one of GNU tar."""
    if field[0] & 0x80:
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        if field[0] & 0x40:
            raise PackageError(_BAD_HEADER)
        return value
    digits = field.strip(b" \0")
    if not _OCTAL.fullmatch(digits):
        raise PackageError(_BAD_HEADER)
    return int(digits, 8) if digits else 0


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")


def _pax_records(content: bytes) -> dict[str, str]:
    """Read records of the form ``<length> <key>=<value>``, each closed by a newline that the length counts."""
    found: dict[str, str] = {}
    position = 0
    while position < len(content):
        length, space, _ = content[position : position + _MAX_LENGTH_DIGITS].partition(b" ")
        end = position + (int(length) if length.isdigit() else 0)
        record = content[position + len(length) + 1 : end]
        key, equals, value = record.partition(b"=")
        if not space or not equals or not key or end > len(content) or not record.endswith(b"\n"):
            raise PackageError(_BAD_HEADER)
        found[key.decode("utf-8", "replace")] = value[:-1].decode("utf-8", "replace")
        position = end
    return found


def _headers(name: str, size: int) -> list[bytes]:
    """The header of a file, after an extended one when its path does not fit."""
    split = _split_name(name)
    if split is not None:
        return [_header(split, size)]
    encoded = name.encode()
    if len(encoded) > _MAX_PATH:
        raise PackageError(f"path {name[:100]}... is too long for a package")
    length = len(encoded) + len(b" path=\n")
    length += len(str(length + len(str(length))))
    record = b"%d path=%s\n" % (length, encoded)
    extended = _header((b"", b"PaxHeaders.0/long"), len(record), _PAX)
    return [extended, record, bytes(-len(record) % _BLOCK), _header((b"", encoded[-_MAX_NAME:]), size)]


def _header(split: tuple[bytes, bytes], size: int, type_flag: int = REGULAR) -> bytes:
    prefix, short = split
    block = bytearray(_BLOCK)
    for offset, field in (
        (0, short),
        (100, b"0000644\0"),
        (108, b"0000000\0"),
        (116, b"0000000\0"),
        (124, b"%011o\0" % size),
        (136, b"00000000000\0"),
        (148, b" " * 8),
        (156, bytes([type_flag])),
        (257, b"ustar\x0000"),
        (329, b"0000000\0"),
        (337, b"0000000\0"),
        (345, prefix),
    ):
        block[offset : offset + len(field)] = field
    block[_CHECKSUM] = b"%06o\0 " % sum(block)
    return bytes(block)


def _split_name(name: str) -> tuple[bytes, bytes] | None:
    """Return (prefix, name) for ustar's two fields; None when it does not fit."""
    encoded = name.encode()
    if len(encoded) <= _MAX_NAME:
        return b"", encoded
    cut = encoded.rfind(b"/", 0, _MAX_PREFIX + 1)
    if cut <= 0 or not 0 < len(encoded) - cut - 1 <= _MAX_NAME:
        return None
    return encoded[:cut], encoded[cut + 1 :]

"""The few bytes of ASN.1 DER that Fabric hashes and compares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_LONG_TAG: Final = 0x1F
_MAX_LENGTH_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Element:
    """One element: all its bytes, and those after tag and length."""

    raw: bytes
    content: bytes


def encode(tag: int, content: bytes) -> bytes:
    """Return one element with the shortest length."""
    size = len(content)
    if size < 0x80:  # noqa: PLR2004 - DER's short form
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def elements(data: bytes) -> list[Element]:
    """Split DER into its elements; raises ValueError where they do not fill ``data`` exactly."""
    found = []
    position = 0
    while position < len(data):
        start, size = _content(data, position)
        if start + size > len(data):
            raise ValueError("asn1: syntax error: data truncated")
        found.append(Element(data[position : start + size], data[start : start + size]))
        position = start + size
    return found


def _content(data: bytes, position: int) -> tuple[int, int]:
    """Return where an element's content starts, and its size."""
    if data[position] & _LONG_TAG == _LONG_TAG:
        raise ValueError("asn1: structure error: a tag of several bytes")
    header = data[position + 1 : position + 2 + _MAX_LENGTH_BYTES]
    if not header:
        raise ValueError("asn1: syntax error: data truncated")
    count = header[0] & 0x7F if header[0] & 0x80 else 0
    if count > _MAX_LENGTH_BYTES or len(header) <= count:
        raise ValueError("asn1: structure error: length too large")
    return position + 2 + count, int.from_bytes(header[1 : 1 + count], "big") if count else header[0]

"""The few bytes of ASN.1 DER that Fabric hashes and compares; must not be used on unchecked input."""

from __future__ import annotations

from dataclasses import dataclass


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
    """Split DER that a real parser has already accepted into its elements."""
    found = []
    position = 0
    while position < len(data):
        size = data[position + 1]
        start = position + 2
        if size & 0x80:
            start += size & 0x7F
            size = int.from_bytes(data[position + 2 : start], "big")
        found.append(Element(data[position : start + size], data[start : start + size]))
        position = start + size
    return found

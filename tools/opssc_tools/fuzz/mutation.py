"""Damage that keeps most of a structure: protobuf fields, PEM and gzip are opened, hurt inside, and closed again.

Pure: the same random numbers give the same damage. Must not know what the bytes mean.
"""

from __future__ import annotations

import base64
import gzip
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

MAX_BYTES: Final = 1 << 18
MAX_NESTING: Final = 200
_VARINT_BITS: Final = 7
_MAX_VARINT: Final = 10
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_PEM: Final = re.compile(rb"\A(-----BEGIN [^\n]*-----\n)(.*?)(\n-----END [^\n]*-----\n?)\Z", re.DOTALL)
_GZIP: Final = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message: its number, wire type, and what follows the tag (without the length)."""

    number: int
    kind: int
    content: bytes


def mutate(data: bytes, random: Random, others: Sequence[bytes] = ()) -> bytes:
    """Return damaged bytes, `MAX_BYTES` at most; `others` are pieces to splice in."""
    return _damage(data, random, others, 0)[:MAX_BYTES]


def read_fields(data: bytes) -> list[Field] | None:
    """Return the fields of a protobuf message, None when the bytes are no message or an empty one."""
    found: list[Field] = []
    position = 0
    while position < len(data):
        tag = _read_varint(data, position)
        if tag is None or tag[0] >> 3 == 0:
            return None
        number, kind, start = tag[0] >> 3, tag[0] & 7, tag[1]
        end = _end_of(data, kind, start)
        if end is None or end[1] > len(data):
            return None
        found.append(Field(number, kind, data[end[0] : end[1]]))
        position = end[1]
    return found or None


def write_fields(fields: Sequence[Field]) -> bytes:
    """Return the message with these fields."""
    parts = []
    for field in fields:
        length = _varint(len(field.content)) if field.kind == _BYTES else b""
        parts.append(_varint(field.number << 3 | field.kind) + length + field.content)
    return b"".join(parts)


def _damage(data: bytes, random: Random, others: Sequence[bytes], depth: int) -> bytes:
    if depth < MAX_NESTING and random.random() < 0.85:  # noqa: PLR2004 - mostly keep the structure
        opened = _damage_inside(data, random, others, depth)
        if opened is not None:
            return opened
    return random.choice(_PLAIN)(data, random, others)


def _damage_inside(data: bytes, random: Random, others: Sequence[bytes], depth: int) -> bytes | None:
    """Damage what a known wrapping holds; None when there is none."""
    try:
        pem = _PEM.match(data)
        if pem is not None:
            body = _damage(base64.b64decode(pem[2]), random, others, depth + 1)
            return pem[1] + base64.encodebytes(body).rstrip() + pem[3]
        if data.startswith(_GZIP):
            return gzip.compress(_damage(gzip.decompress(data), random, others, depth + 1), 1)
    except (OSError, EOFError, ValueError, zlib.error):
        return None
    fields = read_fields(data)
    if fields is None:
        return None
    index = random.randrange(len(fields))
    field = fields[index]
    if field.kind == _BYTES and random.random() < 0.75:  # noqa: PLR2004 - deeper rather than here
        fields[index] = Field(field.number, _BYTES, _damage(field.content, random, others, depth + 1))
        return write_fields(fields)
    return write_fields(random.choice(_FIELDS)(fields, index, random))


def _flip(data: bytes, random: Random, _others: Sequence[bytes]) -> bytes:
    hurt = bytearray(data or b"\0")
    for _ in range(random.randint(1, 4)):
        hurt[random.randrange(len(hurt))] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
    return bytes(hurt)


def _cut(data: bytes, random: Random, _others: Sequence[bytes]) -> bytes:
    return data[: random.randint(0, len(data))]


def _repeat(data: bytes, random: Random, _others: Sequence[bytes]) -> bytes:
    start = random.randint(0, len(data))
    end = random.randint(start, min(len(data), start + 400))
    return data[:start] + data[start:end] * random.choice((2, 3, 100)) + data[end:]


def _splice(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    other = random.choice(others) if others else data
    start = random.randint(0, len(data))
    return data[:start] + other[random.randint(0, len(other)) :]


def _fill(data: bytes, random: Random, _others: Sequence[bytes]) -> bytes:
    return data + bytes([random.choice((0, 0x41, 0x0A, 0x2E, 0xFF))]) * random.choice((1, 1000, 100_000))


def _duplicate(fields: list[Field], index: int, random: Random) -> list[Field]:
    return [*fields[:index], *[fields[index]] * random.choice((2, 3, 60)), *fields[index:]]


def _drop(fields: list[Field], index: int, _random: Random) -> list[Field]:
    return [*fields[:index], *fields[index + 1 :]]


def _renumber(fields: list[Field], index: int, random: Random) -> list[Field]:
    field = fields[index]
    return [*fields[:index], Field(random.randint(1, 20), field.kind, field.content), *fields[index + 1 :]]


def _swap(fields: list[Field], index: int, random: Random) -> list[Field]:
    field, other = fields[index], random.choice(fields)
    return [*fields[:index], Field(field.number, other.kind, other.content), *fields[index + 1 :]]


def _number(fields: list[Field], index: int, random: Random) -> list[Field]:
    value = random.choice((0, 1, 7, 99, (1 << 31) - 1, 1 << 31, (1 << 63) - 1, (1 << 64) - 1))
    return [*fields[:index], Field(fields[index].number, _VARINT, _varint(value)), *fields[index + 1 :]]


def _nest(fields: list[Field], index: int, random: Random) -> list[Field]:
    """Put the whole message inside itself, again and again."""
    number = fields[index].number
    inner = write_fields(fields)
    for _ in range(random.choice((1, 10, 60, MAX_NESTING))):
        if len(inner) > MAX_BYTES:
            break
        inner = write_fields([Field(number, _BYTES, inner)])
    return [Field(number, _BYTES, inner)]


_PLAIN: Final[Sequence[Callable[[bytes, Random, Sequence[bytes]], bytes]]] = (
    _flip,
    _flip,
    _cut,
    _repeat,
    _splice,
    _fill,
)
_FIELDS: Final[Sequence[Callable[[list[Field], int, Random], list[Field]]]] = (
    _duplicate,
    _drop,
    _renumber,
    _swap,
    _number,
    _nest,
)


def _read_varint(data: bytes, position: int) -> tuple[int, int] | None:
    value = 0
    for count, byte in enumerate(data[position : position + _MAX_VARINT]):
        value |= (byte & 0x7F) << (_VARINT_BITS * count)
        if not byte & 0x80:
            return value, position + count + 1
    return None


def _end_of(data: bytes, kind: int, start: int) -> tuple[int, int] | None:
    """Return where a field's content starts and ends; None for a wire type nobody uses."""
    if kind == _VARINT:
        value = _read_varint(data, start)
        return None if value is None else (start, value[1])
    if kind == _BYTES:
        length = _read_varint(data, start)
        return None if length is None else (length[1], length[1] + length[0])
    size = {_FIXED64: 8, _FIXED32: 4}.get(kind)
    return None if size is None else (start, start + size)


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits in each byte
        parts.append(value & 0x7F | 0x80)
        value >>= _VARINT_BITS
    parts.append(value)
    return bytes(parts)

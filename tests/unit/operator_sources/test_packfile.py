"""Packs that anybody may have made: read within limits, or refused with one kind of error."""

from __future__ import annotations

import contextlib
import hashlib
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opssc_operator.sources.failures import FetchError, Unavailable
from opssc_operator.sources.gittree import read_commit
from opssc_operator.sources.packfile import GitObject, read_pack
from opssc_operator.sources.pktline import PackReceiver, line

BLOB, OFS_DELTA = 3, 6


def sized(number: int, first_bits: int = 7, first: int = 0) -> bytes:
    """A size as git writes it, seven bits at a time; `first` are the bits above those of the first byte."""
    byte, rest = first | (number & ((1 << first_bits) - 1)), number >> first_bits
    parts = []
    while rest:
        parts.append(byte | 0x80)
        byte, rest = rest & 0x7F, rest >> 7
    return bytes([*parts, byte])


def entry(kind: int, content: bytes, *, size: int | None = None, base: bytes = b"") -> bytes:
    return sized(len(content) if size is None else size, 4, kind << 4) + base + zlib.compress(content)


def pack(*entries: bytes) -> bytes:
    body = b"PACK" + struct.pack(">II", 2, len(entries)) + b"".join(entries)
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def name(content: bytes) -> bytes:
    whole = b"blob %d\0" % len(content) + content
    return hashlib.sha1(whole, usedforsecurity=False).hexdigest().encode()


def test_a_difference_is_applied_to_what_it_differs_from() -> None:
    base = entry(BLOB, b"hello")
    delta = sized(5) + sized(10) + bytes([0x90, 5]) + bytes([5]) + b"world"

    found = read_pack(pack(base, entry(OFS_DELTA, delta, base=bytes([len(base)]))))

    assert found[name(b"helloworld")] == GitObject(b"blob", b"helloworld")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(pack(entry(BLOB, bytes(5000))), "more than is allowed", id="bomb"),
        pytest.param(pack(entry(BLOB, bytes(5000), size=10)), "cannot be read", id="bomb-that-lies"),
        pytest.param(
            pack(entry(BLOB, b"hello"), entry(OFS_DELTA, sized(5) + sized(1 << 40) + b"\x90\x05", base=b"\x0e")),
            "more than is allowed|does not send",
            id="difference-that-grows",
        ),
        pytest.param(pack(entry(BLOB, b"a"))[:-1] + b"x", "damaged", id="checksum"),
        pytest.param(pack(entry(OFS_DELTA, b"\x01\x01", base=b"\x05")), "does not send", id="difference-to-nothing"),
        pytest.param(b"PACK" + struct.pack(">II", 2, 1 << 30) + bytes(20), "objects", id="too-many"),
        pytest.param(pack(b"\xb3" + b"\x80" * 100_000), "unexpected end", id="endless-size"),
        pytest.param(pack(b"\x61" + b"\x80" * 100_000), "unexpected end", id="endless-offset"),
        pytest.param(b"", "cannot be read", id="nothing"),
    ],
)
def test_a_pack_that_is_not_what_it_says_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(Unavailable, match=reason):
        read_pack(data, limit=1000)


@given(st.binary(max_size=400))
def test_any_bytes_give_a_typed_error(junk: bytes) -> None:
    body = b"PACK" + struct.pack(">II", 2, 1) + junk
    with contextlib.suppress(Unavailable):
        read_pack(body + hashlib.sha1(body, usedforsecurity=False).digest(), limit=10_000)
    with contextlib.suppress(Unavailable):
        receiver = PackReceiver()
        receiver.feed(junk)
        receiver.pack()
    with pytest.raises(FetchError):
        read_commit({b"a" * 40: GitObject(b"commit", junk)}, "a" * 40)
    with contextlib.suppress(FetchError):
        objects = {b"a" * 40: GitObject(b"commit", b"tree " + b"b" * 40), b"b" * 40: GitObject(b"tree", junk)}
        read_commit(objects, "a" * 40)


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_a_pack_is_received_in_pieces_of_any_size(size: int) -> None:
    # Given
    bands = b"".join(b"%04x%s" % (len(band) + 4, band) for band in (b"\x01PACK", b"\x02on its way", b"\x01 and more"))
    answer = line("packfile") + bands + b"0000"
    receiver = PackReceiver()

    # When
    for start in range(0, len(answer), size):
        receiver.feed(answer[start : start + size])

    # Then
    assert receiver.pack() == b"PACK and more"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(b"0009\x01PAC", "ends too early", id="cut"),
        pytest.param(b"0000", "sends no objects", id="empty"),
        pytest.param(b"0007\x03no", "refuses: no", id="refused"),
        pytest.param(b"<htm", "does not speak", id="a-web-page"),
    ],
)
def test_an_answer_without_a_whole_pack_is_refused(answer: bytes, reason: str) -> None:
    receiver = PackReceiver()

    with pytest.raises(Unavailable, match=reason):
        receiver.feed(answer)
        receiver.pack()

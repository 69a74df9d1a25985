"""The lines of git's wire protocol, read strictly from bytes. ``git-scm.com/docs/protocol-common``. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from opssc_operator.sources.failures import Unavailable

FLUSH: Final = b"0000"
DELIMITER: Final = b"0001"
_LENGTH: Final = 4
_PACK, _PROGRESS, _ERROR = 1, 2, 3


def line(text: str) -> bytes:
    """One line with its length in front."""
    return b"%04x%s\n" % (len(text) + _LENGTH + 1, text.encode())


def read_lines(data: bytes) -> Iterator[bytes | None]:
    """Each line's content; None for a flush, a delimiter or an end mark. Raises Unavailable."""
    position = 0
    while position < len(data):
        try:
            length = int(data[position : position + _LENGTH].decode("ascii"), 16)
        except ValueError as exc:
            raise Unavailable("the server does not speak git's protocol") from exc
        if length < _LENGTH:
            position += _LENGTH
            yield None
            continue
        content = data[position + _LENGTH : position + length]
        if len(content) != length - _LENGTH:
            raise Unavailable("the server's answer ends too early")
        position += length
        if content.startswith(b"ERR "):
            raise Unavailable(f"the server refuses: {_text(content[4:])}")
        yield content


def read_pack_data(data: bytes) -> bytes:
    """The pack inside an answer to a fetch, of protocol 0 or 2; raises Unavailable."""
    pack = bytearray()
    for content in read_lines(data):
        # Lines before the pack (NAK, shallow ..., packfile) begin with letters, side bands with small numbers.
        if not content or content[0] not in {_PACK, _PROGRESS, _ERROR}:
            continue
        if content[0] == _ERROR:
            raise Unavailable(f"the server refuses: {_text(content[1:])}")
        if content[0] == _PACK:
            pack += content[1:]
    if not pack:
        raise Unavailable("the server sends no objects; it may not know the commit")
    return bytes(pack)


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace").strip()[:200]

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
        length = _length(data[position : position + _LENGTH])
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


class PackReceiver:
    """Takes an answer to a fetch, of protocol 0 or 2, as it comes, and keeps nothing of it but the pack."""

    def __init__(self) -> None:
        self._pack = bytearray()
        self._rest = b""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes; raises Unavailable."""
        data = self._rest + chunk
        whole = _whole_lines(data)
        self._rest = data[whole:]
        for content in read_lines(data[:whole]):
            # Lines before the pack (NAK, shallow ..., packfile) begin with letters, side bands with small numbers.
            if not content or content[0] not in {_PACK, _PROGRESS, _ERROR}:
                continue
            if content[0] == _ERROR:
                raise Unavailable(f"the server refuses: {_text(content[1:])}")
            if content[0] == _PACK:
                self._pack += content[1:]

    def pack(self) -> bytes:
        """The pack, when all has come; raises Unavailable when it has not."""
        if self._rest:
            raise Unavailable("the server's answer ends too early")
        if not self._pack:
            raise Unavailable("the server sends no objects; it may not know the commit")
        return bytes(self._pack)


def _whole_lines(data: bytes) -> int:
    """Where the last line ends that is here as a whole."""
    position = 0
    while position + _LENGTH <= len(data):
        length = max(_length(data[position : position + _LENGTH]), _LENGTH)
        if position + length > len(data):
            break
        position += length
    return position


def _length(digits: bytes) -> int:
    try:
        return int(digits.decode("ascii"), 16)
    except ValueError as exc:
        raise Unavailable("the server does not speak git's protocol") from exc


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace").strip()[:200]

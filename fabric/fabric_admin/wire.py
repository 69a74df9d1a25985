"""Decoding protobuf bytes from strangers; must not know what any message means."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import DecodeError, Message

if TYPE_CHECKING:
    from fabric_admin.errors import InvalidInput

MessageT = TypeVar("MessageT", bound=Message)


def decode(message_type: type[MessageT], data: bytes, error: type[InvalidInput], what: str) -> MessageT:
    """Return ``data`` parsed as ``message_type``, or raise ``error`` saying that ``what`` is malformed."""
    message = message_type()
    try:
        message.ParseFromString(data)
    except DecodeError as exc:
        raise error(f"{what}: proto: cannot parse invalid wire-format data") from exc
    return message

"""Decoding the text arguments of a call; every refusal is INVALID and names the argument. Pure."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from opssc_chaincode.canonical import MAX_DOCUMENT_BYTES
from opssc_chaincode.errors import Code, RefusedError
from opssc_chaincode.model.document import Document, DocumentError, describe
from opssc_chaincode.model.fields import MspID, ProposalID, Reason, Sha256
from opssc_chaincode.state import ProposalKey

_E = TypeVar("_E", bound=StrEnum)
_D = TypeVar("_D", bound=Document)

_msp_id: TypeAdapter[str] = TypeAdapter(MspID)
_proposal_id: TypeAdapter[str] = TypeAdapter(ProposalID)
_hash: TypeAdapter[str] = TypeAdapter(Sha256)
_reason: TypeAdapter[str] = TypeAdapter(Reason)


def texts(args: Sequence[bytes], names: str) -> list[str]:
    """Decode arguments; those named in brackets (`"creator id [reason]"`) may be missing and are then empty."""
    known = names.split()
    needed = [name for name in known if not name.startswith("[")]
    if not len(needed) <= len(args) <= len(known):
        raise RefusedError(Code.INVALID, f"{len(args)} arguments given, needed are: {names or 'none'}")
    decoded = [_text(name, arg) for name, arg in zip(known, args, strict=False)]
    return decoded + [""] * (len(known) - len(args))


def proposal_key(creator: str, proposal_id: str) -> ProposalKey:
    """Check the two parts of a proposal's name."""
    return ProposalKey(_checked("creator", _msp_id, creator), _checked("id", _proposal_id, proposal_id))


def content_hash(text: str) -> str:
    """Check a hash."""
    return _checked("contentHash", _hash, text)


def reason(text: str, name: str = "reason") -> str | None:
    """Check a text for people, at most 1024 characters; empty is none."""
    return _checked(name, _reason, text) if text else None


def choice(name: str, text: str, choices: type[_E]) -> _E:
    """Check one of a closed set."""
    try:
        return choices(text)
    except ValueError as exc:
        raise RefusedError(Code.INVALID, f"{name} is one of {', '.join(choices)}") from exc


def document(name: str, data: bytes, kind: type[_D]) -> _D:
    """Parse a canonical document."""
    try:
        return kind.parse(data)
    except DocumentError as exc:
        raise RefusedError(Code.INVALID, f"{name}: {exc}") from exc


def number(name: str, text: str, *, at_most: int) -> int:
    """Check a decimal number from 1."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(at_most)) and 1 <= int(text) <= at_most):
        raise RefusedError(Code.INVALID, f"{name} is a number from 1 to {at_most}")
    return int(text)


def _text(name: str, data: bytes) -> str:
    if len(data) > MAX_DOCUMENT_BYTES:
        raise RefusedError(Code.INVALID, f"{name} has {len(data)} bytes, {MAX_DOCUMENT_BYTES} are allowed")
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise RefusedError(Code.INVALID, f"{name} is not UTF-8") from exc


def _checked(name: str, adapter: TypeAdapter[Any], text: str) -> str:
    try:
        value: str = adapter.validate_python(text, strict=True)
    except ValidationError as exc:
        raise RefusedError(Code.INVALID, f"{name}: {describe(exc).partition(': ')[2]}") from exc
    return value

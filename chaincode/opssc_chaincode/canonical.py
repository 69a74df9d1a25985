"""Canonical JSON (RFC 8785, integers only) and the hashes over it. Pure."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import NoReturn

import rfc8785

MAX_DOCUMENT_BYTES = 512 * 1024
MAX_DEPTH = 32
_MAX_INTEGER_CHARACTERS = 17

Json = str | int | bool | None | Sequence["Json"] | Mapping[str, "Json"]


class CanonicalError(ValueError):
    """Bytes that are not a canonical JSON document, or a value that has none."""


def dumps(value: Json) -> bytes:
    """Encode a value canonically; raises CanonicalError for what canonical JSON cannot hold."""
    try:
        return rfc8785.dumps(value)
    except rfc8785.CanonicalizationError as exc:
        raise CanonicalError(str(exc)) from exc


def loads(data: bytes) -> Json:
    """Decode a canonical document; raises CanonicalError unless encoding the value again gives the same bytes."""
    if len(data) > MAX_DOCUMENT_BYTES:
        raise CanonicalError(f"the document has {len(data)} bytes, {MAX_DOCUMENT_BYTES} are allowed")
    try:
        value: Json = json.loads(
            data.decode(),
            object_pairs_hook=_unique,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
            parse_int=_integer,
        )
    except UnicodeDecodeError as exc:
        raise CanonicalError("the document is not UTF-8") from exc
    except json.JSONDecodeError as exc:
        raise CanonicalError(f"the document is not JSON: {exc.msg} at character {exc.pos}") from exc
    except RecursionError as exc:
        raise CanonicalError(_TOO_DEEP) from exc
    _check_depth(value)
    if dumps(value) != data:
        raise CanonicalError("the document is not canonical JSON (RFC 8785: sorted keys, no spaces, minimal escapes)")
    return value


def digest(value: Json) -> str:
    """Give the hex SHA-256 of a value's canonical JSON."""
    return sha256(dumps(value)).hexdigest()


_TOO_DEEP = f"the document is nested deeper than {MAX_DEPTH} levels"


def _check_depth(value: Json) -> None:
    level: list[Json] = [value]
    for _ in range(MAX_DEPTH + 1):
        below: list[Json] = []
        for item in level:
            if isinstance(item, Mapping):
                below.extend(item.values())
            elif isinstance(item, Sequence) and not isinstance(item, str):
                below.extend(item)
        if not below:
            return
        level = below
    raise CanonicalError(_TOO_DEEP)


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise CanonicalError("an object of the document names a member twice")
    return value


def _integer(text: str) -> int:
    # Before int(), which takes time quadratic in the length and has a limit of its own.
    if len(text) > _MAX_INTEGER_CHARACTERS:
        raise CanonicalError("a number of the document is not an integer between -(2^53-1) and 2^53-1")
    return int(text)


def _refuse_number(text: str) -> NoReturn:
    raise CanonicalError(f"the document holds {text[:32]}, only integers are allowed")

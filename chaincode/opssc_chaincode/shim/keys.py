"""Composite keys of the state: U+0000, type, U+0000, attribute, U+0000, ... (source: fabric-chaincode-go, shim)."""

from opssc_chaincode.shim.errors import InvalidKeyError

_SEPARATOR = "\x00"
_LAST = "\U0010ffff"


def composite_key(object_type: str, *attributes: str) -> str:
    """Join a type and attributes to one key; raises InvalidKeyError for U+0000, U+10FFFF and lone surrogates."""
    for part in (object_type, *attributes):
        _check(part)
    return _SEPARATOR + "".join(part + _SEPARATOR for part in (object_type, *attributes))


def composite_range(object_type: str, *attributes: str) -> tuple[str, str]:
    """Give start and end of the range of all keys that begin with these attributes."""
    prefix = composite_key(object_type, *attributes)
    return prefix, prefix + _LAST


def split_composite_key(key: str) -> tuple[str, tuple[str, ...]]:
    """Split a composite key into its type and attributes; raises InvalidKeyError when it is not one."""
    if not key.startswith(_SEPARATOR) or not key.endswith(_SEPARATOR) or key == _SEPARATOR:
        raise InvalidKeyError("not a composite key")
    object_type, *attributes = key[1:-1].split(_SEPARATOR)
    return object_type, tuple(attributes)


def _check(part: str) -> None:
    for unusable in (_SEPARATOR, _LAST):
        position = part.find(unusable)
        if position >= 0:
            raise InvalidKeyError(
                f"input contains unicode U+{ord(unusable):04X} starting at position [{position}]. "
                "U+0000 and U+10FFFF are not allowed in the input attribute of a composite key"
            )
    try:
        part.encode()
    except UnicodeEncodeError as exc:
        raise InvalidKeyError("input is not valid UTF-8 text") from exc

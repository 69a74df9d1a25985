"""CouchDB index files of a package: where they may stand and what they may say, as the ``peer`` packager checks them.

``fabric: internal/ccmetadata/validators.go``.
"""

from __future__ import annotations

import json
import re
from typing import Final, NoReturn

from fabric_admin.errors import PackageError

_PLACE: Final = re.compile(r"META-INF/statedb/couchdb/(?:collections/[A-Za-z0-9_-]+/)?indexes/.*[.]json", re.DOTALL)
_TEXTS: Final = ("ddoc", "name")


def check_index(path: str, content: bytes) -> None:
    """Refuse a file below META-INF that no peer would take; raises PackageError."""
    if not _PLACE.match(path):
        raise PackageError(
            f"{path} is no index file; META-INF holds statedb/couchdb/[collections/<name>/]indexes/<name>.json alone"
        )
    try:
        index = json.loads(content.decode("utf-8", "replace"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:
        raise PackageError(f"Index metadata file [{path}] is not a valid JSON") from exc
    if not isinstance(index, dict):
        raise PackageError(f"Index metadata file [{path}] is not a valid JSON")
    problem = _problem(index)
    if problem:
        raise PackageError(f"Index metadata file [{path}] is not a valid index definition: {problem}")


def _problem(index: dict[str, object]) -> str:
    for key, value in index.items():
        if key == "index":
            problem = _problem_of_fields(value)
            if problem:
                return problem
        elif key in _TEXTS:
            if not isinstance(value, str):
                return f'Invalid entry, "{key}" must be a string'
        elif key != "type":
            return f"Invalid Entry.  Entry {key}"
        elif value != "json":
            return "Index type must be json"
    return "" if "index" in index else 'Index definition must include a "fields" definition'


def _problem_of_fields(value: object) -> str:
    if not isinstance(value, dict):
        return 'Invalid entry, "index" must be a JSON'
    for key, fields in value.items():
        if key == "partial_filter_selector":
            continue
        if key != "fields":
            return f"Invalid Entry.  Entry {key}"
        if not isinstance(fields, list):
            return "Expecting a JSON array of fields"
        for field in fields:
            if isinstance(field, dict) and not all(_is_order(order) for order in field.values()):
                return 'Sort must be either "asc" or "desc"'
            if field is None:
                return "a field has a name"
    return ""


def _is_order(value: object) -> bool:
    return isinstance(value, str) and value.lower() in {"asc", "desc"}


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")

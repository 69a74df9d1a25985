"""Runs every case recorded from real Fabric; ``OPSSC_VECTORS`` names another folder of the same format."""

from __future__ import annotations

import functools
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(os.environ.get("OPSSC_VECTORS") or Path(__file__).resolve().parents[3] / "shared" / "vectors")

# What follows was written by Go's own libraries, which no other implementation can match.
_BELOW_FABRIC = re.compile(
    r"\[\[?\d+ \d|x509: malformed|x509: ECDSA verification| \(possibly because|asn1: "
    r"|\[failed unmashalling signature \[|\[<dump|could not parse RevocationList: "
)


@functools.cache
def _document(group: str) -> dict[str, Any]:
    source = FOLDER / group / "cases.json"
    return json.loads(source.read_text(encoding="utf-8")) if source.is_file() else {}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize ``case`` with the list a test's ``vector_cases(group, list, field=value)`` mark names."""
    for mark in metafunc.definition.iter_markers("vector_cases"):
        group, key = mark.args
        cases = [each for each in _document(group).get(key, []) if mark.kwargs.items() <= each.items()]
        ids = [str(case.get("id") or case.get("name") or repr(case.get("label"))) for case in cases]
        metafunc.parametrize("case", cases, ids=ids)


@pytest.fixture(scope="session")
def fabric_cause() -> Any:
    """A function that cuts an error text where Go's libraries start speaking."""

    def cut(text: str) -> str:
        found = _BELOW_FABRIC.search(text)
        return (text[: found.start()] if found else text).rstrip()

    return cut

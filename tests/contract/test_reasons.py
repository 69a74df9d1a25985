"""Every reason that people and alerts may depend on is given by a decision, and a test names it."""

from __future__ import annotations

import re
from pathlib import Path

from opssc_operator.api.conditions import Reason

ROOT = Path(__file__).resolve().parents[2]


def read_all(folder: str, *, without: str) -> str:
    files = [path for path in (ROOT / folder).rglob("*.py") if path.name != without]
    assert files
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def test_every_reason_is_given_by_some_decision() -> None:
    code = read_all("operator/opssc_operator", without="conditions.py")

    assert [reason for reason in Reason if not re.search(rf"\bReason\.{reason.name}\b", code)] == []


def test_every_reason_is_named_by_some_test() -> None:
    tests = read_all("tests", without=Path(__file__).name)

    unnamed = [reason for reason in Reason if not re.search(rf"\bReason\.{reason.name}\b|\"{reason}\"", tests)]

    assert unnamed == []

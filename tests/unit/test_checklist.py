from __future__ import annotations

import re
from pathlib import Path

_ROWS = 70
_TAG = re.compile(r"^(?:.*-> None:|async def test_\w+\()  # (\d+(?:(?:, |-)\d+)*)$", re.MULTILINE)


def test_every_row_of_the_checklist_is_a_conformance_case(project_root: Path) -> None:
    covered: set[int] = set()
    for file in (project_root / "tests" / "conformance").glob("test_*.py"):
        for tag in _TAG.findall(file.read_text(encoding="utf-8")):
            for part in tag.split(", "):
                first, _, last = part.partition("-")
                covered.update(range(int(first), int(last or first) + 1))

    assert sorted(set(range(1, _ROWS + 1)) - covered) == []

"""`docs/api.md` says what the CRDs and the code say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from opssc_operator.api.conditions import ConditionType, Reason
from opssc_tools import reference

if TYPE_CHECKING:
    from pathlib import Path


def rows(page: str, heading: str) -> list[str]:
    """The first cells of the table under a heading."""
    section = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)


def test_the_field_tables_are_those_of_the_crds(project_root: Path) -> None:
    page = (project_root / "docs" / "api.md").read_text(encoding="utf-8")

    tables = reference.build_tables(project_root / "crds")

    assert page == reference.insert_tables(page, tables), "run python -m opssc_tools.reference"


def test_every_condition_type_is_explained_once(project_root: Path) -> None:
    page = (project_root / "docs" / "api.md").read_text(encoding="utf-8")

    assert sorted(rows(page, "Conditions")) == sorted(ConditionType)


def test_every_reason_is_explained_once(project_root: Path) -> None:
    page = (project_root / "docs" / "api.md").read_text(encoding="utf-8")

    assert sorted(rows(page, "Reasons")) == sorted(Reason)

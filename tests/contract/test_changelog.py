"""Every fragment of the changelog has a name that towncrier reads; it drops others without a word."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_fragment_is_named_after_an_issue_and_a_type() -> None:
    # Given: 5.feature.md, 5.feature.12.md, 5.fix.servers.md
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["towncrier"]
    types = "|".join(each["directory"] for each in configuration["type"])
    readable = re.compile(rf"\d+\.({types})(\.[\w-]+)?\.md")

    # When
    fragments = [path.name for path in (ROOT / configuration["directory"]).iterdir() if path.name != ".gitignore"]

    # Then
    assert fragments
    assert [name for name in sorted(fragments) if readable.fullmatch(name) is None] == []

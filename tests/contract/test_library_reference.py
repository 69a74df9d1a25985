"""`docs/reference/fabric_admin.md` says what the docstrings say, and leaves nothing public out."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import pytest

from opssc_tools import library_reference

if TYPE_CHECKING:
    from pathlib import Path

MODULES = [f"fabric_admin.{name}" for _, names in library_reference.CHAPTERS for name in names]


def test_the_page_is_what_the_docstrings_give(project_root: Path) -> None:
    page = (project_root / "docs" / "reference" / "fabric_admin.md").read_text(encoding="utf-8")

    assert page == library_reference.build_page(), "run make reference"


@pytest.mark.parametrize(
    ("module", "name"),
    [
        pytest.param("fabric_admin.channelconfig", "ChannelConfig", id="class-exported-by-a-package"),
        pytest.param("fabric_admin.channelconfig", "compute_update", id="function-exported-by-a-package"),
        pytest.param("fabric_admin.channelconfig.edits", "set_batch", id="edit"),
        pytest.param("fabric_admin.lifecycle", "Lifecycle", id="class"),
        pytest.param("fabric_admin.genesis", "build", id="function"),
        pytest.param("fabric_admin.errors", "ConfigUpdateRefused", id="error"),
    ],
)
def test_a_public_name_is_explained_under_its_module(module: str, name: str) -> None:
    section = library_reference.build_page().partition(f"\n### {module}\n")[2].partition("\n### ")[0]

    explained = section.partition(f"\n#### {name}\n")[2].partition("\n#### ")[0]

    documented = getattr(importlib.import_module(module), name).__doc__
    assert documented.splitlines()[0].replace("``", "`") in explained


@pytest.mark.parametrize("module", MODULES)
def test_everything_on_the_page_has_a_docstring(module: str) -> None:
    section = library_reference.build_page().partition(f"\n### {module}\n")[2].partition("\n### ")[0]

    paragraphs = section.split("\n\n")
    bare = [
        paragraph
        for paragraph, following in zip(paragraphs, [*paragraphs[1:], ""], strict=True)
        if paragraph.startswith("```text") and (not following.strip() or following.startswith(("```", "#")))
    ]

    assert not bare

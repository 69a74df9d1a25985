"""Writes `docs/reference/fabric_admin.md` from the library's docstrings: `python -m opssc_tools.library_reference`.

Reads source, imports nothing of it. A module's public names are those of its `__all__`, else those it defines without
a leading underscore; what a name is re-exported from does not matter to the reader.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "reference" / "fabric_admin.md"
SOURCE: Final = ROOT / "fabric"
CHAPTERS: Final = (
    ("Identities and policies", ("identity", "msp", "principals", "policy", "rule")),
    ("Chaincode", ("package", "definition", "collection")),
    ("Blocks", ("blocks", "block_verification")),
    ("Channel configuration", ("channelconfig", "channelconfig.edits", "genesis", "configtx", "capabilities")),
    (
        "A peer",
        ("transport", "lifecycle", "gateway", "endorser", "system", "deliver", "discovery", "snapshots", "proposal"),
    ),
    ("An orderer", ("orderer", "participation")),
    ("Errors", ("errors",)),
)
PREFACE: Final = """# Reference of fabric_admin

Written by `make reference` from the docstrings of `fabric/fabric_admin`; change those, not this page. What an
administrator does most is in [the library's README](../../fabric/README.md)."""
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def build_page() -> str:
    """The whole page, as Markdown."""
    parts = [PREFACE]
    for title, modules in CHAPTERS:
        parts.append(f"## {title}")
        for name in modules:
            parts += _module(f"fabric_admin.{name}")
    return "\n\n".join(parts) + "\n"


def _module(name: str) -> Iterator[str]:
    tree = _parse(name)
    yield f"### {name}"
    yield _doc(tree)
    for public in _public_names(tree):
        found = _find(tree, public)
        if isinstance(found, ast.ClassDef):
            yield from _class(found)
        elif isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"#### {found.name}"
            yield _signature(found)
            yield _doc(found)


def _class(node: ast.ClassDef) -> Iterator[str]:
    yield f"#### {node.name}"
    yield _code(_class_head(node))
    yield _doc(node)
    for member in node.body:
        if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef) and not member.name.startswith("_"):
            yield f"{_signature(member)}\n\n{_doc(member)}"


def _class_head(node: ast.ClassDef) -> str:
    """The class line, the fields of a dataclass or members of an enumeration, or else how it is constructed."""
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    head = f"class {node.name}({bases})" if bases else f"class {node.name}"
    fields = [
        ast.unparse(field)
        for field in node.body
        if (isinstance(field, ast.AnnAssign) and not ast.unparse(field.target).startswith("_"))
        or (isinstance(field, ast.Assign) and not ast.unparse(field.targets[0]).startswith("_"))
    ]
    made = [each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"]
    return "\n    ".join([head, *fields, *(_line(each) for each in made)])


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    marks = [ast.unparse(each) for each in node.decorator_list]
    kept = [f"@{mark}\n" for mark in marks if mark in {"property", "classmethod", "staticmethod"}]
    return _code("".join(kept) + _line(node))


def _line(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{word} {node.name}({ast.unparse(node.args)}){result}"


def _code(text: str) -> str:
    return f"```text\n{text}\n```"


def _doc(node: ast.Module | _Definition) -> str:
    return (ast.get_docstring(node) or "").replace("``", "`")


def _public_names(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return [str(name) for name in ast.literal_eval(node.value)]
    return [node.name for node in tree.body if isinstance(node, _Definition) and not node.name.startswith("_")]


def _find(tree: ast.Module, name: str) -> ast.stmt | None:
    """The definition behind a name, through imports of the library's own; None for constants and modules."""
    for node in tree.body:
        if isinstance(node, _Definition) and node.name == name:
            return node
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("fabric_admin."):
            for alias in node.names:
                if (alias.asname or alias.name) == name and not _path(f"{node.module}.{alias.name}").exists():
                    return _find(_parse(node.module), alias.name)
    return None


@cache
def _parse(module: str) -> ast.Module:
    return ast.parse(_path(module).read_text(encoding="utf-8"))


def _path(module: str) -> Path:
    path = SOURCE / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(build_page(), encoding="utf-8")

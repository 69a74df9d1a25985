"""Writes the field tables of `docs/api.md` from the CRDs: `python -m opssc_tools.reference`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "api.md"
BEGIN: Final = "<!-- fields of crds/, written by python -m opssc_tools.reference -->"
END: Final = "<!-- end of the fields -->"
ORDER: Final = (
    "fabricorganizations",
    "chaincodeproposals",
    "channelproposals",
    "charterproposals",
    "votes",
    "fabricchannels",
)


def build_tables(crds: Path) -> str:
    """The field tables of every kind, as Markdown."""
    return "\n".join(_kind(yaml.safe_load((crds / f"{plural}.yaml").read_text(encoding="utf-8"))) for plural in ORDER)


def insert_tables(page: str, tables: str) -> str:
    """The page with its field tables replaced; raises ValueError when the marks are missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE.name} lacks the marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{tables}\n{END}{after}"


def _kind(crd: Mapping[str, Any]) -> str:
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    names = crd["spec"]["names"]
    lines = [f"## {names['kind']} (`{names['shortNames'][0]}`)", "", schema["description"]]
    for part in ("spec", "status"):
        node = schema["properties"][part]
        lines += ["", f"### {names['kind']}.{part}", "", node["description"], ""]
        lines += ["| field | type | is |", "|---|---|---|"]
        lines += [f"| `{path}` | {_type(child)} | {text} |" for path, child, text in _rows(node, "")]
    return "\n".join([*lines, ""])


def _rows(node: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    required = set(node.get("required", ()))
    for name, child in node["properties"].items():
        if prefix == "" and name == "conditions":
            continue  # The same for every kind, and described in a section of its own.
        path = f"{prefix}{name}"
        yield path, child, _text(child, required=name in required)
        if child["type"] == "object" and "properties" in child:
            yield from _rows(child, f"{path}.")
        elif child["type"] == "array" and "properties" in child["items"]:
            yield from _rows(child["items"], f"{path}[].")


def _text(node: Mapping[str, Any], *, required: bool) -> str:
    parts = [node["description"].replace("|", "\\|").replace("<", "&lt;")]
    if node["type"] != "object" and "default" in node:
        parts.append(f"Default: {yaml.safe_dump(node['default'], default_flow_style=True).partition(chr(10))[0]}.")
    if required:
        parts.append("Required.")
    return " ".join(parts)


def _type(node: Mapping[str, Any]) -> str:
    match node:
        case {"enum": values}:
            return ", ".join(f"`{value}`" for value in values)
        case {"type": "array", "items": items}:
            return f"list of {_type(items)}"
        case {"type": "object", "additionalProperties": values}:
            return f"map to {_type(values)}"
        case {"format": "date-time"}:
            return "time"
        case {"type": kind}:
            return str(kind)
    raise ValueError(f"a schema without a type: {node}")


if __name__ == "__main__":
    PAGE.write_text(insert_tables(PAGE.read_text(encoding="utf-8"), build_tables(ROOT / "crds")), encoding="utf-8")

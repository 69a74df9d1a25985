"""What every CRD of this project promises, whatever its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from opssc_operator.api.group import GROUP, VERSION, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SHORT_NAMES = {
    Kind.FABRIC_ORGANIZATION: "forg",
    Kind.CHAINCODE_PROPOSAL: "ccp",
    Kind.CHANNEL_PROPOSAL: "chp",
    Kind.CHARTER_PROPOSAL: "chtp",
    Kind.VOTE: "vt",
    Kind.FABRIC_CHANNEL: "fch",
}
KINDS = pytest.mark.parametrize("kind", Kind, ids=str)
FORBIDDEN = ("x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string", "x-kubernetes-embedded-resource")


def nodes(node: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in node:
            yield from nodes(node[key], f"{path}[]")


def own_nodes(root: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for part in ("spec", "status"):
        yield from nodes(root["properties"][part], part)


def test_the_folder_holds_one_file_per_kind(project_root: Path) -> None:
    files = {path.name for path in (project_root / "crds").iterdir()}

    assert files == {f"{kind.plural}.yaml" for kind in Kind}


@KINDS
def test_names_are_those_of_the_api(kind: Kind, crd: Callable[[Kind], dict[str, Any]]) -> None:
    definition = crd(kind)

    assert definition["metadata"]["name"] == kind.crd_name
    assert definition["spec"]["group"] == GROUP
    assert definition["spec"]["scope"] == "Namespaced"
    assert [version["name"] for version in definition["spec"]["versions"]] == [VERSION]
    names = definition["spec"]["names"]
    assert (names["kind"], names["plural"]) == (kind, kind.plural)
    assert names["shortNames"] == [SHORT_NAMES[kind]]
    assert names["categories"] == ["opssc", "fabric"]


@KINDS
def test_status_is_a_subresource_that_nobody_has_looked_at_by_default(
    kind: Kind, crd: Callable[[Kind], dict[str, Any]], schema: Callable[[Kind], dict[str, Any]]
) -> None:
    assert crd(kind)["spec"]["versions"][0]["subresources"] == {"status": {}}
    assert schema(kind)["properties"]["status"]["default"] == {"observedGeneration": -1}


@KINDS
def test_every_field_is_described_in_a_sentence(kind: Kind, schema: Callable[[Kind], dict[str, Any]]) -> None:
    undescribed = [
        path
        for path, node in own_nodes(schema(kind))
        if not path.endswith("[]") and not node.get("description", "").endswith(".")
    ]

    assert undescribed == []


@KINDS
def test_every_value_is_bounded(kind: Kind, schema: Callable[[Kind], dict[str, Any]]) -> None:
    def unbounded(node: dict[str, Any]) -> bool:
        match node["type"]:
            case "string":
                return not ({"maxLength", "enum"} & node.keys() or node.get("format") == "date-time")
            case "array":
                return not {"maxItems", "x-kubernetes-list-type"} <= node.keys()
            case "integer":
                return "minimum" not in node
            case "object":
                return "properties" not in node and not {"additionalProperties", "maxProperties"} <= node.keys()
            case other:
                return bool(other != "boolean")

    assert [path for path, node in own_nodes(schema(kind)) if unbounded(node)] == []


@KINDS
def test_nothing_is_left_open(kind: Kind, schema: Callable[[Kind], dict[str, Any]]) -> None:
    assert [path for path, node in nodes(schema(kind), "") if any(key in node for key in FORBIDDEN)] == []


@KINDS
def test_every_rule_has_a_sentence_and_no_pattern_stands_alone_in_a_field_people_write(
    kind: Kind, schema: Callable[[Kind], dict[str, Any]]
) -> None:
    everything = list(nodes(schema(kind), ""))
    speechless = [
        path
        for path, node in everything
        for rule in node.get("x-kubernetes-validations", ())
        if len(rule.get("message", "").split()) < 4
    ]
    # Lists of the voting rules are many times many: sentences there are beyond what the API server lets rules cost.
    bare = [path for path, node in everything if "pattern" in node and path.startswith(".spec")]

    assert speechless == []
    assert [path for path in bare if not path.startswith(".spec.voting.rules[]")] == []


@KINDS
def test_conditions_and_records_are_maps_by_their_keys(kind: Kind, schema: Callable[[Kind], dict[str, Any]]) -> None:
    keys = {
        path.rpartition(".")[2]: node["x-kubernetes-list-map-keys"]
        for path, node in own_nodes(schema(kind))
        if node.get("x-kubernetes-list-type") == "map"
    }

    expected = {"conditions": ["type"], "votes": ["mspID"], "organizations": ["mspID"], "peers": ["name"]}
    assert {name: keys[name] for name in keys.keys() & expected} == {
        name: key for name, key in expected.items() if name in keys
    }
    assert "conditions" in keys

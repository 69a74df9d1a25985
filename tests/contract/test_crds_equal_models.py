"""The API server and the operator must mean the same objects: every field, bound and pattern is compared."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from opssc_operator.api.chaincode_proposal import ChaincodeProposalSpec, ChaincodeProposalStatus
from opssc_operator.api.channel import FabricChannelSpec, FabricChannelStatus
from opssc_operator.api.channel_proposal import ChannelProposalSpec, ChannelProposalStatus
from opssc_operator.api.charter_proposal import CharterProposalSpec, CharterProposalStatus
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.group import Kind
from opssc_operator.api.organization import FabricOrganizationSpec, FabricOrganizationStatus
from opssc_operator.api.vote import VoteSpec, VoteStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic import BaseModel

PAIRS = [
    pytest.param(Kind.FABRIC_ORGANIZATION, "spec", FabricOrganizationSpec, id="FabricOrganization.spec"),
    pytest.param(Kind.FABRIC_ORGANIZATION, "status", FabricOrganizationStatus, id="FabricOrganization.status"),
    pytest.param(Kind.CHAINCODE_PROPOSAL, "spec", ChaincodeProposalSpec, id="ChaincodeProposal.spec"),
    pytest.param(Kind.CHAINCODE_PROPOSAL, "status", ChaincodeProposalStatus, id="ChaincodeProposal.status"),
    pytest.param(Kind.CHANNEL_PROPOSAL, "spec", ChannelProposalSpec, id="ChannelProposal.spec"),
    pytest.param(Kind.CHANNEL_PROPOSAL, "status", ChannelProposalStatus, id="ChannelProposal.status"),
    pytest.param(Kind.CHARTER_PROPOSAL, "spec", CharterProposalSpec, id="CharterProposal.spec"),
    pytest.param(Kind.CHARTER_PROPOSAL, "status", CharterProposalStatus, id="CharterProposal.status"),
    pytest.param(Kind.VOTE, "spec", VoteSpec, id="Vote.spec"),
    pytest.param(Kind.VOTE, "status", VoteStatus, id="Vote.status"),
    pytest.param(Kind.FABRIC_CHANNEL, "spec", FabricChannelSpec, id="FabricChannel.spec"),
    pytest.param(Kind.FABRIC_CHANNEL, "status", FabricChannelStatus, id="FabricChannel.status"),
]
BOUNDS = ("minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "maxProperties", "format")
MATCHES = re.compile(r"""^self\.matches\(r('|\"{3})(?P<pattern>.*)\1\)$""", re.DOTALL)
# The contract bounds these by pattern alone; the API server wants a length to know what a rule may cost.
BOUNDED_BY_PATTERN = {r"^sha256:[0-9a-f]{64}$": 71, r"^([0-9]{1,6}(ms|s|m|h)){1,4}$": 32}
# Closed in the code and open in the schema, so that a newer operator's word is no error for an older CRD.
OPEN_WORDS = {frozenset(ConditionType), frozenset(Reason)}


@pytest.mark.parametrize(("kind", "part", "model"), PAIRS)
def test_every_field_of_the_crd_is_that_of_the_model(
    kind: Kind, part: str, model: type[BaseModel], schema: Callable[[Kind], dict[str, Any]]
) -> None:
    served = dict(facts_of_crd(schema(kind)["properties"][part]))

    modelled = dict(facts_of_model(model.model_json_schema(mode="validation")))

    assert served == modelled


def facts_of_crd(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Path and facts of every node of a structural schema."""
    facts: dict[str, Any] = {"type": node["type"], **{bound: node[bound] for bound in BOUNDS if bound in node}}
    if node["type"] == "integer":
        facts.pop("format")
    pattern = node.get("pattern") or _pattern_in_rules(node)
    if pattern:
        facts["pattern"] = pattern
        if BOUNDED_BY_PATTERN.get(pattern) == facts.get("maxLength"):
            facts.pop("maxLength")
    if "enum" in node:
        facts["enum"] = frozenset(node["enum"])
    if any(rule["rule"] == "!self" for rule in node.get("x-kubernetes-validations", ())):
        facts["enum"] = frozenset({False})
    # The standing value of a message is an empty text, which the model fills in.
    facts["required"] = frozenset(node.get("required", ())) - {"message", "lastTransitionTime"}
    yield path, facts
    for name, child in node.get("properties", {}).items():
        yield from facts_of_crd(child, f"{path}.{name}")
    for kind in ("items", "additionalProperties"):
        if kind in node:
            yield from facts_of_crd(node[kind], f"{path}[]")


def _pattern_in_rules(node: dict[str, Any]) -> str | None:
    """The pattern of a string whose refusal is a sentence."""
    rules = node.get("x-kubernetes-validations", ())
    found = [match["pattern"] for rule in rules if (match := MATCHES.match(rule["rule"]))]
    return found[0] if found else None


def facts_of_model(root: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Path and facts of every node of a model's JSON schema."""
    definitions = root.get("$defs", {})

    def resolve(node: dict[str, Any]) -> dict[str, Any]:
        if "$ref" in node:
            return resolve(definitions[node["$ref"].rpartition("/")[2]])
        chosen = [option for option in node.get("anyOf", ()) if option.get("type") != "null"]
        return resolve(chosen[0]) if chosen else node

    def walk(unresolved: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
        node = resolve(unresolved)
        facts: dict[str, Any] = {key: node[key] for key in ("type", "pattern", *BOUNDS) if key in node}
        if "const" in node:
            facts["enum"] = frozenset({node["const"]})
        if frozenset(node.get("enum", ())) in OPEN_WORDS:
            facts |= {"pattern": "^[A-Za-z]+$", "minLength": 1, "maxLength": 64}
        elif "enum" in node:
            facts["enum"] = frozenset(node["enum"])
        facts["required"] = frozenset(node.get("required", ())) - {"message", "lastTransitionTime"}
        yield path, facts
        for name, child in node.get("properties", {}).items():
            yield from walk(child, f"{path}.{name}")
        if "items" in node:
            yield from walk(node["items"], f"{path}[]")
        # A structural schema cannot say the pattern of a key; the model refuses it.
        for child in node.get("patternProperties", {}).values():
            yield from walk(child, f"{path}[]")

    yield from walk(root, "")


@pytest.mark.parametrize("word", [*ConditionType, *Reason], ids=str)
def test_the_crds_admit_every_condition_type_and_reason(word: str, schema: Callable[[Kind], dict[str, Any]]) -> None:
    condition = schema(Kind.VOTE)["properties"]["status"]["properties"]["conditions"]["items"]["properties"]

    for field in (condition["type"], condition["reason"]):
        assert re.fullmatch(field["pattern"], word)
        assert len(word) <= field["maxLength"]

"""Hostile strings in every field of a document and of what is said about it: refused with a code, or kept as data."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from unit.chaincode.identities import admin
from unit.chaincode.ledger import Ledger
from unit.chaincode.packages import ARCHIVE, COLLECTION, GIT, K8S, find
from unit.chaincode.strategies import NOW, document, members

from opssc_chaincode.canonical import dumps

ORG1, ORG2, _ = members(3)
HOSTILE = (
    "$(touch /tmp/owned)`id`;id|id&",
    "../../../../etc/passwd",
    "a/../../b",
    "{{ .Values.secret }}{{config}}%s%n${jndi:ldap://x}",
    "a: &a [*a]\n- !!python/object/apply:os.system [id]\n",
    "file:///etc/passwd",
    "https://user:word@example.com/a",
    "https://example.com/a?b=$(id)#c",
    "--upload-pack=touch /tmp/owned",
    "'; DROP TABLE x; --",
    "\u202e\u200b\ufeff\U0010ffff",
    "\x1b]0;owned\x07\x00\r\n",
    "",
    "A" * 20_000,
    "A" * 600_000,
)
"""What could be taken for shell, path, template, YAML, address, option or text that shows as something else."""
POLICY = {"signature": "OR('Org1MSP.peer')"}
FIELDS = (
    "content.endorsementPlugin",
    "content.validationPlugin",
    "content.endorsementPolicy.signature",
    "content.collections.0.name",
    "content.collections.0.memberOrgsPolicy",
    "content.collections.0.endorsementPolicy.signature",
    "content.collections.0.endorsementPolicy.channelPolicy",
    "content.package.k8s.label",
    "content.package.k8s.image.name",
    "content.package.k8s.image.digest",
    "content.package.archive.label",
    "content.package.archive.sha256",
    "content.package.archive.urls.0",
    "content.package.git.label",
    "content.package.git.repository",
    "content.package.git.commit",
    "content.package.git.path",
    "content.package.git.language",
    "content.package.ccaas.connection.dialTimeout",
    "content.package.ccaas.connection.rootCert",
    "snapshot.rule.of.0",
)
TEXTS = ("description", "content.init.function", "content.init.args.0")
"""What belongs to people or to a chaincode, and may say anything of bounded length."""


def base(field: str) -> dict[str, Any]:
    """A document that has the field, and is taken as it is."""
    raw: dict[str, Any] = document().to_json()
    content = raw["content"]
    for package in (K8S, ARCHIVE, GIT):
        if field.startswith(f"content.package.{next(iter(package))}"):
            content["package"] = copy.deepcopy(package)
            del content["packageID"]
    if "git" in content["package"]:
        content["package"]["git"]["path"] = "a"
    content["collections"] = [{**COLLECTION, "endorsementPolicy": dict(POLICY)}]
    content["endorsementPolicy"] = dict(POLICY)
    content |= {"initRequired": True, "init": {"function": "Init", "args": ["blue"]}}
    raw["description"] = "a text"
    return raw


def changed(field: str, text: str) -> bytes:
    raw = base(field)
    place, last = find(raw, field)
    if last == "channelPolicy":
        place.clear()
    place[last] = text
    return dumps(raw)


@pytest.mark.parametrize("field", [*FIELDS, *TEXTS])
def test_without_anything_hostile_the_document_is_taken(field: str) -> None:
    assert Ledger(NOW).simulate(admin(ORG1), "Propose", dumps(base(field))).ok


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_field_that_means_something_refuses_what_it_cannot_mean(field: str, text: str) -> None:
    answer = Ledger(NOW).simulate(admin(ORG1), "Propose", changed(field, text))

    assert answer.code == "INVALID"
    assert not answer.writes
    assert len(answer.response.message) < 1024


@pytest.mark.parametrize("field", TEXTS)
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_text_is_kept_to_the_letter_or_refused(field: str, text: str) -> None:
    # Given
    ledger, given = Ledger(NOW), changed(field, text)

    # When
    answer = ledger.submit(admin(ORG1), "Propose", given)

    # Then: what is too long, or empty where something has to stand, is refused
    if len(text) >= 20_000 or (not text and field != "content.init.args.0"):
        assert answer.code == "INVALID"
        return
    assert answer.ok
    stored: Any = ledger.facts(ORG1, "basic-1").proposal.to_json()
    for part in field.split("."):
        stored = stored[int(part)] if part.isdecimal() else stored[part]
    assert stored == text


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_reasons_and_messages_are_kept_to_the_letter_or_refused(text: str) -> None:
    # Given
    ledger = Ledger(NOW)
    assert ledger.submit(admin(ORG1), "Propose", document().canonical()).ok
    of = ledger.facts(ORG1, "basic-1").proposal

    # When
    voted = ledger.submit(admin(ORG2), "Vote", ORG1, of.id, of.hash, "Agree", text)
    told = ledger.submit(admin(ORG2), "Report", ORG1, of.id, "Installed", "Failed", "", text)

    # Then: an empty one stands for none
    if len(text) >= 20_000:
        assert (voted.code, told.code) == ("INVALID", "INVALID")
        return
    assert (voted.code, told.code) == ("", "")
    facts = ledger.facts(ORG1, of.id)
    assert [vote.reason for vote in facts.votes if vote.msp_id == ORG2] == [text or None]
    assert [report.message for report in facts.reports] == [text or None]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("position", range(6), ids=["creator", "id", "step", "outcome", "evidence", "nothing"])
def test_arguments_that_name_something_refuse_what_names_nothing(text: str, position: int) -> None:
    # Given
    ledger = Ledger(NOW)
    assert ledger.submit(admin(ORG1), "Propose", document().canonical()).ok
    arguments = [ORG1, "basic-1", "Installed", "Failed", ""]

    # When: one argument is hostile, or there is one too many and one more
    arguments[position : position + 1] = [text] if position < len(arguments) else ["", text, text]
    answer = ledger.simulate(admin(ORG2), "Report", *arguments)

    # Then
    if position == 4 and not text:
        assert answer.ok
        return
    assert answer.code in {"INVALID", "NOT_FOUND"}
    assert not answer.writes

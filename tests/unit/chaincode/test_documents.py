"""Documents: every bound, one encoding each, labels and hashes that others can compute too."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from unit.chaincode.packages import ARCHIVE, COLLECTION, GIT, K8S, find
from unit.chaincode.strategies import (
    DIGEST,
    NOW,
    ccaas_package,
    chaincode_content,
    document,
    facts,
    hex_hash,
    proposals,
)

from opssc_chaincode.canonical import dumps
from opssc_chaincode.model import (
    CcaasPackage,
    Connection,
    DocumentError,
    Facts,
    Image,
    Proposal,
    ProposalDocument,
    ccaas_label,
    definition_hash,
    format_time,
    parse_time,
)

Raw = dict[str, Any]


@given(proposals())
def test_a_proposal_has_one_encoding(proposal: Proposal) -> None:
    assert Proposal.parse(proposal.canonical()) == proposal
    assert Proposal.parse(proposal.canonical()).content_hash == proposal.hash


@given(facts())
def test_facts_have_one_encoding(known: Facts) -> None:
    assert Facts.parse(known.canonical()) == known


def changed(path: str, value: Any) -> Callable[[Raw], None]:
    """Set the member at a dotted path; None removes."""

    def change(raw: Raw) -> None:
        target, last = find(raw, path)
        if value is None:
            del target[last]
        else:
            target[last] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(changed("description", "line\nline \u20ac"), id="a description"),
        pytest.param(changed("content.package", K8S), id="package k8s"),
        pytest.param(changed("content.package", ARCHIVE), id="package archive"),
        pytest.param(changed("content.package", GIT), id="package git"),
        pytest.param(changed("content.package", {"unchanged": {}}), id="package unchanged"),
        pytest.param(changed("content.packageID", None), id="package ID not known"),
        pytest.param(changed("content.collections", [COLLECTION]), id="a collection"),
        pytest.param(changed("content.endorsementPolicy", {"signature": "AND('Org1MSP.peer')"}), id="signature policy"),
        pytest.param(changed("content.package.ccaas.indexes", {"indexes/a.json": "{}"}), id="an index"),
    ],
)
def test_documents_that_are_fine(change: Callable[[Raw], None]) -> None:
    raw = document().to_json()
    change(raw)
    if "ccaas" not in raw["content"]["package"]:
        raw["content"].pop("packageID")

    parsed = ProposalDocument.parse(dumps(raw))

    assert parsed.to_json() == raw


@pytest.mark.parametrize(
    ("change", "field"),
    [
        pytest.param(changed("schema", 2), "schema", id="another schema"),
        pytest.param(changed("schema", "1"), "schema", id="a number as text"),
        pytest.param(changed("schema", value=True), "schema", id="a number as truth"),
        pytest.param(changed("extra", 1), "extra", id="unknown field"),
        pytest.param(changed("schema_version", 1), "schema_version", id="a field by its Python name"),
        pytest.param(changed("content.extra", 1), "extra", id="unknown field inside"),
        pytest.param(changed("content", None), "content", id="no content"),
        pytest.param(changed("id", ""), "id", id="empty id"),
        pytest.param(changed("id", "a" * 64), "id", id="long id"),
        pytest.param(changed("id", "Basic"), "id", id="capital in the id"),
        pytest.param(changed("id", "-a"), "id", id="hyphen first"),
        pytest.param(changed("id", "a\n"), "id", id="line end in the id"),
        pytest.param(changed("kind", "Operation"), "kind", id="unknown kind"),
        pytest.param(changed("kind", "Channel"), "kind", id="kind not supported"),
        pytest.param(changed("kind", "Charter"), "content", id="content of another kind"),
        pytest.param(changed("deadline", "2026-03-08T12:00:00+00:00"), "deadline", id="zone in other words"),
        pytest.param(changed("deadline", "2026-03-08T12:00:00.5Z"), "deadline", id="part of a second"),
        pytest.param(changed("deadline", "2026-02-30T12:00:00Z"), "deadline", id="no such day"),
        pytest.param(changed("deadline", 1772971200), "deadline", id="time as number"),
        pytest.param(changed("description", "d" * 4097), "description", id="long description"),
        pytest.param(changed("description", ""), "description", id="empty description"),
        pytest.param(changed("content.name", "a..b"), "name", id="chaincode name"),
        pytest.param(changed("content.name", "qscc"), "system chaincode", id="name of a system chaincode"),
        pytest.param(changed("content.version", "1 0"), "version", id="chaincode version"),
        pytest.param(changed("content.sequence", 0), "sequence", id="sequence 0"),
        pytest.param(changed("content.sequence", 2**53), "integer", id="endless sequence"),
        pytest.param(changed("content.initRequired", value=False), "default", id="a default spelled out"),
        pytest.param(changed("content.init", {"function": "init"}), "initRequired", id="init without need"),
        pytest.param(changed("content.definitionHash", "A" * 64), "definitionHash", id="hash in capitals"),
        pytest.param(changed("content.endorsementPolicy", {}), "exactly one", id="no policy"),
        pytest.param(
            changed("content.endorsementPolicy", {"signature": "OR()", "channelPolicy": "/a"}),
            "exactly one",
            id="two policies",
        ),
        pytest.param(changed("content.endorsementPolicy", {"signature": "OR(`id`)"}), "signature", id="shell"),
        pytest.param(changed("content.collections", [{**COLLECTION, "name": "_x"}]), "name", id="collection name"),
        pytest.param(changed("content.collections", [COLLECTION, COLLECTION]), "twice", id="a collection twice"),
        pytest.param(changed("content.collections", [{**COLLECTION, "requiredPeerCount": 1}]), "max", id="peer counts"),
        pytest.param(changed("content.collections", [{**COLLECTION, "blockToLive": -1}]), "blockToLive", id="blocks"),
        pytest.param(changed("content.package", {}), "exactly one", id="no package"),
        pytest.param(changed("content.package", {**GIT, "unchanged": {}}), "exactly one", id="two packages"),
        pytest.param(changed("content.packageID", "other:" + "a" * 64), "label", id="package ID of another label"),
        pytest.param(changed("content.package.ccaas.label", "basic-000000000000"), "label", id="label not bound"),
        pytest.param(changed("content.package.ccaas.image.digest", "sha256:" + "cd" * 32), "label", id="other image"),
        pytest.param(changed("content.package.ccaas.connection.port", 9998), "label", id="other port"),
        pytest.param(changed("content.package.ccaas.connection.port", 65536), "port", id="no such port"),
        pytest.param(changed("content.package.ccaas.connection.address", "a b:1"), "address", id="address"),
        pytest.param(
            changed("content.package.ccaas.connection.tlsRequired", value=True), "rootCert", id="TLS without root"
        ),
        pytest.param(changed("content.package.ccaas.image.name", "../x"), "name", id="image name"),
        pytest.param(changed("content.package.ccaas.image.name", "x:latest"), "name", id="image with tag"),
        pytest.param(changed("content.package.ccaas.indexes", {"../a.json": "{}"}), "indexes", id="path of an index"),
        pytest.param(
            changed("content.package", {"git": {**GIT["git"], "repository": "ssh://a/b"}}),
            "repository",
            id="git by ssh",
        ),
        pytest.param(changed("content.package", {"git": {**GIT["git"], "commit": "main"}}), "commit", id="git branch"),
        pytest.param(changed("content.package", {"git": {**GIT["git"], "path": "a/../b"}}), "path", id="path upwards"),
        pytest.param(
            changed("content.package", {"archive": {**ARCHIVE["archive"], "urls": ["file:///etc/passwd"]}}),
            "urls",
            id="archive from a file",
        ),
        pytest.param(changed("snapshot.members", ["Org2MSP", "Org1MSP", "Org3MSP"]), "sorted", id="unsorted members"),
        pytest.param(changed("snapshot.members", ["Org1MSP", "Org1MSP"]), "sorted", id="a member twice"),
        pytest.param(changed("snapshot.members", []), "members", id="no members"),
        pytest.param(changed("snapshot.rule.n", 4), "more than", id="n too large"),
        pytest.param(changed("snapshot.rule.n", 0), "n", id="n zero"),
        pytest.param(changed("snapshot.rule.of", ["StrangerMSP"] * 3), "StrangerMSP", id="rule of strangers"),
        pytest.param(changed("snapshot.configHash", ""), "configHash", id="no config hash"),
        pytest.param(changed("snapshot.charter", {}), "version", id="charter without version"),
        pytest.param(changed("snapshot.charter.maxClockSkewSeconds", 86400), "Skew", id="boundless skew"),
        pytest.param(
            changed("snapshot.charter.votingPeriod", {"default": 3600, "max": 60}), "default", id="voting period"
        ),
    ],
)
def test_documents_that_are_refused(change: Callable[[Raw], None], field: str) -> None:
    raw = json.loads(document().canonical())
    change(raw)

    with pytest.raises(DocumentError) as refused:
        ProposalDocument.parse(json.dumps(raw, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())

    assert field in str(refused.value)
    assert len(str(refused.value)) < 600


def test_an_explicit_null_is_refused() -> None:
    data = document().canonical().replace(b',"id"', b',"description":null,"id"')

    with pytest.raises(DocumentError, match="null"):
        ProposalDocument.parse(data)


def test_meaning_is_kind_and_content() -> None:
    moment = document(deadline=NOW)
    other = document(content=chaincode_content(version="2.0"))

    assert document().same_meaning(moment)
    assert document().content_hash != moment.content_hash
    assert not document().same_meaning(other)


def test_a_copy_with_other_parts_has_a_hash_of_its_own() -> None:
    given = document()
    before = given.content_hash

    copy = given.model_copy(update={"deadline": NOW})

    assert (given.content_hash, copy.content_hash) == (before, document(deadline=NOW).content_hash)
    assert copy.content_hash != before


def test_asking_for_the_hash_changes_nothing_about_the_document() -> None:
    asked, untouched = document(), document()

    assert asked.content_hash

    assert asked == untouched
    assert asked.canonical() == untouched.canonical()


def test_the_content_hash_binds_kind_content_snapshot_and_deadline_only() -> None:
    given = document()
    bound = {name: given.to_json()[name] for name in ("kind", "content", "snapshot", "deadline")}

    assert given.content_hash == hex_hash(dumps(bound).decode())
    assert document(proposal_id="other").content_hash == given.content_hash


def test_the_label_binds_digest_and_connection() -> None:
    connection = Connection(port=9999)

    label = ccaas_label("basic", DIGEST, connection)

    by_hand = '{"connection":{"port":9999},"digest":"' + DIGEST + '"}'
    assert label == "basic-" + hex_hash(by_hand)[:12]
    assert ccaas_label("basic", "sha256:" + "cd" * 32, connection) != label
    assert ccaas_label("basic", DIGEST, Connection(port=9999, address="{{.peername}}-basic:9999")) != label


@pytest.mark.parametrize("name", ["Basic_Asset", "1st", "x" * 128, "a-" * 40], ids=str)
def test_labels_of_any_chaincode_are_service_names(name: str) -> None:
    connection = Connection(port=7052)

    package = CcaasPackage(
        label=ccaas_label(name, DIGEST, connection), image=Image(name="a/b", digest=DIGEST), connection=connection
    )

    assert len(package.label) <= 63
    assert package.address == f"{package.label}:7052"


def test_an_explicit_address_wins() -> None:
    connection = Connection(port=9999, address="{{.chaincode_host}}:9999")
    label = ccaas_label("basic", DIGEST, connection)

    package = CcaasPackage(label=label, image=Image(name="a", digest=DIGEST), connection=connection)

    assert package.address == "{{.chaincode_host}}:9999"


def test_the_definition_hash_fills_in_fabrics_defaults() -> None:
    spelled_out = definition_hash(
        name="basic",
        version="1.0",
        sequence=1,
        endorsement_plugin="escc",
        validation_plugin="vscc",
        validation_parameter=b"\x12\x20/Channel/Application/Endorsement",
    )

    assert definition_hash(name="basic", version="1.0", sequence=1) == spelled_out
    assert definition_hash(name="basic", version="1.0", sequence=1, init_required=True) != spelled_out
    assert definition_hash(name="basic", version="1.0", sequence=1, collections=b"x") != spelled_out
    by_hand = (
        '{"collections":"","endorsementPlugin":"escc","initRequired":false,"name":"basic","sequence":1,'
        '"validationParameter":"EiAvQ2hhbm5lbC9BcHBsaWNhdGlvbi9FbmRvcnNlbWVudA==","validationPlugin":"vscc",'
        '"version":"1.0"}'
    )
    assert spelled_out == hex_hash(by_hand)


def test_packages_tell_their_source() -> None:
    assert ccaas_package().label == ccaas_package().source.label  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-02-28T00:00:00Z"])
def test_times_are_written_as_they_are_read(text: str) -> None:
    assert format_time(parse_time(text)) == text


@pytest.mark.parametrize(
    "text",
    ["2026-3-08T12:00:00Z", "2026-03-08 12:00:00Z", "2026-03-08T12:00:00z", "\uff12026-03-08T12:00:00Z", "", "0Z"],
)
def test_other_spellings_of_times_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="RFC 3339"):
        parse_time(text)

"""AC-31, AC-32, AC-08: a hostile organization that writes past its operator convinces nobody and breaks nothing."""

from __future__ import annotations

import asyncio
import copy
import json
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from e2e import oracle
from e2e.contract_call import CONTRACT, GOVERNANCE, refusal_of

from fabric_admin.blocks import transactions
from fabric_admin.errors import FabricError
from opssc_chaincode import canonical
from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_operator.api.refs import ProposalRef, mirror_name
from opssc_tools.environment import manifests
from opssc_tools.environment.objects import condition
from opssc_tools.environment.readback import facts_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from e2e.scenario import Scenario

    from opssc_tools.environment.objects import Body

GIVEN = ("schema", "id", "kind", "content", "snapshot", "deadline", "description")
Document = dict[str, Any]


async def honest_document(scenario: Scenario) -> Document:
    """What the operator of organization 1 would propose, and did under the scenario's own id."""
    await scenario.propose()
    answer = await scenario.creator.reader.evaluate(GOVERNANCE, CONTRACT, "GetProposal", "Org1MSP", scenario.ref.id)
    stored = json.loads(answer)["proposal"]
    return {name: stored[name] for name in GIVEN if name in stored}


def changed(document: Document, path: str, value: object) -> Document:
    """A copy with one thing said otherwise."""
    copied = copy.deepcopy(document)
    *parents, last = path.split(".")
    place: Any = copied
    for parent in parents:
        place = place[int(parent)] if parent.isdecimal() else place[parent]
    place[int(last) if last.isdecimal() else last] = value
    return copied


async def propose_past_the_operator(scenario: Scenario, document: Document) -> str:
    """The contract's refusal; empty when it took the document."""
    return await refusal_of(scenario.creator, "Propose", canonical.dumps(document).decode())


LIES: list[Any] = [
    # With one vote, that of the proposer, the first two are accepted as soon as they are proposed.
    pytest.param(
        {"snapshot.members": ["Org1MSP"], "snapshot.rule": {"n": 1, "of": ["Org1MSP"]}}, "members, rule", id="members"
    ),
    pytest.param({"snapshot.rule.n": 1}, "rule", id="rule"),
    pytest.param({"snapshot.members": ["Org1MSP", "Org2MSP", "Org3MSP", "Org4MSP"]}, "members", id="outsider"),
    pytest.param({"snapshot.configHash": "00" * 32}, "configHash", id="config"),
]


@pytest.mark.parametrize(("lies", "words"), LIES)
async def test_a_false_snapshot_convinces_nobody(scenario: Scenario, lies: Document, words: str) -> None:
    # Given
    document = changed(await honest_document(scenario), "id", f"{scenario.ref.id}-lie")
    for path, value in lies.items():
        document = changed(document, path, value)
    lie = ProposalRef("Org1MSP", document["id"])

    # When: proposed past the operator, and agreed to in good faith
    assert not await propose_past_the_operator(scenario, document)

    # Then: every operator says so, the liar's own one too, which has no object to say it on
    def refused(body: Body | None) -> bool:
        found = condition(body, ConditionType.VERIFIED)
        return (found.get("status"), found.get("reason")) == ("False", "SnapshotMismatch")

    for member in scenario.members[1:]:
        body = await member.until(Kind.CHAINCODE_PROPOSAL, mirror_name(lie), refused, "refused", seconds=60.0)
        assert condition(body, ConditionType.VERIFIED)["message"].startswith(f"{words} differ from what the own peer")
        assert condition(body, ConditionType.READY)["status"] == "False"
    second = scenario.members[1]
    shown = second.objects.get(Kind.CHAINCODE_PROPOSAL, mirror_name(lie)) or {}
    await second.apply(manifests.build_vote("Org1MSP", lie.id, content_hash=shown["status"]["contentHash"]))

    def not_sent(body: Body | None) -> bool:
        return condition(body, ConditionType.COUNTED).get("status") == "False"

    await second.until(Kind.VOTE, lie.id, not_sent, "not counted", seconds=30.0)
    await oracle.assert_nothing_done(scenario)
    facts = facts_of(await scenario.creator.reader.transactions(GOVERNANCE), "Org1MSP", lie.id)
    assert [fact for fact in facts if fact.startswith("vote")] == ["vote Org1MSP"]

    # And: Fabric's own policy keeps the liar from committing alone
    definition = oracle.expected_definition(scenario)
    lifecycle = scenario.creator.reader.lifecycle
    await lifecycle.approve(scenario.channel, definition, None)
    with pytest.raises(FabricError, match="ENDORSEMENT_POLICY_FAILURE"):
        await lifecycle.commit(scenario.channel, definition, endorsing_organizations=("Org1MSP",))


FIELDS = (
    "id",
    "content.channel",
    "content.name",
    "content.version",
    "content.endorsementPolicy.channelPolicy",
    "content.package.ccaas.label",
    "content.package.ccaas.image.name",
    "content.package.ccaas.image.digest",
    "content.package.ccaas.connection.address",
    "content.packageID",
    "content.definitionHash",
    "snapshot.channel",
    "snapshot.members.0",
    "snapshot.configHash",
    "deadline",
)
STRINGS = (
    "$(touch {marker})`touch {marker}`;touch {marker}|touch {marker}&",
    "../../../../etc/passwd",
    "{{ .Values.secret }}{{config}}%s%n${jndi:ldap://x}",
    "a: &a [*a]\n- !!python/object/apply:os.system ['touch {marker}']\n",
    "file:///etc/passwd",
    "'; DROP TABLE x; --",
    "\u202e\u200b\ufeff\U0010ffff",
    "\x1b]0;owned\x07\x00\r\n",
    "A" * 600_000,
)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """A file that comes to be if anybody takes what is said for a command."""
    return tmp_path / "owned"


async def test_hostile_strings_are_refused_with_a_code_in_every_field_that_means_something(
    scenario: Scenario, marker: Path
) -> None:
    # Given
    honest = await honest_document(scenario)

    # When
    cases = [(field, text.replace("{marker}", str(marker))) for field in FIELDS for text in STRINGS]
    answers = []
    for start in range(0, len(cases), 10):
        some = [changed(honest, field, text) for field, text in cases[start : start + 10]]
        answers.extend(await asyncio.gather(*(propose_past_the_operator(scenario, document) for document in some)))

    # Then
    wrong = [
        (field, text[:20], answer)
        for (field, text), answer in zip(cases, answers, strict=True)
        if "INVALID: " not in answer
    ]
    assert wrong == []
    assert (await oracle.read_record(scenario)).proposals == 1
    assert not marker.exists()


async def test_hostile_texts_are_shown_as_they_are_and_nothing_comes_of_them(scenario: Scenario, marker: Path) -> None:
    # Given: what people may write freely holds everything that somebody could mistake for code
    shell = f"$(touch {marker}) `touch {marker}`"
    text = f"{shell} {{{{ .Values.secret }}}} a: &a [*a] <script> ../../etc/passwd \u202e\u200b %s"
    document = {**await honest_document(scenario), "id": f"{scenario.ref.id}-text", "description": text}
    hostile = ProposalRef("Org1MSP", document["id"])
    assert not await propose_past_the_operator(scenario, document)
    first, second, third = scenario.members

    # When
    for member in (second, third):
        await member.until_true(Kind.CHAINCODE_PROPOSAL, mirror_name(hostile), ConditionType.VERIFIED)
    shown = second.objects.get(Kind.CHAINCODE_PROPOSAL, mirror_name(hostile)) or {}
    hash_ = shown["status"]["contentHash"]
    assert not await refusal_of(second, "Vote", "Org1MSP", hostile.id, hash_, "Disagree", text)
    assert not await refusal_of(third, "Vote", "Org1MSP", hostile.id, hash_, "Agree", text)
    assert not await refusal_of(second, "Report", "Org1MSP", hostile.id, "Installed", "Failed", "", text)

    # Then: as written in the spec, and without what nobody sees in the status
    assert shown["spec"]["description"] == text
    seen = text.replace("\u202e\u200b ", "")

    def tells(body: Body | None) -> bool:
        votes = (body or {}).get("status", {}).get("votes", ())
        return any(vote["mspID"] == "Org2MSP" and vote.get("reason") == seen for vote in votes)

    await third.until(Kind.CHAINCODE_PROPOSAL, mirror_name(hostile), tells, "tells the reason", seconds=30.0)
    for member in scenario.consortium.members:
        member.operator.check()
    assert first.operator.running
    assert not marker.exists()


async def until_closed(scenario: Scenario, ref: ProposalRef) -> None:
    """Follow the ledger until a closing of the proposal stands there."""
    async with asyncio.timeout(60.0), aclosing(scenario.creator.reader.deliver.blocks(GOVERNANCE, start=0)) as blocks:
        async for block in blocks:
            if "closing" in facts_of(list(transactions(block)), ref.creator, ref.id):
                return


async def test_what_nobody_decided_expires_is_closed_by_a_member_and_takes_no_more_votes(
    new_scenario: Callable[..., Scenario],
) -> None:
    # Given: no manifest has so short a period; the charter it brings leaves no time for clocks that differ
    scenario = new_scenario()
    document = changed(await honest_document(scenario), "id", f"{scenario.ref.id}-short")
    deadline = datetime.now(UTC) + timedelta(seconds=8)
    document["deadline"] = f"{deadline:%Y-%m-%dT%H:%M:%SZ}"
    document["snapshot"]["charter"]["maxClockSkewSeconds"] = 2
    short = ProposalRef("Org1MSP", document["id"])
    assert not await propose_past_the_operator(scenario, document)

    # When
    def expired(body: Body | None) -> bool:
        stalled = condition(body, ConditionType.STALLED)
        return (body or {}).get("status", {}).get("phase") == "Expired" and stalled.get("reason") == "Expired"

    for member in scenario.members[1:]:
        body = await member.until(Kind.CHAINCODE_PROPOSAL, mirror_name(short), expired, "expired", seconds=60.0)

    # Then: closed on the ledger, and final
    await until_closed(scenario, short)
    late = await refusal_of(
        scenario.members[1], "Vote", "Org1MSP", short.id, body["status"]["contentHash"], "Agree", ""
    )
    assert "CLOSED: " in late
    voter = scenario.members[1]
    vote = manifests.build_vote("Org1MSP", short.id, content_hash=body["status"]["contentHash"])
    await voter.apply(vote)
    told = await voter.until_reason(Kind.VOTE, short.id, ConditionType.COUNTED, "VotingClosed", seconds=30.0)
    assert told["status"]["submitted"] is False
    facts = facts_of(await scenario.creator.reader.transactions(GOVERNANCE), "Org1MSP", short.id)
    assert [fact for fact in facts if fact.startswith("vote")] == ["vote Org1MSP"]
    await oracle.assert_nothing_done(scenario)

"""Every transaction of the contract against its rules: who may, when, and what is refused with which code."""

from datetime import timedelta

import pytest
from unit.chaincode.identities import admin, client, creator
from unit.chaincode.ledger import Ledger, Simulation
from unit.chaincode.strategies import NOW, chaincode_content, document, members

from opssc_chaincode.canonical import dumps, loads
from opssc_chaincode.model import (
    SCHEMA,
    Charter,
    CharterInForce,
    Decision,
    Evidence,
    Facts,
    Info,
    Kind,
    Proposal,
    ProposalDocument,
    Role,
    Roles,
    Rule,
    majority,
)
from opssc_chaincode.state import ProposalKey, proposal_of

ORG1, ORG2, ORG3 = members(3)
BASIC = (ORG1, "basic-1")
SKEW = timedelta(seconds=300)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(NOW)


@pytest.fixture
def proposed(ledger: Ledger) -> Proposal:
    answer = ledger.submit(admin(ORG1), "Propose", document().canonical())
    return Proposal.parse(answer.response.payload)


def vote(ledger: Ledger, of: Proposal, msp_id: str, decision: str = "Agree") -> Simulation:
    return ledger.submit(admin(msp_id), "Vote", of.creator.msp_id, of.id, of.hash, decision)


def test_a_proposal_is_its_creators_agreement(ledger: Ledger) -> None:
    given = document()

    answer = ledger.submit(admin(ORG1), "Propose", given.canonical())

    facts = ledger.facts(*BASIC)
    assert facts.proposal == Proposal.parse(answer.response.payload)
    assert facts.proposal.creator.msp_id == ORG1
    assert facts.proposal.hash == given.content_hash
    assert [(vote.msp_id, vote.decision) for vote in facts.votes] == [(ORG1, Decision.AGREE)]
    assert answer.events == [("opssc.changed", b'{"creator":"Org1MSP","id":"basic-1"}')]


def test_the_same_proposal_again_succeeds_and_writes_nothing(ledger: Ledger, proposed: Proposal) -> None:
    ledger.now += timedelta(days=1)
    later = document(deadline=NOW + timedelta(days=8))

    again = ledger.simulate(admin(ORG1), "Propose", later.canonical())

    assert Proposal.parse(again.response.payload) == proposed
    assert not again.writes
    assert not again.events


def test_the_same_id_with_other_content_conflicts(ledger: Ledger, proposed: Proposal) -> None:
    other = document(content=chaincode_content(version="2.0"))

    answer = ledger.simulate(admin(ORG1), "Propose", other.canonical())

    assert answer.code == "CONFLICT"
    assert proposed.name in answer.response.message


def test_two_organizations_may_use_the_same_id(ledger: Ledger, proposed: Proposal) -> None:
    answer = ledger.submit(admin(ORG2), "Propose", document().canonical())

    assert Proposal.parse(answer.response.payload).name == f"{ORG2}/{proposed.id}"
    assert ledger.facts(*BASIC).proposal == proposed


@pytest.mark.parametrize(
    ("caller", "code"),
    [
        pytest.param(creator("StrangerMSP", "admin"), "FORBIDDEN", id="not a member"),
        pytest.param(client(ORG1), "FORBIDDEN", id="a client"),
        pytest.param(creator(ORG1), "FORBIDDEN", id="no role at all"),
        pytest.param(creator(ORG1, role="agent"), "FORBIDDEN", id="an agent"),
        pytest.param(creator(ORG1, "ADMIN"), "FORBIDDEN", id="another spelling of the role"),
        pytest.param(b"", "FORBIDDEN", id="no identity"),
        pytest.param(creator(ORG1, role="voter"), "", id="a voter by attribute"),
    ],
)
def test_who_may_propose(ledger: Ledger, caller: bytes, code: str) -> None:
    assert ledger.simulate(caller, "Propose", document().canonical()).code == code


@pytest.mark.parametrize(
    ("deadline", "code"),
    [
        pytest.param(NOW, "INVALID", id="now"),
        pytest.param(NOW + timedelta(seconds=1), "", id="soon"),
        pytest.param(NOW + timedelta(days=90), "", id="the latest"),
        pytest.param(NOW + timedelta(days=90, seconds=1), "INVALID", id="too late"),
    ],
)
def test_the_deadline_is_within_the_charters_limits(ledger: Ledger, deadline: object, code: str) -> None:
    given = document(deadline=deadline)  # type: ignore[arg-type]

    assert ledger.simulate(admin(ORG1), "Propose", given.canonical()).code == code


def test_content_and_snapshot_are_of_one_channel(ledger: Ledger) -> None:
    given = document(content=chaincode_content(channel="otherchannel"))

    answer = ledger.simulate(admin(ORG1), "Propose", given.canonical())

    assert answer.code == "INVALID"
    assert "otherchannel" in answer.response.message


@pytest.mark.parametrize(
    ("ahead", "code"),
    [
        pytest.param(SKEW, "", id="as much as allowed"),
        pytest.param(-SKEW, "", id="as much behind"),
        pytest.param(SKEW + timedelta(microseconds=1), "CLOCK_SKEW", id="too far ahead"),
        pytest.param(-SKEW - timedelta(microseconds=1), "CLOCK_SKEW", id="too far behind"),
    ],
)
def test_every_write_needs_a_clock_that_agrees(ledger: Ledger, proposed: Proposal, ahead: timedelta, code: str) -> None:
    key = (proposed.creator.msp_id, proposed.id)
    at = NOW + ahead

    refused = [
        ledger.simulate(admin(ORG1), "Propose", document(proposal_id="other").canonical(), at=at).code,
        ledger.simulate(admin(ORG2), "Vote", *key, proposed.hash, "Agree", at=at).code,
        ledger.simulate(admin(ORG1), "Close", *key, "Withdrawn", "", at=at).code,
        ledger.simulate(client(ORG2), "Report", *key, "Installed", "Failed", "", "", at=at).code,
    ]

    assert refused == [code] * 4


def test_times_on_the_ledger_are_the_transactions_in_whole_seconds(ledger: Ledger) -> None:
    at = NOW + timedelta(seconds=7, microseconds=999_999)

    ledger.submit(admin(ORG1), "Propose", document().canonical(), at=at)

    assert ledger.facts(*BASIC).proposal.created_time == NOW + timedelta(seconds=7)


def test_a_vote_is_stored_with_its_reason(ledger: Ledger, proposed: Proposal) -> None:
    ledger.submit(admin(ORG2), "Vote", *BASIC, proposed.hash, "Disagree", "too early")

    stored = ledger.facts(*BASIC).votes[1]
    assert (stored.msp_id, stored.decision, stored.reason) == (ORG2, Decision.DISAGREE, "too early")
    assert stored.content_hash == proposed.hash


def test_the_same_vote_again_succeeds_even_when_closed(ledger: Ledger, proposed: Proposal) -> None:
    vote(ledger, proposed, ORG2, "Disagree")
    ledger.submit(admin(ORG1), "Close", *BASIC, "Withdrawn", "")

    again = ledger.simulate(admin(ORG2), "Vote", *BASIC, proposed.hash, "Disagree", "another reason")

    assert again.ok
    assert not again.writes


def test_another_vote_of_the_same_organization_conflicts(ledger: Ledger, proposed: Proposal) -> None:
    vote(ledger, proposed, ORG2)

    assert vote(ledger, proposed, ORG2, "Disagree").code == "CONFLICT"
    assert vote(ledger, proposed, ORG1, "Disagree").code == "CONFLICT"


@pytest.mark.parametrize(
    ("caller", "args", "code"),
    [
        pytest.param(admin(ORG2), (ORG1, "unknown", "a" * 64, "Agree"), "NOT_FOUND", id="unknown id"),
        pytest.param(admin(ORG2), (ORG2, "basic-1", "a" * 64, "Agree"), "NOT_FOUND", id="unknown creator"),
        pytest.param(admin(ORG2), (*BASIC, "a" * 64, "Agree"), "HASH_MISMATCH", id="another hash"),
        pytest.param(admin(ORG2), (*BASIC, "A" * 64, "Agree"), "INVALID", id="no hash"),
        pytest.param(admin(ORG2), (*BASIC, "a" * 64, "agree"), "INVALID", id="no decision"),
        pytest.param(admin(ORG2), (*BASIC, "a" * 64, "Agree", "r" * 1025), "INVALID", id="long reason"),
        pytest.param(admin(ORG2), (*BASIC, "a" * 64), "INVALID", id="argument missing"),
        pytest.param(admin(ORG2), (*BASIC, "a" * 64, "Agree", "", ""), "INVALID", id="argument too many"),
        pytest.param(admin(ORG2), ("Org1/MSP", "basic-1", "a" * 64, "Agree"), "INVALID", id="slash in the creator"),
        pytest.param(admin(ORG2), (ORG1, "basic-1\x00", "a" * 64, "Agree"), "INVALID", id="NUL in the id"),
        pytest.param(admin(ORG2), (ORG1, "basic-1\n", "a" * 64, "Agree"), "INVALID", id="line end in the id"),
        pytest.param(admin("StrangerMSP"), (*BASIC, "a" * 64, "Agree"), "FORBIDDEN", id="not a member"),
        pytest.param(client(ORG2), (*BASIC, "a" * 64, "Agree"), "FORBIDDEN", id="not an admin"),
    ],
)
@pytest.mark.usefixtures("proposed")
def test_votes_that_are_refused(ledger: Ledger, caller: bytes, args: tuple[str, ...], code: str) -> None:
    assert ledger.simulate(caller, "Vote", *args).code == code


def test_the_last_second_of_the_voting_period_counts(ledger: Ledger, proposed: Proposal) -> None:
    ledger.now = proposed.deadline

    in_time = ledger.simulate(admin(ORG2), "Vote", *BASIC, proposed.hash, "Agree")
    late = ledger.simulate(
        admin(ORG2), "Vote", *BASIC, proposed.hash, "Agree", at=proposed.deadline + timedelta(microseconds=1)
    )

    assert in_time.ok
    assert late.code == "CLOSED"


def test_a_closed_proposal_takes_no_votes_and_no_reports(ledger: Ledger, proposed: Proposal) -> None:
    ledger.submit(admin(ORG1), "Close", *BASIC, "Withdrawn", "no longer needed")

    assert vote(ledger, proposed, ORG2).code == "CLOSED"
    assert ledger.simulate(client(ORG2), "Report", *BASIC, "Installed", "Failed", "", "").code == "CLOSED"
    closing = ledger.facts(*BASIC).closing
    assert closing is not None
    assert (closing.cause, closing.reason) == ("Withdrawn", "no longer needed")


def test_the_same_closing_again_succeeds(ledger: Ledger, proposed: Proposal) -> None:
    ledger.submit(admin(ORG1), "Close", *BASIC, "Withdrawn", "")

    again = ledger.simulate(admin(ORG1), "Close", *BASIC, "Withdrawn", "")
    ledger.now = proposed.deadline + SKEW + timedelta(seconds=1)
    other = ledger.simulate(admin(ORG1), "Close", *BASIC, "Expired", "")

    assert again.ok
    assert not again.writes
    assert other.code == "CLOSED"


@pytest.mark.parametrize(
    ("caller", "cause", "code"),
    [
        pytest.param(admin(ORG2), "Withdrawn", "FORBIDDEN", id="another withdraws"),
        pytest.param(client(ORG1), "Withdrawn", "FORBIDDEN", id="a client withdraws"),
        pytest.param(admin("StrangerMSP"), "Expired", "FORBIDDEN", id="a stranger"),
        pytest.param(admin(ORG1), "Expired", "FORBIDDEN", id="before its time"),
        pytest.param(admin(ORG1), "Rejected", "INVALID", id="unknown cause"),
    ],
)
@pytest.mark.usefixtures("proposed")
def test_closings_that_are_refused(ledger: Ledger, caller: bytes, cause: str, code: str) -> None:
    assert ledger.simulate(caller, "Close", *BASIC, cause, "").code == code


def test_any_member_may_close_once_deadline_and_skew_are_over(ledger: Ledger, proposed: Proposal) -> None:
    ledger.now = proposed.deadline + SKEW
    early = ledger.simulate(admin(ORG3), "Close", *BASIC, "Expired", "")
    ledger.now += timedelta(seconds=1)

    answer = ledger.submit(admin(ORG3), "Close", *BASIC, "Expired", "")

    assert early.code == "FORBIDDEN"
    assert answer.ok


@pytest.mark.parametrize("decision", ["Agree", "Disagree"])
def test_a_decided_proposal_cannot_be_closed(ledger: Ledger, proposed: Proposal, decision: str) -> None:
    for msp_id in (ORG2, ORG3):
        assert vote(ledger, proposed, msp_id, decision).ok

    assert ledger.simulate(admin(ORG1), "Close", *BASIC, "Withdrawn", "").code == "CLOSED"


def evidence(of: Proposal) -> bytes:
    return Evidence(sequence=1, definition_hash=of.to_json()["content"]["definitionHash"]).canonical()


def test_reports_replace_each_other_and_are_counted(ledger: Ledger, proposed: Proposal) -> None:
    ledger.submit(client(ORG2), "Report", *BASIC, "Approved", "Failed", "", "peer is down")
    ledger.submit(client(ORG2), "Report", *BASIC, "Approved", "Failed", "", "peer is down")

    ledger.submit(admin(ORG2), "Report", *BASIC, "Approved", "Done", evidence(proposed), "")

    (report,) = ledger.facts(*BASIC).reports
    assert (report.msp_id, report.step, report.outcome, report.attempt) == (ORG2, "Approved", "Done", 3)
    assert report.message is None


def test_saying_again_what_is_done_writes_nothing(ledger: Ledger, proposed: Proposal) -> None:
    ledger.submit(client(ORG2), "Report", *BASIC, "Committed", "Done", evidence(proposed), "")

    again = ledger.simulate(client(ORG2), "Report", *BASIC, "Committed", "Done", evidence(proposed), "")

    assert again.ok
    assert not again.writes


@pytest.mark.parametrize(
    ("caller", "args", "code"),
    [
        pytest.param(client(ORG2), ("Applied", "Failed", "", ""), "INVALID", id="a step of another kind"),
        pytest.param(client(ORG2), ("Installed", "Maybe", "", ""), "INVALID", id="unknown outcome"),
        pytest.param(client(ORG2), ("Installed", "Done", "", ""), "INVALID", id="done without evidence"),
        pytest.param(client(ORG2), ("Installed", "Done", "{}", ""), "INVALID", id="done with empty evidence"),
        pytest.param(client(ORG2), ("Installed", "Failed", '{"sequence":1}', ""), "INVALID", id="foreign evidence"),
        pytest.param(client(ORG2), ("Installed", "Failed", '{"x":1}', ""), "INVALID", id="unknown evidence"),
        pytest.param(client(ORG2), ("Installed", "Failed", "{ }", ""), "INVALID", id="not canonical"),
        pytest.param(client(ORG2), ("Installed", "Failed", "", "m" * 1025), "INVALID", id="long message"),
        pytest.param(creator(ORG2, "peer"), ("Installed", "Failed", "", ""), "FORBIDDEN", id="a peer"),
        pytest.param(creator(ORG2, role="voter"), ("Installed", "Failed", "", ""), "FORBIDDEN", id="a voter only"),
        pytest.param(client("StrangerMSP"), ("Installed", "Failed", "", ""), "FORBIDDEN", id="a stranger"),
        pytest.param(creator(ORG2, role="agent"), ("Installed", "Failed", "", "why"), "", id="an agent"),
    ],
)
@pytest.mark.usefixtures("proposed")
def test_who_may_report_what(ledger: Ledger, caller: bytes, args: tuple[str, ...], code: str) -> None:
    assert ledger.simulate(caller, "Report", *BASIC, *args).code == code


def test_the_charter_of_the_proposal_says_which_role_votes(ledger: Ledger) -> None:
    charter = CharterInForce(version=1, proposal="Org3MSP/charter-1", roles=Roles(vote=Role.CLIENT, report=Role.ADMIN))
    ledger.submit(client(ORG1), "Propose", document(charter=charter).canonical())

    by_client = ledger.simulate(client(ORG2), "Report", *BASIC, "Installed", "Failed", "", "")
    by_admin = ledger.simulate(admin(ORG2), "Report", *BASIC, "Installed", "Failed", "", "")

    assert (by_client.code, by_admin.code) == ("FORBIDDEN", "")


def test_keys_read_by_a_vote_are_proposal_closing_and_own_vote(ledger: Ledger, proposed: Proposal) -> None:
    key = ProposalKey(*BASIC)

    simulated = ledger.simulate(admin(ORG2), "Vote", *BASIC, proposed.hash, "Agree")

    assert simulated.reads.keys() == {key.proposal, key.closing, key.vote(ORG2)}
    assert simulated.writes.keys() == {key.vote(ORG2)}
    assert not simulated.ranges
    assert {proposal_of(written) for written in simulated.writes} == {key}


def test_keys_read_by_a_closing_are_every_members_vote(ledger: Ledger, proposed: Proposal) -> None:
    key = ProposalKey(*BASIC)

    simulated = ledger.simulate(admin(ORG1), "Close", *BASIC, "Withdrawn", "")

    votes = {key.vote(msp_id) for msp_id in proposed.snapshot.members}
    assert simulated.reads.keys() == {key.proposal, key.closing, *votes}
    assert simulated.writes.keys() == {key.closing}


def charter_document(version: int = 1, previous: str | None = None, **snapshot: object) -> ProposalDocument:
    base = document()
    return ProposalDocument(
        schema_version=SCHEMA,
        id="charter-1",
        kind=Kind.CHARTER,
        content=Charter(version=version, previous=previous),
        snapshot=base.snapshot.model_copy(update={"channel": "ops-channel", **snapshot}),
        deadline=base.deadline,
    )


@pytest.mark.parametrize(
    ("given", "code"),
    [
        pytest.param(charter_document(), "", id="the first"),
        pytest.param(charter_document(version=2), "INVALID", id="a version left out"),
        pytest.param(charter_document(previous="Org1MSP/charter-0"), "INVALID", id="not the one in force"),
        pytest.param(charter_document(channel="mychannel"), "INVALID", id="of another channel"),
        pytest.param(charter_document(rule=Rule(n=1, of=members(3))), "INVALID", id="an easier rule"),
        pytest.param(charter_document(rule=majority(members(2))), "INVALID", id="of fewer members"),
    ],
)
def test_charters_follow_each_other_by_majority(ledger: Ledger, given: ProposalDocument, code: str) -> None:
    assert ledger.simulate(admin(ORG1), "Propose", given.canonical()).code == code


def test_a_charter_has_no_steps_to_report(ledger: Ledger) -> None:
    ledger.submit(admin(ORG1), "Propose", charter_document().canonical())

    answer = ledger.simulate(client(ORG2), "Report", ORG1, "charter-1", "Installed", "Failed", "", "")

    assert answer.code == "INVALID"


def test_pages_hold_every_proposal_once_with_its_facts(ledger: Ledger) -> None:
    for number in range(7):
        name = f"p-{number}"
        for msp_id in (ORG1, ORG2):
            content = chaincode_content(name=name)
            answer = ledger.submit(admin(msp_id), "Propose", document(proposal_id=name, content=content).canonical())
            vote(ledger, Proposal.parse(answer.response.payload), ORG3)

    found: list[Facts] = []
    bookmark = ""
    while True:
        page = ledger.page(size=3, bookmark=bookmark)
        found += page.proposals
        bookmark = page.bookmark
        if not bookmark:
            break

    assert [facts.proposal.name for facts in found] == sorted(f"{org}/p-{n}" for org in (ORG1, ORG2) for n in range(7))
    assert all(facts == ledger.facts(facts.proposal.creator.msp_id, facts.proposal.id) for facts in found)
    assert all(len(facts.votes) == 2 for facts in found)


def test_a_list_may_be_filtered(ledger: Ledger, proposed: Proposal) -> None:
    ledger.submit(admin(ORG2), "Propose", document().canonical())
    ledger.submit(admin(ORG1), "Propose", charter_document().canonical())

    def names(wanted: str) -> list[str]:
        return [facts.proposal.name for facts in ledger.page(wanted).proposals]

    assert names('{"creator":"Org2MSP"}') == ["Org2MSP/basic-1"]
    assert names('{"kind":"Charter"}') == ["Org1MSP/charter-1"]
    assert names('{"channel":"mychannel"}') == [proposed.name, "Org2MSP/basic-1"]
    assert names('{"channel":"none"}') == []


@pytest.mark.parametrize(
    "args",
    [
        pytest.param(("{}",), id="argument missing"),
        pytest.param(("", "10", ""), id="no filter"),
        pytest.param(('{"phase":"Voting"}', "10", ""), id="unknown filter"),
        pytest.param(("{}", "0", ""), id="empty page"),
        pytest.param(("{}", "101", ""), id="large page"),
        pytest.param(("{}", "٣", ""), id="digits of another script"),
        pytest.param(("{}", "1" * 100_000, ""), id="endless number"),
        pytest.param(("{}", "10", "nonsense"), id="no bookmark"),
        pytest.param(('{"creator":"Org1MSP"}', "10", "Org2MSP/basic-1"), id="bookmark of another list"),
    ],
)
def test_lists_that_are_refused(ledger: Ledger, args: tuple[str, ...]) -> None:
    assert ledger.simulate(b"", "ListProposals", *args).code == "INVALID"


def test_large_proposals_make_short_pages(ledger: Ledger) -> None:
    indexes = {f"indexes/i{number}.json": "x" * 16384 for number in range(28)}
    raw = document().to_json()
    raw["content"]["package"]["ccaas"]["indexes"] = indexes
    for number in range(20):
        assert ledger.submit(admin(ORG1), "Propose", dumps(raw | {"id": f"large-{number:02}"})).ok

    first = ledger.page()
    second = ledger.page(bookmark=first.bookmark)

    names = [facts.proposal.id for facts in (*first.proposals, *second.proposals)]
    assert names == [f"large-{number:02}" for number in range(20)]
    assert 0 < len(first.proposals) < 20
    assert second.bookmark == ""


def test_an_unknown_proposal_is_not_found(ledger: Ledger) -> None:
    answer = ledger.simulate(b"", "GetProposal", ORG1, "unknown")

    assert (answer.code, answer.response.status) == ("NOT_FOUND", 404)


def test_the_contract_says_what_it_is(ledger: Ledger) -> None:
    info = Info.from_state(ledger.simulate(b"", "GetInfo").response.payload)

    assert (info.schema_version, info.kinds) == (SCHEMA, (Kind.CHAINCODE, Kind.CHANNEL, Kind.CHARTER))


@pytest.mark.parametrize("function", [b"", b"propose", b"\xff", b"GetInfo\x00"], ids=repr)
def test_unknown_functions_are_invalid(ledger: Ledger, function: bytes) -> None:
    assert ledger.simulate(admin(ORG1), function).code == "INVALID"
    assert ledger.simulate(admin(ORG1)).code == "INVALID"


def test_answers_are_what_is_stored(ledger: Ledger) -> None:
    answer = ledger.submit(admin(ORG1), "Propose", document().canonical())

    assert answer.writes[ProposalKey(*BASIC).proposal] == answer.response.payload
    assert dumps(loads(answer.response.payload)) == answer.response.payload

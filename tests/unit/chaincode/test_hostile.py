"""Hostile callers: any bytes as any argument, any identity, any order of calls."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.chaincode.identities import admin, client, creator
from unit.chaincode.ledger import Ledger, Simulation
from unit.chaincode.strategies import NOW, document, members

from opssc_chaincode.errors import Code
from opssc_chaincode.model import Facts, Proposal
from opssc_chaincode.state import proposal_of
from opssc_chaincode.tally import Phase, Tally, derive

ORG1, ORG2, ORG3 = members(3)
FUNCTIONS = ("Propose", "Vote", "Close", "Report", "GetProposal", "ListProposals", "GetInfo")
CODES = frozenset(Code)
LATER = NOW + timedelta(days=8)


def proposed() -> tuple[Ledger, Proposal]:
    ledger = Ledger(NOW)
    answer = ledger.submit(admin(ORG1), "Propose", document().canonical())
    return ledger, Proposal.parse(answer.response.payload)


def assert_coded(answer: Simulation) -> None:
    """A refusal has a code, the status that goes with it, a bounded text, and writes nothing."""
    if answer.ok:
        assert answer.response.status == 200
        return
    assert answer.code in CODES
    assert answer.response.status == Code(answer.code).status
    assert len(answer.response.message) < 1024
    answer.response.message.encode()
    assert not answer.writes
    assert not answer.events


NASTY = st.sampled_from(
    [
        b"",
        b"\x00",
        b"\xff\xfe",
        b"../../etc/passwd",
        b"$(id)",
        b"{{.Values}}",
        b"Org1MSP",
        b"basic-1",
        b"Agree",
        b"Withdrawn",
        b"Installed",
        b"Done",
        b"{}",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 100_000,
        b"x" * (1024 * 1024),
        "\U0010ffff\u202e\ufeff".encode(),
        b'"\\ud800"',
    ]
)


@pytest.mark.parametrize("function", FUNCTIONS)
@given(args=st.lists(st.one_of(st.binary(max_size=64), st.text(max_size=32).map(str.encode), NASTY), max_size=7))
def test_any_arguments_give_an_answer_or_a_coded_refusal(function: str, args: Sequence[bytes]) -> None:
    ledger, _ = proposed()

    assert_coded(ledger.simulate(admin(ORG2), function, *args))


@given(st.lists(st.binary(max_size=32), max_size=3), st.binary(max_size=64))
def test_any_function_and_identity_give_an_answer_or_a_coded_refusal(args: Sequence[bytes], identity: bytes) -> None:
    assert_coded(Ledger(NOW).simulate(identity, *args))


@given(st.integers(0, 10_000), st.binary(max_size=4), st.integers(0, 4))
def test_a_damaged_document_is_refused_or_harmless(position: int, inserted: bytes, removed: int) -> None:
    data = document().canonical()
    position %= len(data)
    damaged = data[:position] + inserted + data[position + removed :]

    answer = Ledger(NOW).simulate(admin(ORG1), "Propose", damaged)

    assert_coded(answer)
    if answer.ok:
        stored = Proposal.parse(answer.response.payload)
        assert set(answer.writes) == {key for key in answer.writes if proposal_of(key) is not None}
        assert stored.creator.msp_id == ORG1


def calls(of: Proposal) -> list[tuple[str, ...]]:
    """Every write that could touch a proposal, and its own proposal again."""
    key = (of.creator.msp_id, of.id)
    evidence = f'{{"definitionHash":"{of.to_json()["content"]["definitionHash"]}","sequence":1}}'
    return [
        ("Propose", document().canonical().decode()),
        ("Vote", *key, of.hash, "Agree"),
        ("Vote", *key, of.hash, "Disagree"),
        ("Close", *key, "Withdrawn", ""),
        ("Close", *key, "Expired", ""),
        ("Report", *key, "Installed", "Failed", "", ""),
        ("Report", *key, "Approved", "Skipped", "", "why"),
        ("Report", *key, "Committed", "Done", evidence, ""),
    ]


def view(ledger: Ledger, of: Proposal) -> tuple[Facts, Tally]:
    facts = ledger.facts(of.creator.msp_id, of.id)
    return facts, derive(facts, ledger.now)


STRANGERS = [
    pytest.param(creator("StrangerMSP", "admin", role="voter"), id="another organization"),
    pytest.param(creator("Org1MSPx", "admin"), id="a longer name"),
    pytest.param(creator("org1msp", "admin"), id="another spelling"),
    pytest.param(creator(ORG2, "peer"), id="a member's peer"),
    pytest.param(creator(ORG2), id="a member without role"),
    pytest.param(b"", id="nobody"),
]


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize("now", [NOW, LATER], ids=["in time", "after the deadline"])
def test_nobody_outside_changes_anything(stranger: bytes, now: datetime) -> None:
    ledger, of = proposed()
    ledger.now = now
    before = view(ledger, of)

    answers = [ledger.submit(stranger, *call) for call in calls(of)]

    assert {answer.code for answer in answers} == {"FORBIDDEN"}
    assert view(ledger, of) == before


@st.composite
def histories(draw: st.DrawFn) -> tuple[Ledger, Proposal, list[Tally]]:
    """Any calls of members at moving times, in blocks of up to four; the tally after each block."""
    ledger, of = proposed()
    tallies = [view(ledger, of)[1]]
    for _ in range(draw(st.integers(1, 6))):
        ledger.now += timedelta(seconds=draw(st.sampled_from([0, 1, 86_400, 8 * 86_400])))
        block = []
        for _ in range(draw(st.integers(1, 4))):
            caller = draw(st.sampled_from([admin, client]))(draw(st.sampled_from([ORG1, ORG2, ORG3, "StrangerMSP"])))
            answer = ledger.simulate(caller, *draw(st.sampled_from(calls(of))))
            assert_coded(answer)
            if answer.ok and answer.writes:
                block.append(answer)
        ledger.commit(*block)
        tallies.append(view(ledger, of)[1])
    return ledger, of, tallies


@given(histories())
def test_whatever_members_do_a_final_phase_stays(case: tuple[Ledger, Proposal, list[Tally]]) -> None:
    _, _, tallies = case

    finals = [tally.phase for tally in tallies if tally.final]
    assert len(set(finals)) <= 1
    assert [tally.final for tally in tallies] == sorted(tally.final for tally in tallies)


@given(histories())
def test_whatever_members_do_a_decision_excludes_a_closing(case: tuple[Ledger, Proposal, list[Tally]]) -> None:
    ledger, of, tallies = case
    facts, tally = view(ledger, of)

    assert facts.proposal == of
    assert tally.phase not in {Phase.ACCEPTED, Phase.REJECTED} or facts.closing is None
    assert {vote.msp_id for vote in facts.votes} <= set(members(3))
    for before, after in pairwise(tallies):
        assert set(before.agreed) <= set(after.agreed)
        assert set(before.disagreed) <= set(after.disagreed)


def test_fifty_organizations_vote_in_one_block() -> None:
    everyone = members(50)
    ledger = Ledger(NOW)
    answer = ledger.submit(admin(everyone[0]), "Propose", document(everyone).canonical())
    of = Proposal.parse(answer.response.payload)

    votes = [ledger.simulate(admin(msp_id), "Vote", everyone[0], of.id, of.hash, "Agree") for msp_id in everyone[1:]]
    verdicts = ledger.commit(*votes)

    assert verdicts == [True] * 49
    assert view(ledger, of)[1].agreed == everyone


def test_fifty_organizations_propose_and_report_in_one_block() -> None:
    everyone = members(50)
    ledger = Ledger(NOW)

    proposals = [ledger.simulate(admin(msp_id), "Propose", document(everyone).canonical()) for msp_id in everyone]
    assert ledger.commit(*proposals) == [True] * 50
    reports = [
        ledger.simulate(client(msp_id), "Report", ORG1, "basic-1", "Installed", "Failed", "", "") for msp_id in everyone
    ]

    assert ledger.commit(*reports) == [True] * 50


def test_a_vote_held_back_past_a_closing_never_counts() -> None:
    ledger, of = proposed()
    held_back = ledger.simulate(admin(ORG2), "Vote", ORG1, of.id, of.hash, "Agree")

    ledger.submit(admin(ORG1), "Close", ORG1, of.id, "Withdrawn", "")

    assert held_back.ok
    assert ledger.commit(held_back) == [False]
    assert view(ledger, of)[1].phase is Phase.WITHDRAWN


@pytest.mark.parametrize("vote_first", [True, False], ids=["vote first", "closing first"])
def test_of_a_vote_and_a_closing_in_one_block_one_wins(*, vote_first: bool) -> None:
    ledger, of = proposed()
    vote = ledger.simulate(admin(ORG2), "Vote", ORG1, of.id, of.hash, "Agree")
    closing = ledger.simulate(admin(ORG1), "Close", ORG1, of.id, "Withdrawn", "")

    verdicts = ledger.commit(*([vote, closing] if vote_first else [closing, vote]))

    assert verdicts == [True, False]
    facts, tally = view(ledger, of)
    assert tally.phase is (Phase.ACCEPTED if vote_first else Phase.WITHDRAWN)
    assert (facts.closing is None) is vote_first


def test_a_transaction_replayed_by_its_bytes_is_invalid() -> None:
    ledger, of = proposed()
    vote = ledger.submit(admin(ORG2), "Vote", ORG1, of.id, of.hash, "Agree")

    assert ledger.commit(vote) == [False]


def test_a_proposal_cannot_be_sent_twice_in_one_block() -> None:
    ledger = Ledger(NOW)
    twice = [ledger.simulate(admin(ORG1), "Propose", document().canonical()) for _ in range(2)]

    assert ledger.commit(*twice) == [True, False]

"""Derived state: what follows from the facts, and what must hold whatever the facts are."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.chaincode.strategies import (
    NOW,
    ballots,
    closing,
    committed,
    document,
    facts,
    members,
    proposal,
    proposals,
    report,
    vote,
)

from opssc_chaincode.model import (
    Cause,
    CharterInForce,
    Decision,
    Evidence,
    Facts,
    Fraction,
    Minimum,
    Minimums,
    Outcome,
    Proposal,
    Rule,
    Step,
)
from opssc_chaincode.ranking import LedgerPosition
from opssc_chaincode.tally import Phase, StepState, derive

AGREE, DISAGREE = Decision.AGREE, Decision.DISAGREE
ORG1, ORG2, ORG3 = members(3)


def voted(of: Proposal, **decisions: Decision) -> Facts:
    return Facts(proposal=of, votes=tuple(vote(of, msp_id, decision) for msp_id, decision in decisions.items()))


@pytest.mark.parametrize(
    ("count", "agreed", "disagreed", "phase", "needed"),
    [
        pytest.param(1, 1, 0, Phase.ACCEPTED, 0, id="alone"),
        pytest.param(2, 1, 0, Phase.VOTING, 1, id="two, one agrees"),
        pytest.param(2, 1, 1, Phase.REJECTED, 0, id="two, a tie"),
        pytest.param(3, 2, 0, Phase.ACCEPTED, 0, id="three, two agree"),
        pytest.param(3, 1, 1, Phase.VOTING, 1, id="three, one each"),
        pytest.param(3, 1, 2, Phase.REJECTED, 0, id="three, two disagree"),
        pytest.param(4, 2, 1, Phase.VOTING, 1, id="four, open"),
        pytest.param(4, 2, 2, Phase.REJECTED, 0, id="four, a tie"),
        pytest.param(7, 3, 3, Phase.VOTING, 1, id="seven, the last decides"),
        pytest.param(7, 0, 4, Phase.REJECTED, 0, id="seven, rejected early"),
    ],
)
def test_a_majority_decides_as_soon_as_it_can(
    count: int, agreed: int, disagreed: int, phase: Phase, needed: int
) -> None:
    names = members(count)
    decisions = dict.fromkeys(names[:agreed], AGREE) | dict.fromkeys(names[agreed : agreed + disagreed], DISAGREE)

    tally = derive(voted(proposal(document(names)), **decisions), NOW)

    assert (tally.phase, tally.needed) == (phase, needed)
    assert (tally.agreed, tally.disagreed) == (names[:agreed], names[agreed : agreed + disagreed])
    assert tally.pending == names[agreed + disagreed :]


def possible_votes(count: int) -> Iterator[tuple[int, int]]:
    """How many of so many organizations agree, and how many disagree; the rest has not voted."""
    return ((agreed, disagreed) for agreed in range(count + 1) for disagreed in range(count + 1 - agreed))


@pytest.mark.parametrize("count", range(1, 8))
def test_every_threshold_decides_at_the_first_vote_that_settles_it(count: int) -> None:
    names = members(count)
    for threshold in range(1, count + 1):
        of = proposal(document(names, rule=Rule(n=threshold, of=names)))
        for agreed, disagreed in possible_votes(count):
            # Who votes is not who stands first in the rule.
            disagreeing, agreeing = names[:disagreed], names[count - agreed :]
            undecided = count - agreed - disagreed
            decisions = dict.fromkeys(agreeing, AGREE) | dict.fromkeys(disagreeing, DISAGREE)

            tally = derive(voted(of, **decisions), NOW)

            # Whatever the others say: all of them agree at best, none at worst.
            outcomes = {agreed + more >= threshold for more in range(undecided + 1)}
            expected = Phase.VOTING if len(outcomes) == 2 else Phase.ACCEPTED if True in outcomes else Phase.REJECTED
            assert tally.phase is expected, (count, threshold, agreed, disagreed)
            assert tally.final is (expected is not Phase.VOTING)
            assert tally.needed == (threshold - agreed if expected is Phase.VOTING else 0)


@pytest.mark.parametrize(
    ("fraction", "count", "needed"),
    [
        pytest.param(Fraction.MAJORITY, 4, 3, id="majority of four"),
        pytest.param(Fraction.TWO_THIRDS, 3, 2, id="two thirds of three"),
        pytest.param(Fraction.TWO_THIRDS, 4, 3, id="two thirds of four"),
        pytest.param(Fraction.TWO_THIRDS, 7, 5, id="two thirds of seven"),
        pytest.param(Fraction.ALL, 5, 5, id="all of five"),
    ],
)
def test_the_charters_minimum_stands_on_top_of_the_rule(fraction: Fraction, count: int, needed: int) -> None:
    names = members(count)
    charter = CharterInForce(version=1, minimum=Minimums(chaincode=Minimum(fraction=fraction)))
    of = proposal(document(names, rule=Rule(n=1, of=names), charter=charter))

    before = derive(voted(of, **dict.fromkeys(names[: needed - 1], AGREE)), NOW)
    after = derive(voted(of, **dict.fromkeys(names[:needed], AGREE)), NOW)

    assert (before.phase, before.needed) == (Phase.VOTING, 1)
    assert after.phase is Phase.ACCEPTED


def test_the_rule_counts_not_heads() -> None:
    of = proposal(document(rule=Rule(n=2, of=(ORG1, Rule(n=1, of=(ORG2, ORG3))))))

    assert derive(voted(of, Org2MSP=AGREE, Org3MSP=AGREE), NOW).phase is Phase.VOTING
    assert derive(voted(of, Org2MSP=AGREE, Org3MSP=AGREE, Org1MSP=DISAGREE), NOW).phase is Phase.REJECTED
    assert derive(voted(of, Org1MSP=AGREE, Org3MSP=AGREE), NOW).phase is Phase.ACCEPTED


@pytest.mark.parametrize(
    ("seconds_after_deadline", "phase"),
    [
        pytest.param(0, Phase.VOTING, id="at the deadline"),
        pytest.param(300, Phase.VOTING, id="while clocks may differ"),
        pytest.param(301, Phase.EXPIRED, id="after that"),
    ],
)
def test_people_see_an_expiry_that_is_not_final(seconds_after_deadline: int, phase: Phase) -> None:
    of = proposal()

    tally = derive(voted(of, Org1MSP=AGREE), of.deadline + timedelta(seconds=seconds_after_deadline))

    assert (tally.phase, tally.final) == (phase, False)


@pytest.mark.parametrize("cause", list(Cause), ids=str)
def test_a_closing_ends_the_vote(cause: Cause) -> None:
    of = proposal()

    tally = derive(Facts(proposal=of, closing=closing(of, cause)), NOW)

    assert (tally.phase, tally.final) == (Phase(cause), True)


def test_votes_of_strangers_and_on_other_content_do_not_count() -> None:
    of = proposal()
    other = proposal(document(deadline=NOW + timedelta(days=1)))
    known = Facts(proposal=of, votes=(vote(of, "StrangerMSP"), vote(other, ORG2), vote(of, ORG3)))

    tally = derive(known, NOW)

    assert tally.agreed == (ORG3,)
    assert tally.pending == (ORG1, ORG2)


def test_the_deciding_vote_is_the_one_that_satisfies_the_rule_in_ledger_order() -> None:
    of = proposal(document(members(5)))
    known = voted(of, **dict.fromkeys(members(5), AGREE))
    blocks = dict(zip(members(5), [(7, 0), (5, 3), (5, 1), (9, 0), (6, 0)], strict=True))
    order = {vote.tx_id: LedgerPosition(*blocks[vote.msp_id]) for vote in known.votes}

    deciding = derive(known, NOW, order).deciding

    assert deciding is not None
    assert (deciding.vote.msp_id, deciding.position) == ("Org5MSP", LedgerPosition(6, 0))


def test_nobody_decided_while_a_position_is_unknown_or_the_vote_is_open() -> None:
    known = voted(proposal(), Org1MSP=AGREE, Org2MSP=AGREE)
    first = {known.votes[0].tx_id: LedgerPosition(1, 0)}
    both = first | {known.votes[1].tx_id: LedgerPosition(2, 0)}

    assert derive(known, NOW).deciding is None
    assert derive(known, NOW, first).deciding is None
    assert derive(voted(known.proposal, Org1MSP=AGREE), NOW, first).deciding is None
    assert derive(known, NOW, both).deciding is not None


def test_execution_shows_every_members_word_once_accepted() -> None:
    of = proposal()
    reports = (
        report(of, ORG1, Step.INSTALLED, Outcome.DONE, Evidence(package_id="basic:" + "a" * 64)),
        report(of, ORG2, Step.INSTALLED, Outcome.FAILED),
        report(of, ORG3, Step.APPROVED, Outcome.SKIPPED),
    )
    agreed = voted(of, Org1MSP=AGREE, Org2MSP=AGREE)

    before = derive(Facts(proposal=of, reports=reports), NOW)
    after = derive(agreed.model_copy(update={"reports": reports}), NOW)

    assert {state for steps in before.execution.values() for state in steps.values()} == {StepState.PENDING}
    assert list(after.execution[ORG1].values()) == [StepState.DONE] + [StepState.PENDING] * 3
    assert after.execution[ORG2][Step.INSTALLED] is StepState.FAILED
    assert after.execution[ORG3][Step.APPROVED] is StepState.SKIPPED


def test_completed_needs_the_rule_of_members_that_show_what_was_proposed() -> None:
    of = proposal()
    agreed = voted(of, Org1MSP=AGREE, Org2MSP=AGREE)

    def reported(*reports: object) -> tuple[bool, tuple[str, ...]]:
        tally = derive(agreed.model_copy(update={"reports": reports}), NOW)
        return tally.completed, tally.conflicting

    assert reported(committed(of, ORG1)) == (False, ())
    assert reported(committed(of, ORG1), committed(of, ORG3)) == (True, ())
    assert reported(committed(of, ORG1), committed(of, ORG3, sequence=2)) == (False, (ORG3,))
    assert reported(committed(of, ORG1), committed(of, ORG3, definition_hash="0" * 64)) == (False, (ORG3,))
    assert reported(committed(of, ORG1), committed(of, "StrangerMSP")) == (False, ())


def test_nothing_is_completed_before_it_is_accepted() -> None:
    of = proposal()
    known = Facts(proposal=of, reports=tuple(committed(of, msp_id) for msp_id in members(3)))

    assert not derive(known, NOW).completed


@given(facts(), st.randoms(use_true_random=False))
def test_the_order_of_facts_never_matters(known: Facts, random: Random) -> None:
    votes, reports = list(known.votes), list(known.reports)
    random.shuffle(votes)
    random.shuffle(reports)
    order = {vote.tx_id: LedgerPosition(1, position) for position, vote in enumerate(known.votes)}

    shuffled = known.model_copy(update={"votes": tuple(votes), "reports": tuple(reports)})

    assert derive(shuffled, NOW, order) == derive(known, NOW, order)


@given(proposals().flatmap(lambda of: st.tuples(st.just(of), ballots(of.snapshot.members))))
def test_a_final_phase_is_never_left_by_adding_votes(case: tuple[Proposal, Mapping[str, Decision]]) -> None:
    of, decisions = case
    votes = [vote(of, msp_id, decision) for msp_id, decision in decisions.items()]
    history = [derive(Facts(proposal=of, votes=tuple(votes[:count])), NOW) for count in range(len(votes) + 1)]

    for before, after in pairwise(history):
        assert not before.final or after.phase is before.phase
        assert set(before.agreed) <= set(after.agreed)


@given(facts(), st.integers(0, 10**9))
def test_a_final_phase_is_never_left_by_time(known: Facts, seconds: int) -> None:
    before, later = derive(known, NOW), derive(known, NOW + timedelta(seconds=seconds))

    assert not before.final or later == before


@given(facts())
def test_completed_and_execution_imply_accepted(known: Facts) -> None:
    tally = derive(known, NOW)

    assert tally.accepted or not tally.completed
    assert tally.accepted or not tally.conflicting
    assert sorted((*tally.agreed, *tally.disagreed, *tally.pending)) == list(known.proposal.snapshot.members)
    assert tally.needed <= len(tally.pending)
    assert (tally.needed == 0) is (tally.phase in {Phase.ACCEPTED, Phase.REJECTED})

"""Which charter is in force: followed from the default on, whatever the order of what is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.chaincode import strategies as ledger

from opssc_chaincode.model import (
    DEFAULT_CHARTER,
    SCHEMA,
    Charter,
    CharterInForce,
    Fraction,
    Kind,
    Minimum,
    Minimums,
    ProposalDocument,
)
from opssc_chaincode.ranking import LedgerPosition
from opssc_chaincode.succession import Decided, Succession, succeed

ALL = Minimums(chaincode=Minimum(fraction=Fraction.ALL))


def decided(name: str, under: CharterInForce = DEFAULT_CHARTER, at: int = 10, **terms: object) -> Decided:
    """Org1MSP's charter proposal `name`, proposed in block `at` - 5 and decided in block `at`."""
    fields = {"version": under.version + 1, "previous": under.proposal, "minimum": ALL, **terms}
    document = ProposalDocument(
        schema_version=SCHEMA,
        id=name,
        kind=Kind.CHARTER,
        content=Charter.model_validate(fields),
        snapshot=ledger.snapshot(ledger.members(3), charter=under),
        deadline=ledger.document().deadline,
    )
    return Decided(ledger.proposal(document), LedgerPosition(at - 5, 0), LedgerPosition(at, 0))


def in_force(of: Decided) -> CharterInForce:
    content = of.proposal.content
    assert isinstance(content, Charter)
    return CharterInForce.model_validate({**content.model_dump(), "proposal": of.proposal.name})


FIRST = decided("first")
SECOND = decided("second", in_force(FIRST), at=20)
THIRD = decided("third", in_force(SECOND), at=30)
HISTORY = (FIRST, SECOND, THIRD)


def names(found: Succession) -> list[str | None]:
    return [reign.charter.proposal for reign in found.reigns]


def test_without_any_accepted_charter_the_default_is_in_force() -> None:
    assert succeed(()).current == DEFAULT_CHARTER
    assert succeed(()).at(LedgerPosition(0, 0)) == DEFAULT_CHARTER


def test_a_charter_holds_for_what_comes_after_its_deciding_vote_and_not_before() -> None:
    # When
    found = succeed(HISTORY)

    # Then
    assert names(found) == [None, "Org1MSP/first", "Org1MSP/second", "Org1MSP/third"]
    assert found.at(LedgerPosition(10, 0)) == DEFAULT_CHARTER
    assert found.at(LedgerPosition(10, 1)) == in_force(FIRST)
    assert found.at(LedgerPosition(25, 0)) == in_force(SECOND)
    assert found.current == in_force(THIRD)


def test_of_two_successors_the_one_decided_first_is_in_force() -> None:
    # Given
    earlier, later = decided("later-name", at=10), decided("a-name", at=11)

    # When
    found = succeed((later, earlier))

    # Then
    assert names(found) == [None, "Org1MSP/later-name"]
    assert found.successor_of(None) == in_force(earlier)
    assert not found.came_in_force(later.proposal.name)


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param(decided("x", CharterInForce(version=0, minimum=ALL), at=9), id="under-a-charter-that-never-was"),
        pytest.param(decided("x", previous="Org1MSP/first", at=9), id="previous-is-not-the-one-pinned"),
        pytest.param(decided("x", version=7, at=9), id="a-version-that-skips"),
        pytest.param(decided("x", previous="Org1MSP/x", at=9), id="follows-itself"),
        pytest.param(decided("x", in_force(THIRD), at=15), id="proposed-before-what-it-follows"),
        pytest.param(decided("x", in_force(FIRST), at=25), id="second-comer"),
        pytest.param(Decided(ledger.proposal(), LedgerPosition(1, 0), LedgerPosition(2, 0)), id="no-charter"),
    ],
)
def test_what_does_not_follow_the_charter_in_force_never_comes_in_force(forged: Decided) -> None:
    assert names(succeed((forged, *HISTORY))) == names(succeed(HISTORY))


@st.composite
def candidates(draw: st.DrawFn) -> tuple[Decided, ...]:
    """Charters proposed under any of the true ones or under made-up ones, decided at any time."""
    bases = [DEFAULT_CHARTER, *(in_force(of) for of in HISTORY), CharterInForce(version=2, proposal="Org9MSP/x")]
    drawn = draw(st.lists(st.tuples(st.sampled_from(bases), st.integers(6, 60), st.integers(-1, 1)), max_size=6))
    return tuple(
        decided(f"drawn-{index}", base, at, version=max(0, base.version + 1 + shift))
        for index, (base, at, shift) in enumerate(drawn)
    )


@given(drawn=candidates(), history=st.booleans(), data=st.data())
def test_the_order_of_what_is_known_never_matters(
    *, drawn: tuple[Decided, ...], history: bool, data: st.DataObject
) -> None:
    known = (*drawn, *HISTORY) if history else drawn
    shuffled = data.draw(st.permutations(known))
    assert succeed(shuffled) == succeed(known)


@given(drawn=candidates())
def test_every_charter_ever_in_force_was_made_under_the_one_before_it(drawn: tuple[Decided, ...]) -> None:
    # Given
    known = {candidate.proposal.name: candidate for candidate in (*drawn, *HISTORY)}

    # When
    found = succeed(known.values())

    # Then
    for before, reign in zip(found.reigns, found.reigns[1:], strict=False):
        candidate = known[reign.charter.proposal or ""]
        assert candidate.proposal.snapshot.charter == before.charter
        assert reign.since == candidate.decided
        assert before.precedes(candidate.proposed)
        rivals = [other for other in known.values() if other.proposal.snapshot.charter == before.charter]
        assert all(
            candidate.decided <= other.decided
            for other in rivals
            if isinstance(other.proposal.content, Charter)
            and other.proposal.content.version == before.charter.version + 1
            and before.precedes(other.proposed)
        )


@given(drawn=candidates(), moment=st.integers(6, 60))
def test_what_is_decided_later_changes_nothing_before_it(drawn: tuple[Decided, ...], moment: int) -> None:
    # Given
    early = [candidate for candidate in (*drawn, *HISTORY) if candidate.decided.block < moment]

    # Then
    assert succeed(early).at(LedgerPosition(moment, 0)) == succeed((*drawn, *HISTORY)).at(LedgerPosition(moment, 0))

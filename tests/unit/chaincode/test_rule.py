"""Rules: n of organizations and of other rules, with bounds."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from unit.chaincode.strategies import members, organizations, rules

from opssc_chaincode.model import Rule, majority

A, B, C, D = "AMSP", "BMSP", "CMSP", "DMSP"
cases = organizations.flatmap(lambda of: st.tuples(st.just(of), rules(of), st.sets(st.sampled_from(of))))


@pytest.mark.parametrize(
    ("rule", "agreeing", "satisfied"),
    [
        pytest.param(Rule(n=1, of=(A, B)), {B}, True, id="any"),
        pytest.param(Rule(n=2, of=(A, B)), {B}, False, id="all, one missing"),
        pytest.param(Rule(n=2, of=(A, B)), {A, B, C}, True, id="all, and a stranger"),
        pytest.param(Rule(n=2, of=(A, Rule(n=1, of=(B, C)))), {A, C}, True, id="nested"),
        pytest.param(Rule(n=2, of=(A, Rule(n=1, of=(B, C)))), {B, C}, False, id="nested, one part only"),
        pytest.param(Rule(n=2, of=(A, A)), {A}, True, id="one organization at two leaves"),
    ],
)
def test_rules_are_satisfied_by_enough_parts(rule: Rule, agreeing: set[str], *, satisfied: bool) -> None:
    assert rule.satisfied(agreeing) is satisfied


@pytest.mark.parametrize(
    ("rule", "agreeing", "undecided", "missing"),
    [
        pytest.param(Rule(n=2, of=(A, B, C)), set(), {A, B, C}, 2, id="nobody yet"),
        pytest.param(Rule(n=2, of=(A, B, C)), {A}, {B, C}, 1, id="one agrees"),
        pytest.param(Rule(n=2, of=(A, B, C)), {A, B}, {C}, 0, id="satisfied"),
        pytest.param(Rule(n=2, of=(A, B, C)), {A}, set(), None, id="unreachable"),
        pytest.param(Rule(n=1, of=(Rule(n=3, of=(A, B, C)), D)), set(), {A, B, C, D}, 1, id="the cheapest part"),
        pytest.param(Rule(n=1, of=(Rule(n=3, of=(A, B, C)), D)), {A}, {B, C}, 2, id="the only part left"),
    ],
)
def test_what_is_missing_is_counted(rule: Rule, agreeing: set[str], undecided: set[str], missing: int | None) -> None:
    found = rule.missing(agreeing, undecided)

    assert (None if found is None else len(found)) == missing


@given(cases)
def test_missing_agrees_with_trying_out(case: tuple[tuple[str, ...], Rule, set[str]]) -> None:
    of, rule, agreeing = case
    undecided = set(of) - agreeing

    missing = rule.missing(agreeing, undecided)

    assert missing is not None
    assert missing <= undecided
    assert rule.satisfied(agreeing | missing)
    assert bool(missing) is not rule.satisfied(agreeing)
    if len(set(rule.leaves())) == len(list(rule.leaves())):
        fewer = combinations(undecided, len(missing) - 1) if missing else ()
        assert not any(rule.satisfied(agreeing | set(more)) for more in fewer)


@given(cases)
def test_one_more_agreement_never_hurts(case: tuple[tuple[str, ...], Rule, set[str]]) -> None:
    of, rule, agreeing = case

    for msp_id in of:
        assert rule.satisfied(agreeing | {msp_id}) >= rule.satisfied(agreeing)
        assert rule.reachable(agreeing, {msp_id}) >= rule.satisfied(agreeing)


@pytest.mark.parametrize(("count", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (20, 11)])
def test_a_majority_is_more_than_half(count: int, needed: int) -> None:
    assert majority(members(count)).n == needed


def nested(levels: int) -> Rule:
    return Rule(n=1, of=(A,)) if levels == 1 else Rule(n=1, of=(nested(levels - 1),))


def test_rules_nest_five_deep_at_most() -> None:
    assert nested(5).depth == 5
    with pytest.raises(ValidationError, match="nested deeper"):
        nested(6)


def test_rules_have_200_leaves_at_most() -> None:
    hundred = Rule(n=1, of=(A,) * 100)

    assert sum(1 for _ in Rule(n=1, of=(hundred, hundred)).leaves()) == 200
    with pytest.raises(ValidationError, match="leaves"):
        Rule(n=1, of=(hundred, hundred, A))

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric_admin.rule import NOutOf

MEMBERS = ["AMSP", "BMSP", "CMSP", "DMSP", "EMSP"]
RULES = st.recursive(
    st.builds(NOutOf, st.integers(0, 4), st.lists(st.sampled_from(MEMBERS), max_size=4).map(tuple)),
    lambda inner: st.builds(
        NOutOf, st.integers(0, 4), st.lists(st.sampled_from(MEMBERS) | inner, max_size=4).map(tuple)
    ),
    max_leaves=6,
)
SETS = st.frozensets(st.sampled_from(MEMBERS))


@given(RULES, SETS, SETS)
def test_more_agreement_never_unmakes_a_decision(rule: NOutOf, agreed: frozenset[str], more: frozenset[str]) -> None:
    assert not rule.satisfied_by(agreed) or rule.satisfied_by(agreed | more)


@given(RULES, SETS, st.permutations(MEMBERS))
def test_a_minimal_set_suffices_and_spares_nobody(rule: NOutOf, available: frozenset[str], prefer: list[str]) -> None:
    chosen = rule.minimal(available, prefer)

    if chosen is None:
        assert not rule.satisfied_by(available)
        return
    assert set(chosen) <= available
    assert rule.satisfied_by(set(chosen))
    assert not any(rule.satisfied_by(set(chosen) - {each}) for each in chosen)


def test_preferred_organizations_are_kept_and_come_first() -> None:
    rule = NOutOf(2, ("AMSP", "BMSP", "CMSP"))

    assert rule.minimal({"AMSP", "BMSP", "CMSP"}, ["CMSP", "BMSP"]) == ("CMSP", "BMSP")
    assert rule.minimal({"AMSP", "BMSP", "CMSP"}) == ("AMSP", "BMSP")


@pytest.mark.parametrize(
    ("rule", "agreed", "enough"),
    [
        pytest.param(NOutOf(0, ()), set(), True, id="nothing-asked"),
        pytest.param(NOutOf(1, ()), {"AMSP"}, False, id="nobody-can"),
        pytest.param(NOutOf(3, ("AMSP", "BMSP")), {"AMSP", "BMSP"}, False, id="more-than-there-are"),
        pytest.param(NOutOf(2, ("AMSP", NOutOf(1, ("BMSP", "CMSP")))), {"AMSP", "CMSP"}, True, id="nested"),
        pytest.param(NOutOf(2, ("AMSP", NOutOf(1, ("BMSP", "CMSP")))), {"BMSP", "CMSP"}, False, id="nested-short"),
    ],
)
def test_a_rule_counts_its_parts(rule: NOutOf, agreed: set[str], enough: bool) -> None:
    assert rule.satisfied_by(agreed) is enough

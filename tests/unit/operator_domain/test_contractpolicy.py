"""The governance contract's endorsement policy: how few organizations are enough for it, and when that is too few."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fabric_admin.rule import NOutOf
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.contractpolicy import SHARED_LIMIT, judge_contract_policy, smallest_satisfying

NAMES = "ABCDEF"


def any_of(*parts: str | NOutOf) -> NOutOf:
    return NOutOf(1, parts)


def all_of(*parts: str | NOutOf) -> NOutOf:
    return NOutOf(len(parts), parts)


def rules(names: str = NAMES) -> st.SearchStrategy[NOutOf]:
    def of(parts: st.SearchStrategy[str | NOutOf]) -> st.SearchStrategy[NOutOf]:
        lists = st.lists(parts, min_size=1, max_size=4)
        return lists.flatmap(lambda found: st.integers(1, len(found) + 1).map(lambda n: NOutOf(n, tuple(found))))

    leaves: st.SearchStrategy[str | NOutOf] = st.sampled_from(names)
    return of(st.recursive(leaves, of, max_leaves=10))


def by_trying_all(rule: NOutOf) -> int | None:
    members = sorted(rule.members())
    sizes = range(len(members) + 1)
    return next(
        (size for size in sizes if any(rule.satisfied_by(set(few)) for few in combinations(members, size))), None
    )


@pytest.mark.parametrize(
    ("rule", "fewest"),
    [
        pytest.param(any_of("A"), 1, id="one"),
        pytest.param(NOutOf(3, tuple("ABCDE")), 3, id="majority"),
        pytest.param(all_of("A", "B", "C"), 3, id="all"),
        pytest.param(all_of(any_of("A", "B"), any_of("A", "C")), 1, id="one-stands-in-every-branch"),
        pytest.param(all_of(all_of("A", "B"), all_of("B", "C")), 3, id="branches-share-one"),
        pytest.param(NOutOf(2, (all_of("A", "B"), all_of("A", "B"), "C")), 2, id="the-same-branch-twice"),
        pytest.param(NOutOf(2, ("A", "A", "B")), 1, id="the-same-organization-twice"),
        pytest.param(any_of(all_of("A", "B", "C"), all_of("D", "E")), 2, id="the-smaller-branch"),
        pytest.param(NOutOf(3, ("A", "B")), None, id="more-than-there-are"),
        pytest.param(any_of(NOutOf(2, ("A",)), all_of("B", "C")), 2, id="one-branch-that-nobody-satisfies"),
    ],
)
def test_the_fewest_organizations_are_counted_exactly(rule: NOutOf, fewest: int | None) -> None:
    assert smallest_satisfying(rule) == fewest


@given(rules())
def test_the_fewest_are_as_many_as_trying_all_combinations_finds(rule: NOutOf) -> None:
    assert smallest_satisfying(rule) == by_trying_all(rule)


@settings(max_examples=30)
@given(st.integers(SHARED_LIMIT + 1, SHARED_LIMIT + 3), st.data())
def test_where_too_many_stand_in_several_branches_the_count_is_never_too_high(size: int, data: st.DataObject) -> None:
    # Given: every organization in every branch
    members = "ABCDEFGHIJKLMNOP"[:size]
    needs = data.draw(st.lists(st.integers(1, size), min_size=2, max_size=3))
    rule = all_of(*(NOutOf(n, tuple(members)) for n in needs))

    # Then
    fewest = smallest_satisfying(rule)
    assert fewest is not None
    assert 1 <= fewest <= max(needs)


@pytest.mark.parametrize(
    ("rule", "members", "weak"),
    [
        pytest.param(NOutOf(2, tuple("ABC")), "ABC", "", id="majority-of-three"),
        pytest.param(NOutOf(2, tuple("ABCD")), "ABCD", "met by 2 of 4 organizations, 3 are required", id="half"),
        pytest.param(any_of("A", "B", "C"), "ABC", "met by 1 of 3 organizations, 2 are required", id="any"),
        pytest.param(
            all_of(any_of("A", "B"), any_of("A", "C")),
            "ABC",
            "met by 1 of 3 organizations, 2 are required",
            id="one-stands-in-every-branch",
        ),
        pytest.param(all_of("A", "B", "C"), "ABC", "", id="all"),
        pytest.param(any_of("A"), "A", "", id="alone"),
    ],
)
def test_a_policy_that_a_minority_satisfies_is_too_weak(rule: NOutOf, members: str, weak: str) -> None:
    # When
    found = judge_contract_policy(rule, members)

    # Then
    if not weak:
        assert found is None
        return
    assert found is not None
    assert (found.status, found.reason) == ("False", Reason.CONTRACT_POLICY_TOO_WEAK)
    assert weak in found.message

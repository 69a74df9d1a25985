"""The governance contract's endorsement policy: how few organizations are enough for it, and when that is too few."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric_admin.rule import NOutOf
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.contractpolicy import find_satisfying, judge_contract_policy

NAMES = "ABCDEF"
TWENTY = tuple(f"Org{number:02}MSP" for number in range(1, 21))


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
        pytest.param(any_of(NOutOf(2, ("A",)), all_of("B", "C")), 2, id="one-branch-that-nobody-satisfies"),
        pytest.param(all_of(NOutOf(11, TWENTY), NOutOf(1, TWENTY)), 11, id="twenty-in-every-branch"),
        pytest.param(any_of(NOutOf(7, TWENTY[:12]), NOutOf(12, TWENTY[:12])), 7, id="twelve-in-every-branch"),
    ],
)
def test_who_is_enough_is_found_from_the_fewest_on(rule: NOutOf, fewest: int) -> None:
    enough = find_satisfying(rule, fewest)

    assert enough is not None
    assert len(enough) == fewest
    assert rule.satisfied_by(set(enough))
    assert find_satisfying(rule, fewest - 1) is None


def test_nobody_is_enough_for_more_than_there_are() -> None:
    assert find_satisfying(NOutOf(3, ("A", "B")), 2) is None


@given(rules(), st.integers(0, len(NAMES)))
def test_who_is_enough_is_found_exactly_when_trying_all_combinations_finds_some(rule: NOutOf, most: int) -> None:
    fewest = by_trying_all(rule)

    enough = find_satisfying(rule, most)

    assert (enough is not None) is (fewest is not None and fewest <= most)
    assert enough is None or (len(enough) <= most and rule.satisfied_by(set(enough)))


def test_a_rule_too_large_to_try_is_not_called_weak() -> None:
    members = tuple(f"Org{number}MSP" for number in range(40))
    rule = all_of(NOutOf(21, members), NOutOf(1, members))

    assert judge_contract_policy(rule, members) is None
    assert judge_contract_policy(NOutOf(20, members), members) is not None


@pytest.mark.parametrize(
    ("rule", "members", "weak"),
    [
        pytest.param(NOutOf(2, tuple("ABC")), "ABC", "", id="majority-of-three"),
        pytest.param(NOutOf(2, tuple("ABCD")), "ABCD", "met by C, D, and 3 of 4 organizations are", id="half"),
        pytest.param(any_of("A", "B", "C"), "ABC", "met by C, and 2 of 3 organizations are required", id="any"),
        pytest.param(
            all_of(any_of("A", "B"), any_of("A", "C")),
            "ABC",
            "met by A, and 2 of 3 organizations are required",
            id="one-stands-in-every-branch",
        ),
        pytest.param(all_of("A", "B", "C"), "ABC", "", id="all"),
        pytest.param(any_of("A"), "A", "", id="alone"),
    ],
)
def test_a_policy_that_a_minority_satisfies_is_too_weak(rule: NOutOf, members: str, weak: str) -> None:
    # When
    found = judge_contract_policy(rule, tuple(members))

    # Then
    if not weak:
        assert found is None
        return
    assert found is not None
    assert (found.status, found.reason) == ("False", Reason.CONTRACT_POLICY_TOO_WEAK)
    assert weak in found.message

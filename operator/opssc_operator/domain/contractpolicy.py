"""Whether the governance contract's endorsement policy lets a minority write to it. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import combinations
from typing import Final

from fabric_admin.policy import NOutOf
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.verdict import Verdict, no

MOST_TRIALS: Final = 4_000_000
"""Parts of rules looked at while every minority is tried: all of 20 organizations for a rule of 20 parts."""


@lru_cache(maxsize=64)
def judge_contract_policy(rule: NOutOf, members: tuple[str, ...]) -> Verdict | None:
    """None when every endorsement of the contract needs a majority of the ops channel, else who is enough.

    Takes up to a second, once for each policy. A rule that is too large for that is given the benefit of the doubt.
    """
    needed = len(members) // 2 + 1
    minority = find_satisfying(rule, needed - 1)
    if minority is None:
        return None
    return no(
        Reason.CONTRACT_POLICY_TOO_WEAK,
        f"the contract's endorsement policy is met by {', '.join(minority)}, and {needed} of {len(members)} "
        "organizations are required; commit it anew with a majority policy",
    )


def find_satisfying(rule: NOutOf, most: int) -> tuple[str, ...] | None:
    """At most so many organizations that satisfy a rule together, sorted; None when there are, or are found, none."""
    names = tuple(sorted(rule.members()))
    bits = {name: 1 << place for place, name in enumerate(names)}
    satisfied, parts = _compile(rule, bits)
    everybody = (1 << len(names)) - 1
    if not satisfied(everybody):
        return None
    if len(names) <= most:
        return names
    found = _shrink(satisfied, everybody, names)
    if found.bit_count() <= most:
        return _named(found, names)
    if math.comb(len(names), most) * parts > MOST_TRIALS:
        return None
    # Whoever is added to those that satisfy it changes nothing, so that smaller ones need not be tried.
    tried = (sum(few) for few in combinations(bits.values(), most))
    enough = next((few for few in tried if satisfied(few)), None)
    return None if enough is None else _named(_shrink(satisfied, enough, names), names)


def _shrink(satisfied: Callable[[int], bool], group: int, names: Sequence[str]) -> int:
    """Some of a group that satisfy the rule and none of whom can be spared."""
    for place in range(len(names)):
        if satisfied(group & ~(1 << place)):
            group &= ~(1 << place)
    return group


def _named(group: int, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for place, name in enumerate(names) if group >> place & 1)


def _compile(rule: NOutOf, bits: dict[str, int]) -> tuple[Callable[[int], bool], int]:
    """A test of groups, given as the sum of their members' bits, and of how many parts the rule consists."""
    leaves = [bits[part] for part in rule.of if isinstance(part, str)]
    below = [_compile(part, bits) for part in rule.of if isinstance(part, NOutOf)]
    tests, needed = [test for test, _ in below], rule.n
    once, often = sum(set(leaves)), [bit for bit in set(leaves) for _ in range(leaves.count(bit) - 1)]

    def satisfied(group: int) -> bool:
        count = (group & once).bit_count() + sum(1 for bit in often if group & bit)
        return count >= needed or count + sum(1 for test in tests if test(group)) >= needed

    return satisfied, 1 + len(often) + sum(parts for _, parts in below)

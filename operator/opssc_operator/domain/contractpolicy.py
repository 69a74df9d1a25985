"""Whether the governance contract's endorsement policy lets a minority write to it. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Final

from fabric_admin.policy import NOutOf
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.verdict import Verdict, no

SHARED_LIMIT: Final = 10
"""Of how many organizations that stand in several branches every combination is tried."""


def judge_contract_policy(rule: NOutOf, members: Sequence[str]) -> Verdict | None:
    """None when every endorsement of the contract needs a majority of the ops channel, else what is too weak."""
    needed = len(members) // 2 + 1
    smallest = smallest_satisfying(rule)
    if smallest is None or smallest >= needed:
        return None
    return no(
        Reason.CONTRACT_POLICY_TOO_WEAK,
        f"the contract's endorsement policy is met by {smallest} of {len(members)} organizations, "
        f"{needed} are required; commit it anew with a majority policy",
    )


def smallest_satisfying(rule: NOutOf) -> int | None:
    """The fewest organizations that satisfy a rule, None when all together do not.

    Exact while at most ``SHARED_LIMIT`` organizations stand in more than one place; beyond that never too high.
    """
    places = Counter(_places(rule))
    shared = [msp_id for msp_id, count in places.most_common() if count > 1]
    tried, priced = shared[:SHARED_LIMIT], shared[SHARED_LIMIT:]
    # Who stands in several places and is not tried pays a share in each, so never more than once in all.
    whole = math.lcm(*(places[msp_id] for msp_id in priced))
    prices = dict.fromkeys(places, whole) | {msp_id: whole // places[msp_id] for msp_id in priced}
    never = whole * (places.total() + 1)
    lowest = min(
        sum(chosen) * whole + _lowest_price(rule, {**prices, **_settled(tried, chosen, never)}, never)
        for chosen in product((True, False), repeat=len(tried))
    )
    return None if lowest >= never else math.ceil(lowest / whole)


def _places(rule: NOutOf) -> Iterator[str]:
    for part in rule.of:
        if isinstance(part, str):
            yield part
        else:
            yield from _places(part)


def _settled(tried: Sequence[str], chosen: Sequence[bool], never: int) -> Mapping[str, int]:
    """Prices of those about whom it is settled whether they take part: paid for already, or not to be had."""
    return {msp_id: 0 if taken else never for msp_id, taken in zip(tried, chosen, strict=True)}


def _lowest_price(rule: NOutOf, prices: Mapping[str, int], never: int) -> int:
    """What the cheapest way to satisfy a rule costs when every place is paid for by itself; at most ``never``."""
    if rule.n > len(rule.of):
        return never
    parts = sorted(prices[part] if isinstance(part, str) else _lowest_price(part, prices, never) for part in rule.of)
    return min(sum(parts[: max(rule.n, 0)]), never)

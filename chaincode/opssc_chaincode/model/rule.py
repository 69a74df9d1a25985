"""Organization-level rules: n of organizations and nested rules. Pure.

Source of the bounds: the contract's documentation, section 1. A leaf is satisfied when its organization agrees;
the same organization may stand at several leaves.
"""

from collections.abc import Collection, Iterator
from typing import Self

from pydantic import Field, model_validator

from opssc_chaincode.model.document import Document
from opssc_chaincode.model.fields import MspID

MAX_DEPTH = 5
MAX_LEAVES = 200


class Rule(Document):
    """At least `n` of the members of `of` agree, each an MSP ID or another rule."""

    n: int = Field(ge=1, le=MAX_LEAVES)
    of: tuple["MspID | Rule", ...] = Field(min_length=1, max_length=MAX_LEAVES)

    @model_validator(mode="after")
    def _within_bounds(self) -> Self:
        if self.n > len(self.of):
            raise ValueError(f"n is {self.n}, which is more than the {len(self.of)} members of `of`")
        if self.depth > MAX_DEPTH:
            raise ValueError(f"the rule is nested deeper than {MAX_DEPTH} levels")
        if sum(1 for _ in self.leaves()) > MAX_LEAVES:
            raise ValueError(f"the rule has more than {MAX_LEAVES} leaves")
        return self

    @property
    def depth(self) -> int:
        """Number of nested rules on the longest way down, 1 for a flat rule."""
        return 1 + max((part.depth for part in self.of if isinstance(part, Rule)), default=0)

    def leaves(self) -> Iterator[MspID]:
        """Give every leaf in order, repeated ones too."""
        for part in self.of:
            if isinstance(part, Rule):
                yield from part.leaves()
            else:
                yield part

    def satisfied(self, agreeing: Collection[MspID]) -> bool:
        """Whether the agreement of these organizations is enough."""
        return self.n <= sum(
            part.satisfied(agreeing) if isinstance(part, Rule) else part in agreeing for part in self.of
        )

    def missing(self, agreeing: Collection[MspID], undecided: Collection[MspID]) -> frozenset[MspID] | None:
        """Name undecided organizations whose agreement satisfies the rule, few of them; None when none would do.

        As few as possible unless an organization stands at several leaves: then nearly so.
        """
        found = frozenset[MspID]()
        parts = list(self.of)
        for _ in range(self.n):
            having = {*agreeing, *found}
            ways = [(way, part) for part in parts if (way := _missing(part, having, undecided)) is not None]
            if not ways:
                return None
            best, chosen = min(ways, key=lambda way: len(way[0]))
            found |= best
            parts.remove(chosen)
        return found

    def reachable(self, agreeing: Collection[MspID], undecided: Collection[MspID]) -> bool:
        """Whether the rule is satisfied if every undecided organization agrees too."""
        return self.satisfied({*agreeing, *undecided})


def majority(members: tuple[MspID, ...]) -> Rule:
    """Build the rule floor(N/2)+1 of all members."""
    return Rule(n=len(members) // 2 + 1, of=members)


def _missing(part: MspID | Rule, agreeing: Collection[MspID], undecided: Collection[MspID]) -> frozenset[MspID] | None:
    if isinstance(part, Rule):
        return part.missing(agreeing, undecided)
    if part in agreeing:
        return frozenset()
    return frozenset({part}) if part in undecided else None

"""Rules over organizations: "n of these", nested; what a channel policy means once people are left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet


@dataclass(frozen=True, slots=True)
class NOutOf:
    """At least ``n`` of ``of`` must agree: MSP IDs, or rules of their own. More than there are is never satisfied."""

    n: int
    of: tuple[str | NOutOf, ...]

    def __str__(self) -> str:
        return f"{self.n} of ({', '.join(map(str, self.of))})"

    def satisfied_by(self, agreed: AbstractSet[str]) -> bool:
        """Return whether these organizations (MSP IDs) are enough."""
        met = (part in agreed if isinstance(part, str) else part.satisfied_by(agreed) for part in self.of)
        return sum(met) >= self.n

    def members(self) -> frozenset[str]:
        """Return every MSP ID the rule mentions."""
        found: set[str] = set()
        for part in self.of:
            found |= {part} if isinstance(part, str) else part.members()
        return frozenset(found)

    def minimal(self, available: AbstractSet[str], prefer: Sequence[str] = ()) -> tuple[str, ...] | None:
        """Return available organizations that suffice and of which none can be spared, preferred ones first.

        None when all available ones together do not suffice.
        """
        chosen = available & self.members()
        if not self.satisfied_by(chosen):
            return None
        order = [*dict.fromkeys(each for each in prefer if each in chosen)]
        order += sorted(chosen - set(order))
        kept = list(order)
        for candidate in reversed(order):
            rest = set(kept) - {candidate}
            if self.satisfied_by(rest):
                kept.remove(candidate)
        return tuple(kept)

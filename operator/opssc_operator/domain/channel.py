"""One channel configuration as the own peer showed it: what proposals pin, and what they are checked against."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from fabric_admin.policy import NOutOf
from opssc_chaincode.model import Rule


@dataclass(frozen=True, slots=True)
class ChannelView:
    """A config block, reduced: number, config sequence, hex header hash, sorted member MSP IDs, lifecycle rule.

    ``rule`` is None when LifecycleEndorsement cannot be expressed by organization; ``rule_problem`` then says why.
    """

    channel: str
    config_block: int
    config_sequence: int
    config_hash: str
    members: tuple[str, ...]
    rule: NOutOf | None
    rule_problem: str = ""

    @property
    def pinned_rule(self) -> Rule | None:
        """The rule as proposals pin it; None when there is none, or when no set of members can satisfy it."""
        try:
            return None if self.rule is None else to_document(self.rule)
        except ValidationError:
            return None


@dataclass(frozen=True, slots=True)
class NoConfiguration:
    """The own peer has block ``number``, and it is not a channel configuration."""

    number: int


@dataclass(frozen=True, slots=True)
class BlockNotKept:
    """The own peer's chain is longer than block ``number``, which it does not have: it joined by a snapshot."""

    number: int


def to_document(rule: NOutOf) -> Rule:
    """The same rule in the contract's form."""
    return Rule(n=rule.n, of=tuple(part if isinstance(part, str) else to_document(part) for part in rule.of))


def from_document(rule: Rule) -> NOutOf:
    """The same rule in the Fabric library's form."""
    return NOutOf(rule.n, tuple(part if isinstance(part, str) else from_document(part) for part in rule.of))

"""Whether this organization is out of a channel because its members removed it. Pure.

Every change of who is in a channel gives its Application group the next version, whatever else was changed between.
So versions say which change came later, and whether one can still happen. Fabric: common/configtx.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MembershipChange:
    """What an update makes of the own membership in a channel.

    ``version`` is that of the Application group which it writes; ``sequence`` counts the changes of the configuration
    that it was made on.
    """

    channel: str
    admits: bool
    version: int
    sequence: int


@dataclass(frozen=True, slots=True)
class ShownMembership:
    """A configuration as own peers showed it last: its members, its Application group's version, its sequence."""

    member: bool
    version: int
    sequence: int


def is_removed(
    changes: Iterable[MembershipChange], shown: ShownMembership | None = None, recalled: int | None = None
) -> bool:
    """Whether accepted changes of one channel, or what is recalled, take the organization out for as long as is known.

    A removal counts until a later admission is accepted, or own peers show the organization as a member in a
    configuration that the removal cannot be applied to any more, because it was or something else took its place.
    ``recalled`` is the sequence of the configuration that own peers showed when this was said before.
    """
    known = tuple(changes)
    admissions = tuple(change for change in known if change.admits)
    as_member = shown if shown is not None and shown.member else None
    return _is_proposed(known, admissions, as_member) or _is_recalled(recalled, admissions, as_member)


def _is_proposed(
    known: Iterable[MembershipChange], admissions: Iterable[MembershipChange], as_member: ShownMembership | None
) -> bool:
    removal = max((change.version for change in known if not change.admits), default=None)
    if removal is None or (as_member is not None and as_member.version >= removal):
        return False
    return all(change.version <= removal for change in admissions)


def _is_recalled(
    recalled: int | None, admissions: Iterable[MembershipChange], as_member: ShownMembership | None
) -> bool:
    if recalled is None or (as_member is not None and as_member.sequence > recalled):
        return False
    return all(change.sequence <= recalled for change in admissions)

"""When an organization counts as removed from a channel, by accepted proposals and by what own peers show."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opssc_operator.domain.membership import MembershipChange, ShownMembership, is_removed


def removal(version: int, sequence: int = 0) -> MembershipChange:
    return MembershipChange("trade", admits=False, version=version, sequence=sequence)


def admission(version: int, sequence: int = 0) -> MembershipChange:
    return MembershipChange("trade", admits=True, version=version, sequence=sequence)


def shown(version: int, sequence: int = 0, *, member: bool = True) -> ShownMembership:
    return ShownMembership(member, version, sequence)


@pytest.mark.parametrize(
    ("changes", "seen", "recalled", "expected"),
    [
        pytest.param((), shown(4), None, False, id="nothing-is-proposed"),
        pytest.param((), None, None, False, id="nothing-is-known"),
        pytest.param((removal(5),), None, None, True, id="removed"),
        pytest.param((removal(5),), shown(4, 30), None, True, id="own-peers-are-before-it-however-much-else-changed"),
        pytest.param((removal(5),), shown(5, member=False), None, True, id="own-peers-show-it"),
        pytest.param((removal(5),), shown(5), None, False, id="another-change-took-its-place"),
        pytest.param((removal(5),), shown(6), None, False, id="own-peers-show-the-readmission"),
        pytest.param((removal(5), admission(6)), shown(4), None, False, id="readmitted-and-not-shown-yet"),
        pytest.param((admission(1), removal(5)), shown(4), None, True, id="admitted-before"),
        pytest.param((removal(5), admission(6), removal(9)), shown(8), None, True, id="removed-once-more"),
        pytest.param(
            (removal(5), admission(6), removal(9)), shown(9), None, False, id="the-second-one-came-to-nothing"
        ),
        pytest.param((removal(5), admission(5)), shown(4), None, True, id="an-admission-of-who-was-in-it-still"),
        pytest.param((), None, 7, True, id="said-before"),
        pytest.param((), shown(4, 7), 7, True, id="said-before-of-what-own-peers-show"),
        pytest.param((), shown(5, 8), 7, False, id="said-before-and-own-peers-have-gone-on"),
        pytest.param((), shown(5, 8, member=False), 7, True, id="said-before-and-own-peers-show-it"),
        pytest.param((admission(6, 8),), shown(4, 7), 7, False, id="said-before-and-readmitted-since"),
        pytest.param((admission(1, 2),), shown(4, 7), 7, True, id="said-before-and-admitted-before-that"),
        pytest.param((removal(5), admission(6, 6)), shown(6, 7), 7, True, id="removed-again-before-proposals-are-read"),
        pytest.param((removal(5),), shown(4, 0), -1, True, id="said-before-without-a-configuration"),
        pytest.param((), shown(4, 0), -1, False, id="said-before-without-a-configuration-or-a-proposal"),
    ],
)
def test_a_removal_counts_until_something_came_after_it(
    changes: tuple[MembershipChange, ...], seen: ShownMembership | None, recalled: int | None, expected: bool
) -> None:
    assert is_removed(changes, seen, recalled) is expected


@dataclass(slots=True)
class Channel:
    """A channel's history as its orderers know it, and what of it was accepted as proposals."""

    changes: list[MembershipChange] = field(default_factory=list)
    states: list[ShownMembership] = field(default_factory=lambda: [shown(0)])
    left_by_proposal_at: int | None = None
    admitted_by_proposal: bool = True
    pending: bool = False
    """Whether a removal was accepted and can still be applied."""

    def take(self, step: str, meanwhile: int) -> None:
        """One step; ``meanwhile`` counts changes of other things between the proposal and its being applied."""
        proposed = self.states[-1]
        moved = removal if proposed.member else admission
        match step:
            case "something-else":
                self._apply(members_change=False)
            case "other-members":
                self._apply(members_change=True)
            case "removal-in-vain":
                if proposed.member:
                    self.changes.append(removal(proposed.version + 1, proposed.sequence))
                    self.pending = True
            case "by-proposal":
                self.changes.append(moved(proposed.version + 1, proposed.sequence))
                for _ in range(meanwhile):
                    self._apply(members_change=False)
                self._move(by_proposal=True)
            case "by-hand":
                self._move(by_proposal=False)

    def _move(self, *, by_proposal: bool) -> None:
        leaves = self.states[-1].member
        self.left_by_proposal_at = len(self.states) if leaves and by_proposal else None
        self.admitted_by_proposal = not leaves and by_proposal
        self._apply(members_change=True, member=not leaves)

    def _apply(self, *, members_change: bool, member: bool | None = None) -> None:
        now = self.states[-1]
        self.pending = self.pending and not members_change
        self.states.append(
            ShownMembership(now.member if member is None else member, now.version + members_change, now.sequence + 1)
        )


STEPS = st.sampled_from(["something-else", "other-members", "removal-in-vain", "by-proposal", "by-hand"])
HISTORIES = st.lists(st.tuples(STEPS, st.integers(0, 2)), max_size=14)


def lived(history: list[tuple[str, int]]) -> Channel:
    channel = Channel()
    for step, meanwhile in history:
        channel.take(step, meanwhile)
    return channel


@given(HISTORIES, st.data())
def test_who_was_removed_by_a_proposal_counts_as_removed_wherever_own_peers_stand(
    history: list[tuple[str, int]], data: st.DataObject
) -> None:
    channel = lived([*history, ("by-proposal", data.draw(st.integers(0, 2)))])
    if channel.left_by_proposal_at is None:
        return
    seen = data.draw(st.none() | st.sampled_from(channel.states[: channel.left_by_proposal_at]))

    assert is_removed(channel.changes, seen)


@given(HISTORIES, st.data())
def test_a_member_that_own_peers_show_is_never_removed_by_what_can_happen_no_more(
    history: list[tuple[str, int]], data: st.DataObject
) -> None:
    channel = lived(history)
    now = channel.states[-1]
    recalled = data.draw(st.none() | st.integers(-1, now.sequence - 1))

    if now.member:
        assert is_removed(channel.changes, now, recalled) is channel.pending


@given(HISTORIES, st.data())
def test_who_was_admitted_by_a_proposal_is_not_removed_by_what_came_before(
    history: list[tuple[str, int]], data: st.DataObject
) -> None:
    # Given: removed somehow, and let in again
    channel = lived(history)
    if channel.states[-1].member:
        channel.take(data.draw(st.sampled_from(["by-proposal", "by-hand"])), 0)
    outside = len(channel.states) - 1
    channel.take("by-proposal", 0)
    members = [state.sequence for state in channel.states[:outside] if state.member]

    # When: own peers show anything from before, and objects say what they said then
    seen = data.draw(st.none() | st.sampled_from(channel.states))
    recalled = data.draw(st.none() | st.sampled_from(members))

    # Then
    assert not is_removed(channel.changes, seen, recalled)

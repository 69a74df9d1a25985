"""The pure core of the work queue, driven at random against a simple model of what it promises."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from opssc_operator.errors import Bug
from opssc_operator.reconcile.keys import Key, KeyKind, proposal_key, report_key
from opssc_operator.reconcile.schedule import MAX_BACKOFF_SECONDS, Schedule, backoff_seconds

KEYS = [Key(kind, "org1", name) for kind in KeyKind for name in ("Org1MSP/a", "Org2MSP/b")]
keys = st.sampled_from(KEYS)
delays = st.floats(min_value=0, max_value=100, allow_nan=False)


class ScheduleModel(RuleBasedStateMachine):
    """What is owed: `wanted` keys must run at once, `due` keys no later than that time, `running` keys never twice."""

    def __init__(self) -> None:
        super().__init__()
        self.schedule = Schedule()
        self.now = 0.0
        self.wanted: set[Key] = set()
        self.due: dict[Key, float] = {}
        self.running: set[Key] = set()

    @rule(key=keys)
    def add(self, key: Key) -> None:
        self.schedule.add(key)
        self.wanted.add(key)

    @rule(key=keys, delay=delays)
    def add_later(self, key: Key, delay: float) -> None:
        self.schedule.add_at(key, self.now + delay)
        self.due[key] = min(self.now + delay, self.due.get(key, math.inf))

    @rule(seconds=delays)
    def let_time_pass(self, seconds: float) -> None:
        self.now += seconds
        self.schedule.promote(self.now)
        for key in [key for key, due in self.due.items() if due <= self.now]:
            del self.due[key]
            self.wanted.add(key)

    @rule()
    def take(self) -> None:
        key = self.schedule.take()
        if key is None:
            assert self.wanted <= self.running
            return
        assert key not in self.running
        assert key in self.wanted
        self.wanted.remove(key)
        self.running.add(key)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end_a_run(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.running)))
        self.schedule.done(key)
        self.running.remove(key)

    @invariant()
    def counts_agree(self) -> None:
        assert self.schedule.ready == len(self.wanted - self.running)
        assert self.schedule.running == len(self.running)
        assert self.schedule.delayed == len(self.due)
        assert self.schedule.next_due() == min(self.due.values(), default=None)

    def teardown(self) -> None:
        owed = self.wanted | set(self.due)
        for key in sorted(self.running):
            self.schedule.done(key)
        self.schedule.promote(math.inf)
        paid = set()
        while (taken := self.schedule.take()) is not None:
            paid.add(taken)
        assert paid == owed


TestNoWishIsLostAndNoRunsOverlap = ScheduleModel.TestCase


@given(
    failures=st.integers(min_value=0, max_value=10_000),
    retry_after=st.none() | st.floats(allow_nan=False, allow_infinity=True),
    jitter=st.floats(min_value=0, max_value=1, exclude_max=True),
)
def test_a_backoff_is_never_negative_and_never_beyond_a_minute(
    failures: int, retry_after: float | None, jitter: float
) -> None:
    assert 0 <= backoff_seconds(failures, retry_after, jitter) <= MAX_BACKOFF_SECONDS


@given(failures=st.integers(min_value=1, max_value=50))
def test_a_backoff_grows_until_the_longest(failures: int) -> None:
    earlier, later = backoff_seconds(failures, None, 0.0), backoff_seconds(failures + 1, None, 0.0)

    assert later == min(2 * earlier, MAX_BACKOFF_SECONDS)


def test_a_delay_asked_for_by_the_other_side_wins_over_the_backoff() -> None:
    assert backoff_seconds(failures=9, retry_after=3.5, jitter=0.5) == 3.5


@pytest.mark.parametrize("retry_after", [pytest.param(0.0, id="at-once"), pytest.param(0.1, id="soon")])
def test_what_was_to_heal_at_once_is_not_tried_at_that_pace_for_ever(retry_after: float) -> None:
    waits = [backoff_seconds(failures, retry_after, 0.0) for failures in range(1, 40)]

    assert waits[0] == retry_after
    assert waits == sorted(waits)
    assert waits[-1] == MAX_BACKOFF_SECONDS


def test_reports_wait_until_proposals_have_run() -> None:
    schedule = Schedule()
    schedule.add(report_key("org1", "Org1MSP/a"))
    schedule.add(proposal_key("org1", "Org1MSP/a"))

    assert [schedule.take(), schedule.take()] == [
        proposal_key("org1", "Org1MSP/a"),
        report_key("org1", "Org1MSP/a"),
    ]


def test_ending_a_run_that_never_began_is_a_bug() -> None:
    with pytest.raises(Bug, match="not running"):
        Schedule().done(proposal_key("org1", "Org1MSP/a"))


def test_failures_are_counted_in_a_row_and_per_key() -> None:
    schedule = Schedule()
    key, other = KEYS[:2]

    counts = [schedule.failed(key), schedule.failed(key), schedule.failed(other)]
    schedule.succeeded(key)

    assert [*counts, schedule.failed(key)] == [1, 2, 1, 1]

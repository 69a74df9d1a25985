"""Blocks are cut by count and bytes as Fabric cuts them."""

from __future__ import annotations

import pytest
from fabric_protos.common import common_pb2
from hypothesis import given
from hypothesis import strategies as st

from fabric_devnet.embedded.blockcutter import BatchLimits, BlockCutter


def message(size: int, name: int = 0) -> common_pb2.Envelope:
    content = bytes([name % 256]) * (size - 1)
    return common_pb2.Envelope(payload=content, signature=b"s")


def sizes(batches: list[list[common_pb2.Envelope]]) -> list[list[int]]:
    return [[len(each.payload) + len(each.signature) for each in batch] for batch in batches]


@pytest.mark.parametrize(
    ("arriving", "cut", "waiting"),
    [
        pytest.param([10], [], [10], id="a lone message waits"),
        pytest.param([10, 10, 10], [[10, 10, 10]], [], id="the third message completes the count"),
        pytest.param([10, 101], [[10], [101]], [], id="an oversized message flushes what waits and goes alone"),
        pytest.param([101], [[101]], [], id="an oversized message goes alone"),
        pytest.param([60, 60], [[60]], [60], id="a message that would exceed the bytes starts a new batch"),
        pytest.param([50, 50], [], [50, 50], id="exactly the preferred bytes fit"),
        pytest.param([100], [], [100], id="a message of exactly the preferred bytes waits"),
    ],
)
def test_messages_are_cut_by_count_and_bytes(arriving: list[int], cut: list[list[int]], waiting: list[int]) -> None:
    # Given a channel that prefers blocks of 3 messages or 100 bytes
    cutter, limits = BlockCutter(), BatchLimits(max_message_count=3, preferred_max_bytes=100)

    # When messages arrive
    batches = [batch for size in arriving for batch in cutter.add(message(size), limits)]

    # Then these batches are cut, and the rest waits
    assert sizes(batches) == cut
    assert cutter.pending == bool(waiting)
    assert sizes([cutter.cut()]) == [waiting]


@given(
    arriving=st.lists(st.integers(min_value=2, max_value=150), max_size=60),
    count=st.integers(min_value=1, max_value=8),
    preferred=st.integers(min_value=2, max_value=200),
)
def test_no_message_is_lost_or_reordered_and_no_limit_is_exceeded(
    arriving: list[int], count: int, preferred: int
) -> None:
    # Given any limits and any messages
    cutter, limits = BlockCutter(), BatchLimits(count, preferred)
    messages = [message(size, index) for index, size in enumerate(arriving)]

    # When all arrive and what is left is cut by time
    batches = [batch for each in messages for batch in cutter.add(each, limits)]
    batches.append(cutter.cut())

    # Then the batches are the messages in order, each within the limits or a single oversized message
    assert [each for batch in batches for each in batch] == messages
    assert all(len(batch) <= count for batch in batches)
    assert all(sum(batch) <= preferred or len(batch) == 1 for batch in sizes(batches))
    assert not cutter.pending

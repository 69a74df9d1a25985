"""How query results are handed out in batches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fabric_devnet.embedded.transactioncontext import BATCH, OpenQuery


def drain(query: OpenQuery) -> list[list[bytes]]:
    batches = []
    more = True
    while more:
        batch, more = query.next_batch()
        batches.append(batch)
    return batches


@given(st.integers(0, 5 * BATCH))
def test_every_result_comes_once_and_in_order_in_full_batches(count: int) -> None:
    results = [str(number).encode() for number in range(count)]

    batches = drain(OpenQuery(iter(results)))

    assert [result for batch in batches for result in batch] == results
    assert all(len(batch) == BATCH for batch in batches[:-1])
    assert len(batches) == max(1, -(-count // BATCH))


@given(st.integers(1, 3 * BATCH), st.integers(0, 3 * BATCH))
def test_no_more_than_the_limit_is_handed_out(limit: int, count: int) -> None:
    results = [str(number).encode() for number in range(count)]

    batches = drain(OpenQuery(iter(results), remaining=limit))

    assert [result for batch in batches for result in batch] == results[:limit]

"""Transactions of one block are serialized: versions, phantoms and metadata."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pytest
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2 as kvrwset
from hypothesis import given
from hypothesis import strategies as st

from fabric_devnet.embedded.mvcc import BlockState
from fabric_devnet.embedded.simulator import Simulator
from fabric_devnet.embedded.statedb import StateDB, TransactionUpdates, Update, Version, VersionedValue
from fabric_devnet.embedded.transaction import Code, CollectionAccess, EndorserTransaction, NamespaceAccess

if TYPE_CHECKING:
    from collections.abc import Callable

NAMESPACE = "basic"


def state_of(keys: str) -> StateDB:
    state, version = StateDB(), Version(0, 0)
    changes = [Update(key, VersionedValue(key.encode(), version)) for key in keys]
    state.apply(0, [TransactionUpdates(version, public={NAMESPACE: changes})])
    return state


def simulated(
    state: StateDB, program: Callable[[Simulator], object], transaction_id: str = "tx"
) -> EndorserTransaction:
    """Endorse a program: simulate it and wrap its read and write sets."""
    simulator = Simulator(state.snapshot(), transaction_id)
    program(simulator)
    namespaces = tuple(
        NamespaceAccess(
            name=each.namespace,
            public=kvrwset.KVRWSet.FromString(each.rwset),
            collections=tuple(
                CollectionAccess(c.collection_name, kvrwset.HashedRWSet.FromString(c.hashed_rwset), c.pvt_rwset_hash)
                for c in each.collection_hashed_rwset
            ),
        )
        for each in simulator.results().public.ns_rwset
    )
    return EndorserTransaction("tx", 0, NAMESPACE, b"", (), namespaces)


def codes(state: StateDB, *programs: Callable[[Simulator], object]) -> list[str]:
    """Validate a block of programs that were all simulated on the same state."""
    block = BlockState(state.snapshot(), 1)
    found = []
    for position, program in enumerate(programs):
        transaction = simulated(state, program)
        code = block.check(transaction)
        if code == Code.VALID:
            block.apply(position, transaction)
        found.append(Code.Name(Code.ValueType(code)))
    return found


def get(key: str) -> Callable[[Simulator], object]:
    return lambda s: s.get_state(NAMESPACE, key)


def put(key: str) -> Callable[[Simulator], object]:
    return lambda s: s.put_state(NAMESPACE, key, b"new")


def delete(key: str) -> Callable[[Simulator], object]:
    return lambda s: s.delete_state(NAMESPACE, key)


def both(*programs: Callable[[Simulator], object]) -> Callable[[Simulator], object]:
    return lambda s: [program(s) for program in programs]


def scan(start: str, end: str, take: int = 1000) -> Callable[[Simulator], object]:
    def run(simulator: Simulator) -> object:
        rows = simulator.scan(NAMESPACE, start, end)
        return [next(rows, None) for _ in range(take)]

    return run


@pytest.mark.parametrize(
    ("programs", "expected"),
    [
        pytest.param([both(get("a"), put("a"))] * 2, ["VALID", "MVCC_READ_CONFLICT"], id="read and write the same key"),
        pytest.param([put("a"), put("a")], ["VALID", "VALID"], id="blind writes never conflict"),
        pytest.param([put("z"), get("z")], ["VALID", "MVCC_READ_CONFLICT"], id="an absent key appeared"),
        pytest.param([delete("a"), get("a")], ["VALID", "MVCC_READ_CONFLICT"], id="a read key was deleted"),
        pytest.param([get("a"), put("a")], ["VALID", "VALID"], id="a read before the write"),
        pytest.param(
            [both(get("a"), put("b")), both(get("b"), put("c")), get("c")],
            ["VALID", "MVCC_READ_CONFLICT", "VALID"],
            id="writes of an invalid transaction do not count",
        ),
        pytest.param([put("bb"), scan("a", "d")], ["VALID", "PHANTOM_READ_CONFLICT"], id="a key appeared in a range"),
        pytest.param([delete("b"), scan("a", "d")], ["VALID", "PHANTOM_READ_CONFLICT"], id="a key left a range"),
        pytest.param([put("b"), scan("a", "d")], ["VALID", "PHANTOM_READ_CONFLICT"], id="a value in a range changed"),
        pytest.param([put("d"), scan("a", "d")], ["VALID", "VALID"], id="the end of a range is exclusive"),
        pytest.param([put("c"), scan("a", "", 2)], ["VALID", "VALID"], id="beyond what was taken of a range"),
        pytest.param([put("b"), scan("a", "", 2)], ["VALID", "PHANTOM_READ_CONFLICT"], id="the last key taken counts"),
        pytest.param([put("zz"), scan("a", "")], ["VALID", "PHANTOM_READ_CONFLICT"], id="an open range, taken whole"),
        pytest.param([put("a"), scan("a", "d", 0)], ["VALID", "VALID"], id="a range never taken from"),
        pytest.param([delete("q"), scan("a", "")], ["VALID", "VALID"], id="deleting what does not exist is no phantom"),
    ],
)
def test_a_block_is_serialized(programs: list[Callable[[Simulator], object]], expected: list[str]) -> None:
    assert codes(state_of("abcd"), *programs) == expected


def test_a_range_of_many_keys_is_checked_by_its_summary() -> None:
    # Given 130 keys, more than a read set lists
    state, version = StateDB(), Version(0, 0)
    changes = [Update(f"{n:04}", VersionedValue(b"v", version)) for n in range(130)]
    state.apply(0, [TransactionUpdates(version, public={NAMESPACE: changes})])

    # When nothing, or one key in the middle, changes before a full scan
    unchanged = codes(state, put("9999x"), scan("", "9"))
    changed = codes(state, put("0077"), scan("", "9"))

    # Then only the change is a phantom
    assert unchanged == ["VALID", "VALID"]
    assert changed == ["VALID", "PHANTOM_READ_CONFLICT"]


def test_private_reads_conflict_by_hash() -> None:
    # Given two transactions that read and write the same private key
    def program(simulator: Simulator) -> None:
        simulator.get_private(NAMESPACE, "secrets", "k")
        simulator.put_private(NAMESPACE, "secrets", "k", b"v")

    # When both are in one block, then the second is late
    assert codes(StateDB(), program, program) == ["VALID", "MVCC_READ_CONFLICT"]


def test_metadata_outlives_a_new_value_and_dies_with_the_key() -> None:
    # Given a key with metadata
    def set_policy(simulator: Simulator) -> None:
        simulator.put_state(NAMESPACE, "k", b"1")
        simulator.put_state_metadata(NAMESPACE, "k", {"VALIDATION_PARAMETER": b"policy"})

    state = StateDB()
    found = []
    programs = [set_policy, put("k"), lambda s: s.put_state_metadata(NAMESPACE, "absent", {"m": b""}), delete("k")]

    # When value, metadata of an absent key, and the key itself change in blocks of their own
    for number, program in enumerate(programs):
        block = BlockState(state.snapshot(), number)
        state.apply(number, [block.apply(0, simulated(state, program))])
        found.append(state.snapshot().get(NAMESPACE, "k"))

    # Then the policy stays until the key is deleted, and an absent key gets none
    assert [dict(each.metadata) if each else None for each in found] == [{"VALIDATION_PARAMETER": b"policy"}] * 3 + [
        None
    ]
    assert found[1] is not None
    assert found[1].version == Version(1, 0)
    assert state.snapshot().get(NAMESPACE, "absent") is None


@dataclass(frozen=True)
class Step:
    action: str
    key: str
    end: str = ""
    take: int = 1000


_KEYS = st.sampled_from([a + b for a in "abc" for b in ("", "a", "b")])
_STEPS = st.one_of(
    st.builds(Step, st.sampled_from(["get", "put", "delete"]), _KEYS),
    st.builds(Step, st.just("scan"), _KEYS, _KEYS | st.just(""), st.integers(0, 6) | st.just(1000)),
)
_PROGRAMS = st.lists(st.lists(_STEPS, min_size=1, max_size=4), min_size=1, max_size=6)


def run(steps: list[Step], simulator: Simulator) -> None:
    actions = {"get": get, "put": put, "delete": delete}
    for step in steps:
        action = scan(step.key, step.end, step.take) if step.action == "scan" else actions[step.action](step.key)
        action(simulator)


@given(initial=st.sets(_KEYS), programs=_PROGRAMS)
def test_a_transaction_is_valid_exactly_when_it_would_read_the_same_in_its_place(
    initial: set[str], programs: list[list[Step]]
) -> None:
    # Given transactions simulated on one state, and what each would read if run in its place in the block
    version = Version(0, 0)
    before, serial = StateDB(), StateDB()
    changes = [Update(key, VersionedValue(b"old", version)) for key in sorted(initial)]
    for state in (before, serial):
        state.apply(0, [TransactionUpdates(version, public={NAMESPACE: list(changes)})])
    block = BlockState(before.snapshot(), 1)
    written: set[str] = set()

    for position, steps in enumerate(programs):
        # When the block is validated in order
        transaction = simulated(before, partial(run, steps))
        code = block.check(transaction)

        # Then the verdict is that of running it again (Fabric also counts a key as read late when a delete of an
        # absent key came before)
        again = simulated(serial, partial(run, steps))
        touched = any(r.key in written for n in transaction.namespaces for r in n.public.reads)
        same = [_reads(n) for n in again.namespaces] == [_reads(n) for n in transaction.namespaces]
        assert (code == Code.VALID) == (same and not touched)
        if code == Code.VALID:
            updates = block.apply(position, transaction)
            serial.apply(position + 1, [_moved(updates, position + 1)])
            written |= {write.key for n in transaction.namespaces for write in n.public.writes}


def _reads(namespace: NamespaceAccess) -> tuple[list[bytes], list[bytes]]:
    public = namespace.public
    return (
        [read.SerializeToString() for read in public.reads],
        [info.SerializeToString() for info in public.range_queries_info],
    )


def _moved(updates: TransactionUpdates, number: int) -> TransactionUpdates:
    """Give the same writes a block of their own, so that the serial run sees them."""
    version = Version(number, 0)
    public = {
        name: [Update(u.key, None if u.value is None else VersionedValue(u.value.value, version)) for u in changes]
        for name, changes in updates.public.items()
    }
    return TransactionUpdates(version, public=public)

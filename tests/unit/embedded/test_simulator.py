"""What a simulated transaction reads, writes and is refused."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2 as kvrwset
from hypothesis import given
from hypothesis import strategies as st

from fabric_devnet.embedded.errors import SimulationError
from fabric_devnet.embedded.rangereads import MAX_DEGREE
from fabric_devnet.embedded.simulator import Simulator
from fabric_devnet.embedded.statedb import StateDB, TransactionUpdates, Update, Version, VersionedValue, key_hash

if TYPE_CHECKING:
    from collections.abc import Callable

NAMESPACE = "basic"
COLLECTION = "secrets"


def committed(block_number: int, values: dict[str, bytes | None], state: StateDB | None = None) -> StateDB:
    """Commit one transaction in one block that writes these values."""
    state = state or StateDB()
    version = Version(block_number, 0)
    changes = [Update(key, None if value is None else VersionedValue(value, version)) for key, value in values.items()]
    state.apply(block_number, [TransactionUpdates(version, f"tx{block_number}", 7, public={NAMESPACE: changes})])
    return state


def committed_private(values: dict[str, bytes]) -> StateDB:
    state, version = StateDB(), Version(1, 0)
    place = (NAMESPACE, COLLECTION)
    hashed = [
        Update(key_hash(key), VersionedValue(hashlib.sha256(value).digest(), version)) for key, value in values.items()
    ]
    private = [Update(key, VersionedValue(value, version)) for key, value in values.items()]
    state.apply(1, [TransactionUpdates(version, hashed={place: hashed}, private={place: private})])
    return state


def public_set(simulator: Simulator) -> kvrwset.KVRWSet:
    (namespace,) = simulator.results().public.ns_rwset
    return kvrwset.KVRWSet.FromString(namespace.rwset)


def test_a_write_is_not_seen_by_later_reads_of_the_same_transaction() -> None:
    # Given a committed value
    simulator = Simulator(committed(3, {"k": b"old"}).snapshot(), "tx")

    # When the transaction writes it and reads it again
    simulator.put_state(NAMESPACE, "k", b"new")
    seen = simulator.get_state(NAMESPACE, "k")

    # Then it sees the committed value, and both the read version and the write are recorded
    assert seen == b"old"
    recorded = public_set(simulator)
    assert [(read.key, read.version.block_num, read.version.tx_num) for read in recorded.reads] == [("k", 3, 0)]
    assert [(write.key, write.value) for write in recorded.writes] == [("k", b"new")]


def test_a_read_of_an_absent_key_carries_no_version_and_the_last_write_wins() -> None:
    # Given empty state
    simulator = Simulator(StateDB().snapshot(), "tx")

    # When an absent key is read, written and then deleted
    assert simulator.get_state(NAMESPACE, "k") is None
    simulator.put_state(NAMESPACE, "k", b"1")
    simulator.delete_state(NAMESPACE, "k")

    # Then the read has no version and only the delete remains
    recorded = public_set(simulator)
    assert [read.HasField("version") for read in recorded.reads] == [False]
    assert [(write.key, write.is_delete) for write in recorded.writes] == [("k", True)]


def test_a_simulation_keeps_seeing_the_height_it_began_at() -> None:
    # Given a simulation begun before a block
    state = committed(1, {"k": b"1", "gone": b"x"})
    simulator = Simulator(state.snapshot(), "tx")

    # When a block changes, adds and deletes keys meanwhile
    committed(2, {"k": b"2", "new": b"y", "gone": None}, state)

    # Then the simulation still reads the old state, and a new one the new
    assert simulator.get_state(NAMESPACE, "k") == b"1"
    assert list(simulator.scan(NAMESPACE, "", "")) == [("gone", b"x"), ("k", b"1")]
    assert list(Simulator(state.snapshot(), "tx2").scan(NAMESPACE, "", "")) == [("k", b"2"), ("new", b"y")]


@given(st.permutations(["", "a", "a\u0000b", "ab", "b", "é", "\U0010ffff"]), st.data())
def test_results_do_not_depend_on_the_order_of_calls(keys: list[str], data: st.DataObject) -> None:
    # Given the same reads and writes in two orders, in two namespaces and a collection
    def results(order: list[str]) -> bytes:
        simulator = Simulator(StateDB().snapshot(), "tx")
        for key in order:
            for namespace in ("zeta", "alpha"):
                simulator.put_state(namespace, key, key.encode())
                simulator.get_state(namespace, key)
                simulator.put_private(namespace, COLLECTION, key, b"p")
        return simulator.results().public.SerializeToString()

    # When both are simulated
    other = data.draw(st.permutations(keys))

    # Then the endorsed bytes are equal
    assert results(keys) == results(other)


def test_a_range_is_half_open_and_records_how_far_it_was_taken() -> None:
    # Given five keys
    state = committed(1, {key: key.encode() for key in "abcde"})

    # When one range is taken whole, one partly, and one has start after end
    simulator = Simulator(state.snapshot(), "tx")
    whole = [key for key, _ in simulator.scan(NAMESPACE, "b", "d")]
    partly = next(simulator.scan(NAMESPACE, "a", ""))
    backwards = list(simulator.scan(NAMESPACE, "d", "b"))

    # Then the ends are exclusive and the read set says what was read
    assert (whole, partly, backwards) == (["b", "c"], ("a", b"a"), [])
    first, second, third = public_set(simulator).range_queries_info
    assert (first.end_key, first.itr_exhausted, len(first.raw_reads.kv_reads)) == ("d", True, 2)
    assert (second.end_key, second.itr_exhausted, len(second.raw_reads.kv_reads)) == ("a", False, 1)
    assert (third.itr_exhausted, third.HasField("raw_reads")) == (True, False)


@pytest.mark.parametrize(
    ("count", "summarized"), [pytest.param(MAX_DEGREE, False, id="50"), pytest.param(MAX_DEGREE + 1, True, id="51")]
)
def test_many_range_reads_are_summarized(count: int, summarized: bool) -> None:
    # Given so many keys
    state = committed(1, {f"{number:05}": b"v" for number in range(count)})

    # When all are read in one range
    simulator = Simulator(state.snapshot(), "tx")
    assert len(list(simulator.scan(NAMESPACE, "", ""))) == count

    # Then beyond the maximal degree the read set holds hashes instead of reads
    (info,) = public_set(simulator).range_queries_info
    assert info.HasField("reads_merkle_hashes") == summarized
    assert info.HasField("raw_reads") != summarized


def test_private_values_stay_out_of_the_public_set() -> None:
    # Given a collection with one value
    simulator = Simulator(committed_private({"k": b"topaz"}).snapshot(), "tx")

    # When it is read and another is written
    assert simulator.get_private(NAMESPACE, COLLECTION, "k") == b"topaz"
    simulator.put_private(NAMESPACE, COLLECTION, "new", b"hidden")
    results = simulator.results()

    # Then the public set holds hashes alone and binds the private one by its hash
    public = results.public.SerializeToString()
    assert b"topaz" not in public
    assert b"hidden" not in public
    (collection,) = results.public.ns_rwset[0].collection_hashed_rwset
    hashed = kvrwset.HashedRWSet.FromString(collection.hashed_rwset)
    assert [read.key_hash for read in hashed.hashed_reads] == [key_hash("k")]
    assert [(w.key_hash, w.value_hash) for w in hashed.hashed_writes] == [
        (key_hash("new"), hashlib.sha256(b"hidden").digest())
    ]
    assert results.private is not None
    private = results.private.ns_pvt_rwset[0].collection_pvt_rwset[0].rwset
    assert collection.pvt_rwset_hash == hashlib.sha256(private).digest()
    assert results.private_reads == {(NAMESPACE, COLLECTION)}


def test_a_private_value_this_peer_does_not_hold_is_refused_but_its_hash_can_be_read() -> None:
    # Given a peer that knows only the hash
    state, version = StateDB(), Version(7, 0)
    hashed = [Update(key_hash("k"), VersionedValue(b"digest", version))]
    state.apply(7, [TransactionUpdates(version, hashed={(NAMESPACE, COLLECTION): hashed})])
    simulator = Simulator(state.snapshot(), "tx")

    # When value and hash are asked for, then only the hash is given
    with pytest.raises(SimulationError, match=r"private data matching public hash version is not available"):
        simulator.get_private(NAMESPACE, COLLECTION, "k")
    assert simulator.get_private_hash(NAMESPACE, COLLECTION, "k") == b"digest"


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        pytest.param(
            lambda s: s.scan_page(NAMESPACE, "", ""),
            lambda s: s.put_state(NAMESPACE, "k", b""),
            "txid [tx]: unsuppored transaction. Transaction has already performed a paginated query. "
            "Writes are not allowed",
            id="write after a paginated query",
        ),
        pytest.param(
            lambda s: s.delete_state(NAMESPACE, "k"),
            lambda s: s.scan_page(NAMESPACE, "", ""),
            "txid [tx]: unsuppored transaction. Paginated queries are supported only in a read-only transaction",
            id="paginated query after a write",
        ),
        pytest.param(
            lambda s: s.scan_private(NAMESPACE, COLLECTION, "", ""),
            lambda s: s.put_private(NAMESPACE, COLLECTION, "k", b""),
            "txid [tx]: unsuppored transaction. Transaction has already performed queries on pvt data. "
            "Writes are not allowed",
            id="write after a private query",
        ),
        pytest.param(
            lambda s: s.put_state(NAMESPACE, "k", b""),
            lambda s: s.scan_private(NAMESPACE, COLLECTION, "", ""),
            "txid [tx]: unsuppored transaction. Queries on pvt data is supported only in a read-only transaction",
            id="private query after a write",
        ),
    ],
)
def test_queries_that_cannot_be_validated_exclude_writes(
    first: Callable[[Simulator], object], second: Callable[[Simulator], object], text: str
) -> None:
    # Given a transaction that has done the first
    simulator = Simulator(StateDB().snapshot(), "tx")
    first(simulator)

    # When it does the second, then it is refused in Fabric's words
    with pytest.raises(SimulationError) as refusal:
        second(simulator)
    assert str(refusal.value) == text


def test_history_lists_writes_newest_first_with_deletes() -> None:
    # Given a key written, deleted and written again
    state = committed(1, {"k": b"1"})
    committed(2, {"k": None}, state)
    committed(3, {"k": b"3"}, state)

    # When its history is asked for
    history = Simulator(state.snapshot(), "tx").history(NAMESPACE, "k")

    # Then it is newest first, and the delete has no value
    assert [(r.transaction_id, r.value.value if r.value else None) for r in history] == [
        ("tx3", b"3"),
        ("tx2", None),
        ("tx1", b"1"),
    ]

"""The layout of definitions and approvals in state, compared with what real Fabric wrote."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from fabric_protos.common import common_pb2
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from fabric_protos.peer import proposal_pb2, proposal_response_pb2, transaction_pb2
from hypothesis import given
from hypothesis import strategies as st

from fabric_devnet.embedded.lifecycle import state
from fabric_devnet.embedded.lifecycle.state import Definition, Parameters

if TYPE_CHECKING:
    from pathlib import Path

PARAMETERS = st.builds(
    Parameters,
    version=st.text(max_size=5),
    endorsement_plugin=st.text(max_size=5),
    init_required=st.booleans(),
    validation_plugin=st.text(max_size=5),
    validation_parameter=st.binary(max_size=5),
    collections=st.just(b""),
)


class Keys(dict[str, bytes]):
    """State of one namespace, that also answers by hash."""

    def put(self, key: str, value: bytes) -> None:
        self[key] = value

    def delete(self, key: str) -> None:
        del self[key]

    def get_hash(self, key: str) -> bytes | None:
        return hashlib.sha256(self[key]).digest() if key in self else None


@given(PARAMETERS, st.integers(1, 1000))
def test_what_was_committed_is_read_back(parameters: Parameters, sequence: int) -> None:
    keys, definition = Keys(), Definition("asset", sequence, parameters)

    state.write_record(keys, state.DEFINITIONS, "asset", definition.record())

    assert state.read_definition(keys, "asset") == definition
    assert state.read_sequence(keys, "asset") == sequence


@given(PARAMETERS, PARAMETERS)
def test_a_second_definition_leaves_no_trace_of_the_first(one: Parameters, other: Parameters) -> None:
    keys, fresh = Keys(), Keys()

    state.write_record(keys, state.DEFINITIONS, "asset", Definition("asset", 1, one).record())
    state.write_record(keys, state.DEFINITIONS, "asset", Definition("asset", 2, other).record())
    state.write_record(fresh, state.DEFINITIONS, "asset", Definition("asset", 2, other).record())

    assert keys == fresh


@given(PARAMETERS, PARAMETERS)
def test_hashes_tell_exactly_whether_an_approval_agrees(approved: Parameters, proposed: Parameters) -> None:
    keys = Keys()
    state.write_record(keys, state.DEFINITIONS, "asset#1", approved.record())

    mismatches = state.record_mismatches(keys, state.DEFINITIONS, "asset#1", proposed.record())

    assert (mismatches == ()) == (approved == proposed)


def test_without_an_approval_the_parameters_as_a_whole_mismatch() -> None:
    parameters = Parameters(
        "1.0", "escc", init_required=False, validation_plugin="vscc", validation_parameter=b"", collections=b""
    )

    assert state.record_mismatches(Keys(), state.DEFINITIONS, "asset#1", parameters.record()) == (
        "ChaincodeParameters",
    )


def test_only_changed_fields_are_written() -> None:
    class Recording(Keys):
        def __init__(self) -> None:
            super().__init__()
            self.writes: list[str] = []

        def put(self, key: str, value: bytes) -> None:
            self.writes.append(key)
            super().put(key, value)

    keys = Recording()
    first = Parameters(
        "1.0", "escc", init_required=False, validation_plugin="vscc", validation_parameter=b"p", collections=b""
    )
    second = Parameters(
        "1.1", "escc", init_required=False, validation_plugin="vscc", validation_parameter=b"p", collections=b""
    )
    state.write_record(keys, state.DEFINITIONS, "asset", Definition("asset", 1, first).record())
    keys.writes.clear()

    state.write_record(keys, state.DEFINITIONS, "asset", Definition("asset", 2, second).record())

    assert keys.writes == ["namespaces/fields/asset/Sequence", "namespaces/fields/asset/EndorsementInfo"]


@pytest.mark.vectors
def test_a_commit_by_real_fabric_is_laid_out_byte_for_byte_like_ours(vectors: Path) -> None:
    block = common_pb2.Block.FromString((vectors / "blocks" / "chain" / "block-05.pb").read_bytes())
    written = {write.key: write.value for write in _public_writes(block, state.NAMESPACE)}
    keys = Keys(written)

    definition = state.read_definition(keys, "asset")
    assert definition is not None
    ours = Keys()
    state.write_record(ours, state.DEFINITIONS, "asset", definition.record())

    assert ours == written


@pytest.mark.vectors
def test_an_approval_by_real_fabric_has_the_hashes_of_ours(vectors: Path) -> None:
    committed = common_pb2.Block.FromString((vectors / "blocks" / "chain" / "block-05.pb").read_bytes())
    definition = state.read_definition(
        Keys({write.key: write.value for write in _public_writes(committed, state.NAMESPACE)}), "asset"
    )
    assert definition is not None
    approval = common_pb2.Block.FromString((vectors / "blocks" / "chain" / "block-01.pb").read_bytes())
    recorded = {write.key_hash: write.value_hash for write in _hashed_writes(approval)}

    ours = Keys()
    state.write_record(ours, state.DEFINITIONS, definition.private_name, definition.parameters.record())

    hashed = {hashlib.sha256(key.encode()).digest(): hashlib.sha256(value).digest() for key, value in ours.items()}
    assert hashed.items() <= recorded.items()


def _results(block: common_pb2.Block) -> rwset_pb2.TxReadWriteSet:
    payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(block.data.data[0]).payload)
    transaction = transaction_pb2.Transaction.FromString(payload.data)
    action = transaction_pb2.ChaincodeActionPayload.FromString(transaction.actions[0].payload)
    response = proposal_response_pb2.ProposalResponsePayload.FromString(action.action.proposal_response_payload)
    return rwset_pb2.TxReadWriteSet.FromString(proposal_pb2.ChaincodeAction.FromString(response.extension).results)


def _public_writes(block: common_pb2.Block, namespace: str) -> list[kv_rwset_pb2.KVWrite]:
    return [
        write
        for each in _results(block).ns_rwset
        if each.namespace == namespace
        for write in kv_rwset_pb2.KVRWSet.FromString(each.rwset).writes
    ]


def _hashed_writes(block: common_pb2.Block) -> list[kv_rwset_pb2.KVWriteHash]:
    return [
        write
        for each in _results(block).ns_rwset
        for collection in each.collection_hashed_rwset
        for write in kv_rwset_pb2.HashedRWSet.FromString(collection.hashed_rwset).hashed_writes
    ]

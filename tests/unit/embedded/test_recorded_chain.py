"""The ledger judges and hashes the blocks of a real Fabric network as its peers did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fabric_protos.common import common_pb2

from fabric_admin import blocks
from fabric_devnet.embedded.errors import BadBlock, NotInLedger
from fabric_devnet.embedded.ledger import Ledger
from fabric_devnet.embedded.snapshotfiles import BadSnapshot, LedgerSnapshot
from fabric_devnet.embedded.transient import TransientStore

if TYPE_CHECKING:
    from pathlib import Path

FILTER = common_pb2.BlockMetadataIndex.TRANSACTIONS_FILTER
COMMIT_HASH = common_pb2.BlockMetadataIndex.COMMIT_HASH


@pytest.fixture(scope="module")
def recorded(request: pytest.FixtureRequest) -> list[common_pb2.Block]:
    folder: Path = request.getfixturevalue("vectors")
    files = sorted((folder / "blocks" / "chain").glob("block-*.pb"))
    assert files
    return [common_pb2.Block.FromString(file.read_bytes()) for file in files]


def as_ordered(block: common_pb2.Block) -> common_pb2.Block:
    """Return the block as the orderer sent it, without what the recorded peer added."""
    sent = common_pb2.Block()
    sent.CopyFrom(block)
    sent.metadata.metadata[FILTER] = b""
    sent.metadata.metadata[COMMIT_HASH] = b""
    return sent


def new_ledger(recorded: list[common_pb2.Block]) -> Ledger:
    return Ledger.create(recorded[0], msp_id="Org1MSP", transient=TransientStore())


def test_every_recorded_block_gets_the_recorded_codes_and_commit_hash(recorded: list[common_pb2.Block]) -> None:
    # Given a ledger that joined with the recorded genesis block
    ledger = new_ledger(recorded)

    for block in recorded[1:]:
        # When the next block arrives from the orderer
        stored = ledger.append(as_ordered(block))

        # Then the validation codes and the commit hash are those of the real peer
        number = block.header.number
        assert list(stored.metadata.metadata[FILTER]) == list(block.metadata.metadata[FILTER]), f"block {number}"
        assert stored.metadata.metadata[COMMIT_HASH] == block.metadata.metadata[COMMIT_HASH], f"block {number}"
    assert ledger.height == len(recorded)


def test_transactions_are_found_by_their_first_occurrence(recorded: list[common_pb2.Block]) -> None:
    # Given a ledger with the whole recorded chain, in which an identifier occurs twice
    ledger = new_ledger(recorded)
    for block in recorded[1:]:
        ledger.append(as_ordered(block))
    duplicates = [
        view.tx_id
        for block in recorded
        for view in blocks.transactions(block)
        if view.validation_code == "DUPLICATE_TXID"
    ]
    assert duplicates

    # When it is looked up, then the first occurrence answers
    for transaction_id in duplicates:
        status = ledger.commit_status(transaction_id)
        assert status is not None
        first = ledger.block_by_tx_id(transaction_id)
        assert first.header.number == status.block_number
        assert ledger.transaction(transaction_id).validationCode == status.code
        earlier = [
            b for b in recorded[: status.block_number] for v in blocks.transactions(b) if v.tx_id == transaction_id
        ]
        assert earlier == []


def test_what_is_not_in_the_ledger_is_refused_in_fabrics_words(recorded: list[common_pb2.Block]) -> None:
    # Given a ledger of one block
    ledger = new_ledger(recorded)

    # When something else is asked for, then the refusal names it
    with pytest.raises(NotInLedger, match=r"^no such block number \[7\] in index$"):
        ledger.block(7)
    with pytest.raises(NotInLedger, match=r"^no such block hash \[ff00\] in index$"):
        ledger.block_by_hash(b"\xff\x00")
    with pytest.raises(NotInLedger, match=r"^no such transaction ID \[gone\] in index$"):
        ledger.transaction("gone")
    assert ledger.block(2**64 - 1).header.number == 0


def test_a_block_that_does_not_continue_the_chain_changes_nothing(recorded: list[common_pb2.Block]) -> None:
    # Given a ledger that waits for block 1
    ledger = new_ledger(recorded)
    altered = as_ordered(recorded[1])
    altered.data.data[0] += b"\x00"

    # When block 2, or block 1 with other data, arrives
    with pytest.raises(BadBlock, match="expected block number=1, received block number=2"):
        ledger.append(as_ordered(recorded[2]))
    with pytest.raises(BadBlock, match=r"Header\.DataHash is different"):
        ledger.append(altered)

    # Then the right one can still be committed
    ledger.append(as_ordered(recorded[1]))
    assert ledger.height == 2


def test_a_ledger_from_a_snapshot_goes_on_as_the_one_it_was_taken_of(
    recorded: list[common_pb2.Block], tmp_path: Path
) -> None:
    # Given snapshots of a ledger after each of its blocks
    ledger = new_ledger(recorded)
    for block in recorded[1:]:
        ledger.export().write(tmp_path / str(ledger.height))
        ledger.append(as_ordered(block))

    for height in range(1, len(recorded)):
        # When a ledger begins with one of them, and the blocks after it arrive
        snapshot = LedgerSnapshot.read(tmp_path / str(height))
        restored = Ledger.restore(snapshot, msp_id="Org1MSP", transient=TransientStore())
        stored = [restored.append(as_ordered(block)) for block in recorded[height:]]

        # Then it judges and hashes them alike, and has the same state in the end
        assert [list(block.metadata.metadata) for block in stored] == [
            list(block.metadata.metadata) for block in recorded[height:]
        ]
        assert restored.export() == ledger.export()
        with pytest.raises(NotInLedger, match=rf"First available block = \[{height}\]$"):
            restored.block(height - 1)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        pytest.param("public_state.data", "public_state.data does not have the recorded hash", id="state"),
        pytest.param("_snapshot_signable_metadata.json", "metadata do not have the recorded hash", id="metadata"),
        pytest.param("_snapshot_additional_metadata.json", "cannot be read", id="no-json"),
    ],
)
def test_a_damaged_snapshot_is_refused(recorded: list[common_pb2.Block], tmp_path: Path, file: str, text: str) -> None:
    directory = tmp_path / "snapshot"
    new_ledger(recorded).export().write(directory)
    (directory / file).write_bytes(b"x" + (directory / file).read_bytes())

    with pytest.raises(BadSnapshot, match=text):
        LedgerSnapshot.read(directory)

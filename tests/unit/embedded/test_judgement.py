"""Peers that hold the same chain share what a block means; nobody else does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fabric_protos.common import common_pb2
from fabric_protos.peer import transaction_pb2

from fabric_devnet.embedded.chain import build_block
from fabric_devnet.embedded.errors import BadBlock
from fabric_devnet.embedded.transient import TransientStore

if TYPE_CHECKING:
    from fabric_devnet.embedded.ledger import Ledger
    from fabric_devnet.embedded.simulator import Simulator

    from .conftest import Consortium

VALID = transaction_pb2.VALID
OWN_COLLECTION = "_implicit_org_Org1MSP"


def count(simulator: Simulator) -> None:
    """A program whose outcome depends on what is there already."""
    value = simulator.get_state("basic", "counter") or b"0"
    simulator.put_state("basic", "counter", b"%d" % (int(value) + 1))


def codes(block: common_pb2.Block) -> list[int]:
    return list(block.metadata.metadata[common_pb2.BlockMetadataIndex.TRANSACTIONS_FILTER])


@pytest.fixture
def chain(consortium: Consortium) -> Ledger:
    """A ledger whose blocks others are given."""
    ledger = consortium.ledger()
    consortium.define(ledger)
    return ledger


def follower(consortium: Consortium, chain: Ledger, msp_id: str) -> Ledger:
    """A ledger of another organization with the same blocks."""
    ledger = consortium.ledger(msp_id)
    for number in range(1, chain.height):
        ledger.append(chain.block(number))
    return ledger


def test_ledgers_with_the_same_chain_store_the_very_same_block_and_state(consortium: Consortium, chain: Ledger) -> None:
    first, second = (follower(consortium, chain, msp_id) for msp_id in ("Org1MSP", "Org2MSP"))
    block = build_block(first.height, first.blocks.last_hash, [consortium.draft(first, count).envelope()])

    stored = [ledger.append(block) for ledger in (first, second)]

    assert stored[0] is stored[1]
    assert codes(stored[0]) == [VALID]
    assert first.get_state("basic", "counter") == second.get_state("basic", "counter") == b"1"
    assert first.height == second.height


def test_a_block_that_one_ledger_took_is_refused_by_one_that_lacks_the_block_before(
    consortium: Consortium, chain: Ledger
) -> None:
    ahead, behind = (follower(consortium, chain, msp_id) for msp_id in ("Org1MSP", "Org2MSP"))
    consortium.commit(ahead, consortium.draft(ahead, count).envelope())
    consortium.commit(behind)
    block = build_block(ahead.height, ahead.blocks.last_hash, [consortium.draft(ahead, count).envelope()])
    ahead.append(block)

    with pytest.raises(BadBlock, match="does not carry the hash of the block before it"):
        behind.append(block)

    assert behind.get_state("basic", "counter") is None


def test_private_values_stay_with_the_ledger_that_holds_them(consortium: Consortium) -> None:
    # Given ledgers of two organizations with the same chain, and a value of the first one's own collection
    transient = TransientStore()
    first, second = (consortium.ledger(msp_id, transient) for msp_id in ("Org1MSP", "Org2MSP"))
    consortium.define(first)
    second.append(first.block(1))
    simulators: list[Simulator] = []

    def hide(simulator: Simulator) -> None:
        simulator.put_private("basic", OWN_COLLECTION, "asset1", b"topaz")
        simulators.append(simulator)

    draft = consortium.draft(first, hide)
    private = simulators[0].results().private
    assert private is not None
    transient.put("mychannel", draft.proposal.transaction_id, private)
    block = build_block(first.height, first.blocks.last_hash, [draft.envelope()])

    # When both commit the very same block
    stored = [ledger.append(block) for ledger in (first, second)]

    # Then the value is the first one's alone
    held = [ledger.snapshot().get_private("basic", OWN_COLLECTION, "asset1") for ledger in (first, second)]
    assert stored[0] is stored[1]
    assert codes(stored[0]) == [VALID]
    assert [value.value if value else None for value in held] == [b"topaz", None]

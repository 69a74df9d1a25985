"""Blocks of one recorded chain: hashes, transactions, validation codes."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import pytest
from fabric_protos.common import common_pb2

from fabric_admin import blocks
from fabric_admin.block_verification import verify
from fabric_admin.channelconfig import ChannelConfig
from fabric_admin.errors import BlockError, PolicyNotSatisfied

if TYPE_CHECKING:
    from pathlib import Path

Case = dict[str, Any]


@pytest.mark.vectors
@pytest.mark.vector_cases("blocks", "chain")
def test_a_block_reads_and_hashes_as_fabric_says(case: Case, vectors: Path) -> None:
    expected = case["expected"]
    block = common_pb2.Block.FromString((vectors / "blocks" / case["block"]).read_bytes())

    views = blocks.transactions(block)

    assert blocks.header_bytes(block.header).hex() == expected["header_bytes"]
    assert blocks.header_hash(block.header).hex() == expected["header_hash"]
    assert blocks.data_hash(block.data).hex() == expected["computed_data_hash"]
    assert blocks.is_config_block(block) == expected["is_config_block"]
    assert blocks.last_config_index(block) == expected["last_config_index"]
    assert len(views) == len(expected["transactions"])
    for view, recorded in zip(views, expected["transactions"], strict=True):
        assert view.index == recorded["index"]
        assert view.tx_id == recorded["tx_id"]
        assert view.type == recorded["type"]
        assert view.validation_code == recorded["validation_code"]
        assert view.creator_msp_id == recorded["creator_mspid"]
        assert view.channel_id == recorded["channel"]
        assert view.chaincode == recorded.get("chaincode", "")
        assert view.response_status == recorded.get("response_status", 0)
        assert list(view.endorser_msp_ids) == recorded.get("endorser_mspids", [])


def _load(source: Path) -> common_pb2.Block:
    return common_pb2.Block.FromString(source.read_bytes())


@functools.cache
def _chain(folder: Path) -> tuple[tuple[common_pb2.Block, ChannelConfig], ...]:
    """Every block of the recorded chain with the config in force after it."""
    found: list[tuple[common_pb2.Block, ChannelConfig]] = []
    for source in sorted(folder.glob("block-*.pb")):
        block = _load(source)
        found.append((block, ChannelConfig.from_block(block) if blocks.is_config_block(block) else found[-1][1]))
    return tuple(found)


def _expect(expected: Case, block: common_pb2.Block, config: ChannelConfig, previous: common_pb2.Block) -> None:
    if expected["ok"]:
        verify(block, config, previous.header)
        return
    with pytest.raises((BlockError, PolicyNotSatisfied)) as refused:
        verify(block, config, previous.header)
    assert str(refused.value) == expected["error"]


@pytest.mark.vectors
@pytest.mark.vector_cases("blocks", "chain")
def test_a_recorded_block_follows_the_one_before(case: Case, vectors: Path) -> None:
    number = case["expected"]["number"]
    if "verify" not in case["expected"]:
        assert number == 0
        return
    previous, config = _chain(vectors / "blocks" / "chain")[number - 1]

    _expect(case["expected"]["verify"], _load(vectors / "blocks" / case["block"]), config, previous)


@pytest.mark.vectors
@pytest.mark.vector_cases("blocks", "tampered")
def test_a_tampered_block_is_refused_as_fabric_refuses_it(case: Case, vectors: Path) -> None:
    # Where a verdict names the position it was given at, that counts: a block presented too early was recorded with
    # the chain_before of its right place.
    named = re.match(r"expected block number is \[(\d+)\]", case["expected"].get("error", ""))
    position = int(named[1]) if named else case["chain_before"]
    previous, config = _chain(vectors / "blocks" / "chain")[position - 1]

    _expect(case["expected"], _load(vectors / "blocks" / case["block"]), config, previous)


@pytest.mark.vectors
@pytest.mark.vector_cases("blocks", "bft")
def test_a_quorum_of_bft_consenters_is_needed(case: Case, vectors: Path) -> None:
    genesis = _load(vectors / "blocks" / case["config_block"])

    _expect(case["expected"], _load(vectors / "blocks" / case["block"]), ChannelConfig.from_block(genesis), genesis)

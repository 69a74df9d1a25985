"""Blocks of one recorded chain: hashes, transactions, validation codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fabric_protos.common import common_pb2

from fabric_admin import blocks

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

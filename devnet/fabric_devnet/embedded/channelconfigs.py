"""Reads channel configs out of config blocks, once for all nodes of the process: configs are immutable."""

from __future__ import annotations

from functools import lru_cache

from fabric_protos.common import common_pb2

from fabric_admin.channelconfig import ChannelConfig

_KEPT_CONFIGS = 64


def read_config(block: common_pb2.Block) -> ChannelConfig:
    """Return the config in a config block; raises InvalidInput when it is none or makes no sense."""
    if len(block.data.data) != 1:
        return ChannelConfig.from_block(block)  # refuses it in its own words
    return _read(block.data.data[0])


@lru_cache(maxsize=_KEPT_CONFIGS)
def _read(envelope: bytes) -> ChannelConfig:
    return ChannelConfig.from_block(common_pb2.Block(data=common_pb2.BlockData(data=[envelope])))

"""Config transactions: how an orderer wraps an accepted config update, and how a peer checks one before applying it.

Source: orderer/common/msgprocessor/standardchannel.go, common/configtx/validator.go (Validate).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from fabric_protos.common import common_pb2, configtx_pb2

from fabric_admin import blocks
from fabric_admin.channelconfig import authorization
from fabric_admin.channelconfig.compatibility import check_compatible
from fabric_admin.clock import new_moment
from fabric_admin.errors import ConfigUpdateRefused, InvalidInput
from fabric_admin.proposal import build_envelope
from fabric_devnet.embedded.channelconfigs import read_config
from fabric_devnet.embedded.errors import BadBlock, IncompatibleConfig

if TYPE_CHECKING:
    from fabric_admin.channelconfig import ChannelConfig
    from fabric_admin.identity import SigningIdentity

_KEPT_VERDICTS = 64


def wrap_config(
    result: configtx_pb2.Config, update: common_pb2.Envelope, orderer: SigningIdentity
) -> common_pb2.Envelope:
    """Return the CONFIG envelope, signed by the orderer, that carries a config and the update it came from."""
    content = configtx_pb2.ConfigEnvelope(config=result, last_update=update).SerializeToString()
    channel_id = _channel_id(update)
    return build_envelope(orderer, common_pb2.HeaderType.CONFIG, channel_id, content, new_moment())


def follow_config(current: ChannelConfig, block: common_pb2.Block) -> ChannelConfig:
    """Return the config that a config block brings, after making sure that its update leads there.

    Raises BadBlock, and IncompatibleConfig for one that this kind of peer cannot run with.
    """
    if len(block.data.data) != 1:
        raise BadBlock(f"block [{block.header.number}]: the config transaction is not alone")
    config = _follow(_Held(current), block.data.data[0])
    unknown = config.capabilities.unknown("Application")
    if unknown:
        raise IncompatibleConfig(
            f"[channel {config.channel_id}] incompatible: "
            f"Application capability {unknown[0]} is required but not supported"
        )
    return config


class _Held:
    """A config as part of a cache key: configs are immutable and the same object for all peers of the process."""

    __slots__ = ("config",)

    def __init__(self, config: ChannelConfig) -> None:
        self.config = config

    def __hash__(self) -> int:
        return id(self.config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and other.config is self.config


@lru_cache(maxsize=_KEPT_VERDICTS)
def _follow(held: _Held, data: bytes) -> ChannelConfig:
    """Judge a config transaction once for all peers that hold the same config."""
    current = held.config
    block = common_pb2.Block(data=common_pb2.BlockData(data=[data]))
    try:
        channel_id, envelope = blocks.config_envelope(block)
        if channel_id != current.channel_id:
            raise BadBlock(f"config of channel {channel_id} on channel {current.channel_id}")
        sequence = envelope.config.sequence
        if sequence != current.sequence + 1:
            raise BadBlock(
                f"config currently at sequence {current.sequence}, cannot validate config at sequence {sequence}"
            )
        expected = authorization.authorize(current, authorization.update_envelope(envelope.last_update))
        if expected.channel_group != envelope.config.channel_group:
            raise BadBlock("ConfigEnvelope LastUpdate did not produce the supplied config result")
        config = read_config(block)
        check_compatible(current, config)
    except (ConfigUpdateRefused, InvalidInput) as exc:
        raise BadBlock(f"error validating config update: {exc}") from exc
    return config


def _channel_id(envelope: common_pb2.Envelope) -> str:
    payload = common_pb2.Payload.FromString(envelope.payload)
    return common_pb2.ChannelHeader.FromString(payload.header.channel_header).channel_id

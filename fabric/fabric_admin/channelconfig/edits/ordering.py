"""Changing how blocks are cut and ordered: batch, etcdraft options, maintenance mode."""

from __future__ import annotations

from typing import Final

from fabric_protos.common import configtx_pb2
from fabric_protos.orderer import configuration_pb2 as orderer_pb2
from google.protobuf.message import Message

from fabric_admin import duration
from fabric_admin.channelconfig.consensus import ETCDRAFT, ORDERER_PATH, raft_metadata
from fabric_admin.channelconfig.edits import tree
from fabric_admin.channelconfig.loading import ORDERER
from fabric_admin.errors import ConfigError

_CONSENSUS: Final = f"{ORDERER_PATH}/ConsensusType"
_MAX_UINT32: Final = (1 << 32) - 1


def set_batch(
    config: configtx_pb2.Config,
    *,
    timeout: str | None = None,
    max_message_count: int | None = None,
    absolute_max_bytes: int | None = None,
    preferred_max_bytes: int | None = None,
) -> configtx_pb2.Config:
    """Change when blocks are cut (``timeout`` is a Go duration); None leaves a limit as it is.

    Raises ConfigError for limits no orderer runs with.
    """
    edited = tree.copy(config)
    orderer = tree.section(edited, ORDERER)
    if timeout is not None:
        tree.write(orderer, "BatchTimeout", orderer_pb2.BatchTimeout(timeout=timeout))
    size = tree.read(orderer, "BatchSize", orderer_pb2.BatchSize, ORDERER_PATH)
    limits = {
        "max_message_count": max_message_count,
        "absolute_max_bytes": absolute_max_bytes,
        "preferred_max_bytes": preferred_max_bytes,
    }
    _assign(size, limits, f"{ORDERER_PATH}/BatchSize")
    tree.write(orderer, "BatchSize", size)
    return tree.finish(config, edited)


def set_raft_options(
    config: configtx_pb2.Config,
    *,
    tick_interval: str | None = None,
    election_tick: int | None = None,
    heartbeat_tick: int | None = None,
    max_inflight_blocks: int | None = None,
    snapshot_interval_size: int | None = None,
) -> configtx_pb2.Config:
    """Change options of etcdraft (``tick_interval`` is a Go duration, the snapshot size is in bytes).

    None leaves an option as it is. Raises ConfigError for options orderers refuse, or another consensus.
    """
    edited = tree.copy(config)
    orderer = tree.section(edited, ORDERER)
    consensus = tree.read(orderer, "ConsensusType", orderer_pb2.ConsensusType, ORDERER_PATH)
    if consensus.type != ETCDRAFT:
        raise ConfigError(f"the channel's consensus is {consensus.type}, not {ETCDRAFT}", element=_CONSENSUS)
    metadata = raft_metadata(consensus.metadata)
    options = metadata.options
    if tick_interval is not None:
        if duration.parse(tick_interval) <= 0:
            raise ConfigError(f"TickInterval {tick_interval} must be positive", element=_CONSENSUS)
        options.tick_interval = tick_interval
    numbers = {
        "election_tick": election_tick,
        "heartbeat_tick": heartbeat_tick,
        "max_inflight_blocks": max_inflight_blocks,
        "snapshot_interval_size": snapshot_interval_size,
    }
    _assign(options, numbers, _CONSENSUS)
    if 0 in (options.election_tick, options.heartbeat_tick, options.max_inflight_blocks):
        raise ConfigError("ElectionTick, HeartbeatTick and MaxInflightBlocks must be above zero", element=_CONSENSUS)
    if options.election_tick <= options.heartbeat_tick:
        raise ConfigError(
            f"ElectionTick ({options.election_tick}) must be greater than HeartbeatTick ({options.heartbeat_tick})",
            element=_CONSENSUS,
        )
    consensus.metadata = metadata.SerializeToString()
    tree.write(orderer, "ConsensusType", consensus)
    return tree.finish(config, edited)


def set_maintenance(config: configtx_pb2.Config, *, on: bool, governance: bool = False) -> configtx_pb2.Config:
    """Enter or leave maintenance mode, in which only orderer organizations are heard.

    Raises HazardousChange for entering it on the ``governance`` channel: nobody could vote to leave it.
    """
    edited = tree.copy(config)
    orderer = tree.section(edited, ORDERER)
    consensus = tree.read(orderer, "ConsensusType", orderer_pb2.ConsensusType, ORDERER_PATH)
    states = orderer_pb2.ConsensusType
    consensus.state = states.STATE_MAINTENANCE if on else states.STATE_NORMAL
    tree.write(orderer, "ConsensusType", consensus)
    return tree.finish(config, edited, governance=governance)


def _assign(message: Message, fields: dict[str, int | None], element: str) -> None:
    for name, number in fields.items():
        if number is None:
            continue
        if isinstance(number, bool) or not 0 <= number <= _MAX_UINT32:
            raise ConfigError(f"{name} {number} is not within 0..{_MAX_UINT32}", element=element)
        setattr(message, name, number)

"""Judges what an orderer's admin hands in, a block to join with or a config update, in the words of Fabric. Pure.

Source: orderer/common/channelparticipation/restapi.go, validation.go, orderer/common/multichannel/registrar.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fabric_protos.common import common_pb2, configtx_pb2
from google.protobuf.message import DecodeError

from fabric_admin import blocks
from fabric_admin.channelconfig import BFT, ETCDRAFT
from fabric_admin.errors import InvalidInput
from fabric_devnet.embedded.channelconfigs import read_config

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fabric_admin.channelconfig import ChannelConfig


class JoinRefused(Exception):
    """The block or envelope is no good; the text is Fabric's."""


def parse_join_block(content: bytes) -> tuple[common_pb2.Block, ChannelConfig]:
    """Return the block and its config; raises JoinRefused."""
    try:
        block = common_pb2.Block.FromString(content)
    except DecodeError as exc:
        raise JoinRefused(
            "cannot unmarshal file part config-block into a block: proto: cannot parse invalid wire-format data"
        ) from exc
    problem = _block_problem(block) or _section_problem(_groups(block))
    if problem:
        raise JoinRefused(f"invalid join block: {problem}")
    try:
        config = read_config(block)
    except InvalidInput as exc:
        raise JoinRefused(f"invalid join block: {exc}") from exc
    if "Orderer" not in _groups(block):
        raise JoinRefused(
            "cannot join: failed creating ledger resources: error checking bundle for channel: "
            f"{config.channel_id}: config does not contain orderer config"
        )
    kind = config.consensus_type
    if kind not in (ETCDRAFT, BFT):
        raise JoinRefused(f"cannot join: failed to find a consenter for consensus type: {kind}")
    return block, config


def parse_update_envelope(content: bytes) -> tuple[common_pb2.Envelope, str]:
    """Return a CONFIG_UPDATE envelope and the channel it is for; raises JoinRefused."""
    try:
        envelope = common_pb2.Envelope.FromString(content)
        payload = common_pb2.Payload.FromString(envelope.payload)
    except DecodeError as exc:
        raise JoinRefused("bad payload") from exc
    if not payload.HasField("header"):
        raise JoinRefused("bad header")
    try:
        header = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
    except DecodeError as exc:
        raise JoinRefused("bad header") from exc
    if header.type != common_pb2.HeaderType.CONFIG_UPDATE:
        raise JoinRefused("bad type")
    if not header.channel_id:
        raise JoinRefused("empty channel id")
    return envelope, header.channel_id


def _block_problem(block: common_pb2.Block) -> str | None:
    if not block.HasField("header") or len(block.data.data) != 1:
        return "block is not a config block"
    if not blocks.is_config_block(block):
        return "block is not a config block"
    if not block.metadata.metadata:
        return "invalid block: does not have metadata"
    if block.header.data_hash != blocks.data_hash(block.data):
        return "invalid block: Header.DataHash is different from Hash(block.Data)"
    return None


def _section_problem(groups: Mapping[str, configtx_pb2.ConfigGroup]) -> str | None:
    if "Consortiums" in groups:
        return "invalid config: contains consortiums: system channel not supported"
    if "Application" not in groups:
        return "invalid config: must contain application config"
    return None


def _groups(block: common_pb2.Block) -> Mapping[str, configtx_pb2.ConfigGroup]:
    try:
        payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(block.data.data[0]).payload)
        return configtx_pb2.ConfigEnvelope.FromString(payload.data).config.channel_group.groups
    except DecodeError:
        return {}

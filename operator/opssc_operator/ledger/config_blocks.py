"""Whole configurations of channels, and which config block holds a given update, as the own nodes show them.

Proposals about channels need more than the reduced view that all others are judged by.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Self

from fabric_protos.common import common_pb2
from fabric_protos.msp import identities_pb2
from google.protobuf.message import DecodeError

from fabric_admin import blocks
from fabric_admin.channelconfig import ChannelConfig
from fabric_admin.channelconfig.authorization import update_envelope
from fabric_admin.errors import BlockError, ConfigError, ConfigUpdateRefused
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.channel import ChannelView
from opssc_operator.domain.channels.history import AppliedIn
from opssc_operator.domain.newest import Newest
from opssc_operator.errors import TransientError
from opssc_operator.ledger.channels import ChannelReader, view_of
from opssc_operator.ledger.translate import translated

KEPT_UPDATES: Final = 1024


@dataclass(frozen=True, slots=True)
class ConfigBlock:
    """One configuration: as proposals pin it, and whole."""

    view: ChannelView
    config: ChannelConfig

    @classmethod
    def read(cls, block: common_pb2.Block) -> Self:
        """Read a config block; raises BlockError when it is none, ConfigError when its config makes no sense."""
        config = ChannelConfig.from_block(block)
        return cls(view_of(config, block), config)


@dataclass(frozen=True, slots=True)
class _UpdateOf:
    """The update a config block holds (SHA-256), who sent it, the block's header hash, the config block before it."""

    update: bytes
    submitter: str
    block_hash: str
    previous: int


class ConfigBlocks:
    """Reads config blocks through a channel reader; what a block says is read once."""

    def __init__(self, reader: ChannelReader) -> None:
        self._reader = reader
        self._updates: Newest[tuple[str, int], _UpdateOf] = Newest(KEPT_UPDATES)

    async def in_force(self, channel: str) -> ConfigBlock:
        """The configuration in force, read anew; raises TransientError or TerminalError."""
        block = await self._reader.config_block(channel)
        with translated(f"reading the configuration of channel {channel}", reason=Reason.CHANNEL_NOT_FOUND):
            return ConfigBlock.read(block)

    async def at(self, channel: str, number: int) -> ConfigBlock | None:
        """The configuration in block ``number``; None when that block is none, or is not to be had.

        Raises TransientError or TerminalError.
        """
        with translated(f"reading block {number} of channel {channel}", reason=Reason.CHANNEL_NOT_FOUND):
            block = await self._reader.block(channel, number, content_alone=True)
        if not isinstance(block, common_pb2.Block):
            return None
        try:
            return ConfigBlock.read(block)
        except (BlockError, ConfigError):
            return None

    async def find_update(self, newest: ConfigBlock, update: bytes, *, after_block: int) -> AppliedIn | None:
        """The config block after ``after_block`` whose update is this very one, looked for from ``newest`` backwards.

        Raises TransientError also when one of those blocks is not to be had: not knowing is not the same as no.
        """
        wanted = sha256(update).digest()
        channel, number = newest.view.channel, newest.view.config_block
        while number > after_block:
            known = await self._update_of(channel, number)
            if known.update == wanted:
                return AppliedIn(number, known.block_hash, known.submitter)
            number = known.previous
        return None

    async def _update_of(self, channel: str, number: int) -> _UpdateOf:
        """What config block ``number`` says; raises TransientError when it, or the one before, is not to be had."""
        known = self._updates.get((channel, number))
        if known is None:
            with translated(f"reading block {number} of channel {channel}", reason=Reason.CHANNEL_NOT_FOUND):
                block = await self._reader.block(channel, number)
                before = await self._reader.block(channel, number - 1)
                if not isinstance(block, common_pb2.Block) or not isinstance(before, common_pb2.Block):
                    message = f"own peers do not keep config block {number} of channel {channel}; list an orderer"
                    raise TransientError(message, reason=Reason.AWAITING_VERIFICATION)
                known = _read_update(block, blocks.last_config_index(before))
            self._updates[channel, number] = known
        return known


def _read_update(block: common_pb2.Block, previous: int) -> _UpdateOf:
    """Read the update in a config block; raises BlockError for what no orderer makes."""
    _, envelope = blocks.config_envelope(block)
    try:
        update = update_envelope(envelope.last_update).config_update
        payload = common_pb2.Payload.FromString(envelope.last_update.payload)
        creator = common_pb2.SignatureHeader.FromString(payload.header.signature_header).creator
        submitter = identities_pb2.SerializedIdentity.FromString(creator).mspid
    except (ConfigUpdateRefused, DecodeError) as exc:
        raise BlockError(f"config block {block.header.number} holds no readable update") from exc
    return _UpdateOf(sha256(update).digest(), submitter, blocks.header_hash(block.header).hex(), previous)

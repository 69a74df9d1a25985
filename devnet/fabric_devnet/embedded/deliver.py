"""The block stream protocol that peers and orderers share: seek requests in, blocks and statuses out.

The services around it wrap blocks into their own response messages. Source: common/deliver/deliver.go and acl.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from fabric_protos.common import common_pb2
from fabric_protos.orderer import ab_pb2
from google.protobuf.message import DecodeError

from fabric_admin import blocks
from fabric_admin.errors import FabricError
from fabric_admin.policy import SignedData
from fabric_devnet.embedded.errors import NotInLedger, Refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from cryptography import x509

    from fabric_admin.channelconfig import ChannelConfig
    from fabric_devnet.embedded.blockstore import BlockStore

TIME_WINDOW: Final = timedelta(minutes=15)


class Source(Protocol):
    """A channel that blocks can be read from: a peer's ledger or an orderer's chain."""

    @property
    def config(self) -> ChannelConfig:
        """The channel's current config."""

    @property
    def blocks(self) -> BlockStore:
        """The channel's blocks."""


class StatusReply(Exception):
    """The status that ends a request."""

    def __init__(self, status: common_pb2.Status.ValueType) -> None:
        super().__init__(common_pb2.Status.Name(status))
        self.status = status


@dataclass(frozen=True, slots=True)
class DeliverHandler:
    """Answers seek requests.

    `find` returns a channel or None; `authorize` raises when the signer may not read it; `available` tells whether a
    strict reader may rely on the channel now.
    """

    find: Callable[[str], Source | None]
    authorize: Callable[[Source, SignedData], None]
    filtered: bool = False
    available: Callable[[Source], bool] = lambda _source: True

    async def stream(
        self, requests: AsyncIterator[common_pb2.Envelope]
    ) -> AsyncIterator[common_pb2.Block | common_pb2.Status.ValueType]:
        """Yield the blocks each request asks for, then its status; ends after the first status but SUCCESS."""
        async for envelope in requests:
            try:
                async for block in self._blocks(envelope):
                    yield block
            except StatusReply as reply:
                yield reply.status
                return
            yield common_pb2.Status.SUCCESS

    async def _blocks(self, envelope: common_pb2.Envelope) -> AsyncIterator[common_pb2.Block]:
        request = _Request.parse(envelope)
        source = self.find(request.channel_id)
        if source is None:
            raise StatusReply(common_pb2.Status.NOT_FOUND)
        seek = request.seek()
        strict = seek.error_response == ab_pb2.SeekInfo.STRICT
        if strict and not self.available(source):
            raise StatusReply(common_pb2.Status.SERVICE_UNAVAILABLE)
        session = _Session(source, request.signed, self.authorize)
        session.check()
        headers_only = seek.content_type == ab_pb2.SeekInfo.HEADER_WITH_SIG
        if headers_only and self.filtered:
            raise StatusReply(common_pb2.Status.BAD_REQUEST)  # Fabric's peer crashes on this
        number, stop = _bounds(seek, source.blocks.height)
        while True:
            if seek.behavior == ab_pb2.SeekInfo.FAIL_IF_NOT_READY and number >= source.blocks.height:
                raise StatusReply(common_pb2.Status.NOT_FOUND)
            await source.blocks.wait_for_height(number + 1)
            if strict and not self.available(source):
                raise StatusReply(common_pb2.Status.SERVICE_UNAVAILABLE)
            session.check()
            block = _find(source, number)
            yield _without_data(block) if headers_only else block
            if number == stop:
                return
            number += 1


@dataclass(frozen=True, slots=True)
class _Request:
    channel_id: str
    content: bytes
    signed: SignedData

    @classmethod
    def parse(cls, envelope: common_pb2.Envelope) -> _Request:
        """Read the envelope's headers; raises StatusReply BAD_REQUEST."""
        try:
            payload = common_pb2.Payload.FromString(envelope.payload)
            channel_header = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
            signature_header = common_pb2.SignatureHeader.FromString(payload.header.signature_header)
        except DecodeError as exc:
            raise StatusReply(common_pb2.Status.BAD_REQUEST) from exc
        if not payload.HasField("header") or not channel_header.HasField("timestamp"):
            raise StatusReply(common_pb2.Status.BAD_REQUEST)
        if abs(_time(channel_header) - datetime.now(UTC)) > TIME_WINDOW:
            raise StatusReply(common_pb2.Status.BAD_REQUEST)
        signed = SignedData(data=envelope.payload, identity=signature_header.creator, signature=envelope.signature)
        return cls(channel_header.channel_id, payload.data, signed)

    def seek(self) -> ab_pb2.SeekInfo:
        """Read what is asked for; raises StatusReply BAD_REQUEST."""
        try:
            return ab_pb2.SeekInfo.FromString(self.content)
        except DecodeError as exc:
            raise StatusReply(common_pb2.Status.BAD_REQUEST) from exc


class _Session:
    """One reader on one channel: its rights are looked at again whenever the config has advanced."""

    def __init__(self, source: Source, signed: SignedData, authorize: Callable[[Source, SignedData], None]) -> None:
        self._source = source
        self._signed = signed
        self._authorize = authorize
        self._sequence: int | None = None
        self._expires: datetime | None = None

    def check(self) -> None:
        """Raise StatusReply FORBIDDEN when the reader may not read now."""
        config = self._source.config
        if self._sequence != config.sequence:
            try:
                self._authorize(self._source, self._signed)
                self._expires = _certificate(config, self._signed.identity).not_valid_after_utc
            except (FabricError, Refusal) as exc:
                raise StatusReply(common_pb2.Status.FORBIDDEN) from exc
            self._sequence = config.sequence
        if self._expires is not None and self._expires < datetime.now(UTC):
            raise StatusReply(common_pb2.Status.FORBIDDEN)


def authorize_by(policy_path: str) -> Callable[[Source, SignedData], None]:
    """Return a check that the signer satisfies a policy of the channel, such as /Channel/Readers."""

    def authorize(source: Source, signed: SignedData) -> None:
        source.config.policies.evaluate(policy_path, [signed])

    return authorize


def _bounds(seek: ab_pb2.SeekInfo, height: int) -> tuple[int, int]:
    """Return the first and last block number asked for; raises StatusReply."""
    if seek.start.WhichOneof("Type") is None or seek.stop.WhichOneof("Type") is None:
        raise StatusReply(common_pb2.Status.BAD_REQUEST)
    number = _position(seek.start, height)
    if number > height:
        raise StatusReply(common_pb2.Status.NOT_FOUND)
    kind = seek.stop.WhichOneof("Type")
    if kind == "oldest" or seek.start == seek.stop:
        return number, number
    stop = _position(seek.stop, height)
    if kind == "specified" and stop < number:
        raise StatusReply(common_pb2.Status.BAD_REQUEST)
    return number, stop


def _position(position: ab_pb2.SeekPosition, height: int) -> int:
    kind = position.WhichOneof("Type")
    if kind == "specified":
        return position.specified.number
    return {"oldest": 0, "newest": height - 1, "next_commit": height}[str(kind)]


def _find(source: Source, number: int) -> common_pb2.Block:
    """Return a block below the height; raises StatusReply for one from before the snapshot a ledger began with."""
    try:
        return source.blocks.block(number)
    except NotInLedger as exc:
        raise StatusReply(common_pb2.Status.NOT_FOUND) from exc


def _without_data(block: common_pb2.Block) -> common_pb2.Block:
    """Return header and metadata alone, but config blocks whole."""
    if blocks.is_config_block(block):
        return block
    return common_pb2.Block(header=block.header, metadata=block.metadata)


def _certificate(config: ChannelConfig, identity: bytes) -> x509.Certificate:
    return config.msp_manager.deserialize(identity).certificate


def _time(header: common_pb2.ChannelHeader) -> datetime:
    try:
        return header.timestamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as exc:
        raise StatusReply(common_pb2.Status.BAD_REQUEST) from exc

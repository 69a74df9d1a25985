"""Decides whether the ordering service takes a message, in the words of Fabric's Broadcast service.

Source: orderer/common/broadcast, orderer/common/msgprocessor, orderer/common/multichannel.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from fabric_protos.common import common_pb2
from fabric_protos.orderer import ab_pb2
from google.protobuf.message import DecodeError

from fabric_admin.errors import FabricError, PolicyNotSatisfied
from fabric_admin.policy import SignedData
from fabric_devnet.embedded.blockcutter import message_bytes
from fabric_devnet.embedded.consenters import in_maintenance, is_consenter

if TYPE_CHECKING:
    from fabric_devnet.embedded.chain import Chain
    from fabric_devnet.embedded.ordering import Member, OrderingService

_Status = common_pb2.Status
_WRITERS: Final = "/Channel/Writers"
_ORDERER_WRITERS: Final = "/Channel/Orderer/Writers"


class BroadcastRefused(Exception):
    """The message is not ordered; `status` and `info` are what the client is told."""

    def __init__(self, status: common_pb2.Status.ValueType, info: str) -> None:
        super().__init__(info)
        self.status = status
        self.info = info


@dataclass(frozen=True, slots=True)
class Broadcast:
    """The Broadcast service of one orderer."""

    service: OrderingService
    member: Member

    def process(self, envelope: common_pb2.Envelope) -> ab_pb2.BroadcastResponse:
        """Order a message or say why not."""
        try:
            self._process(envelope)
        except BroadcastRefused as refused:
            return ab_pb2.BroadcastResponse(status=refused.status, info=refused.info)
        return ab_pb2.BroadcastResponse(status=_Status.SUCCESS)

    def _process(self, envelope: common_pb2.Envelope) -> None:
        header = _channel_header(envelope)
        chain = self.service.chain(self.member, header.channel_id)
        if chain is None:
            raise BroadcastRefused(_Status.BAD_REQUEST, "channel does not exist")
        if header.type == common_pb2.HeaderType.CONFIG:
            raise BroadcastRefused(_Status.BAD_REQUEST, "message is of type that cannot be processed directly")
        if header.type == common_pb2.HeaderType.ORDERER_TRANSACTION:
            raise BroadcastRefused(_Status.BAD_REQUEST, "message is of type that is no longer supported")
        if not is_consenter(chain.config, self.member.tls_certificate):
            raise BroadcastRefused(_Status.SERVICE_UNAVAILABLE, "channel is not ready, he is a follower")
        if header.type == common_pb2.HeaderType.CONFIG_UPDATE:
            self._process_config_update(chain, envelope)
        else:
            self._process_normal(chain, envelope)

    def _process_normal(self, chain: Chain, envelope: common_pb2.Envelope) -> None:
        if in_maintenance(chain.config):
            raise BroadcastRefused(_Status.SERVICE_UNAVAILABLE, "normal transactions are rejected: maintenance mode")
        check_filters(chain, envelope, _WRITERS)
        self._require_quorum(chain)
        chain.order(envelope)

    def _process_config_update(self, chain: Chain, envelope: common_pb2.Envelope) -> None:
        policy_path = _ORDERER_WRITERS if in_maintenance(chain.config) else _WRITERS
        try:
            check_filters(chain, envelope, policy_path)
        except BroadcastRefused as exc:
            info = f"config update for existing channel did not pass initial checks: {exc.info}"
            raise BroadcastRefused(exc.status, info) from exc
        raise BroadcastRefused(_Status.NOT_IMPLEMENTED, "config updates are not supported by the embedded network")

    def _require_quorum(self, chain: Chain) -> None:
        if not self.service.has_quorum(chain.channel_id):
            raise BroadcastRefused(_Status.SERVICE_UNAVAILABLE, "no Raft leader")


def check_filters(chain: Chain, envelope: common_pb2.Envelope, policy_path: str) -> None:
    """Check size, expiry and signature of a message, in this order; raises BroadcastRefused."""
    if not envelope.payload:
        raise BroadcastRefused(_Status.BAD_REQUEST, "Message was empty")
    size, limit = message_bytes(envelope), chain.batch.absolute_max_bytes
    if size > limit:
        info = f"message payload is {size} bytes and exceeds maximum allowed {limit} bytes"
        raise BroadcastRefused(_Status.BAD_REQUEST, info)
    payload = common_pb2.Payload.FromString(envelope.payload)
    creator = _creator(payload)
    if _expired(chain, creator):
        raise BroadcastRefused(_Status.BAD_REQUEST, "broadcast client identity expired")
    signed = SignedData(data=envelope.payload, identity=creator, signature=envelope.signature)
    try:
        chain.config.policies.evaluate(policy_path, [signed])
    except PolicyNotSatisfied as exc:
        raise BroadcastRefused(_Status.FORBIDDEN, f"{exc}: permission denied") from exc


def _channel_header(envelope: common_pb2.Envelope) -> common_pb2.ChannelHeader:
    prefix = "could not determine channel ID"
    garbage = "proto: cannot parse invalid wire-format data"
    try:
        payload = common_pb2.Payload.FromString(envelope.payload)
    except DecodeError as exc:
        raise BroadcastRefused(_Status.BAD_REQUEST, f"{prefix}: error unmarshalling Payload: {garbage}") from exc
    if not payload.HasField("header"):
        raise BroadcastRefused(_Status.BAD_REQUEST, f"{prefix}: header not set")
    if not payload.header.channel_header:
        raise BroadcastRefused(_Status.BAD_REQUEST, f"{prefix}: channel header not set")
    try:
        return common_pb2.ChannelHeader.FromString(payload.header.channel_header)
    except DecodeError as exc:
        info = f"{prefix}: error unmarshalling ChannelHeader: {garbage}"
        raise BroadcastRefused(_Status.BAD_REQUEST, info) from exc


def _creator(payload: common_pb2.Payload) -> bytes:
    try:
        return common_pb2.SignatureHeader.FromString(payload.header.signature_header).creator
    except DecodeError as exc:
        info = "could not convert message to signedData: proto: cannot parse invalid wire-format data"
        raise BroadcastRefused(_Status.BAD_REQUEST, info) from exc


def _expired(chain: Chain, creator: bytes) -> bool:
    """Tell whether the creator's certificate is over; who cannot be read is left to the signature check."""
    try:
        certificate = chain.config.msp_manager.deserialize(creator).certificate
    except FabricError:
        return False
    return certificate.not_valid_after_utc < datetime.now(UTC)

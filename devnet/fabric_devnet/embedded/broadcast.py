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

from fabric_admin.channelconfig import BFT
from fabric_admin.errors import ConfigUpdateRefused, FabricError, PolicyNotSatisfied
from fabric_admin.policy import SignedData
from fabric_devnet.embedded.blockcutter import message_bytes
from fabric_devnet.embedded.configtransactions import wrap_config
from fabric_devnet.embedded.consenters import is_consenter, quorum_loss

if TYPE_CHECKING:
    from fabric_admin.channelconfig import ChannelConfig
    from fabric_devnet.embedded.chain import Chain
    from fabric_devnet.embedded.ordering import Member, OrderingService

_Status = common_pb2.Status
_WRITERS: Final = "/Channel/Writers"


class BroadcastRefused(Exception):
    """The message is not ordered; `status` and `info` are what the client is told."""

    def __init__(self, status: common_pb2.Status.ValueType, info: str) -> None:
        super().__init__(info)
        self.status = status
        self.info = info


class NoAnswer(Exception):
    """The orderer gives up on the message and ends the stream without telling anything."""


@dataclass(frozen=True, slots=True)
class Broadcast:
    """The Broadcast service of one orderer."""

    service: OrderingService
    member: Member

    def process(self, envelope: common_pb2.Envelope) -> ab_pb2.BroadcastResponse:
        """Order a message or say why not; raises NoAnswer where Fabric's orderer would say nothing."""
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
        if not is_consenter(chain.config, self.member.tls_certificate, self.member.identity):
            raise BroadcastRefused(_Status.SERVICE_UNAVAILABLE, "channel is not ready, he is a follower")
        if header.type == common_pb2.HeaderType.CONFIG_UPDATE:
            self.update_config(chain, envelope)
        else:
            self._process_normal(chain, envelope)

    def update_config(self, chain: Chain, envelope: common_pb2.Envelope) -> None:
        """Decide on a config update and order the config it leads to; raises BroadcastRefused and NoAnswer."""
        try:
            result = chain.config.propose(envelope)
            proposed = type(chain.config).from_config(result, chain.channel_id)
        except ConfigUpdateRefused as exc:
            if not exc.status:
                raise NoAnswer(str(exc)) from exc
            raise BroadcastRefused(_Status.Value(exc.status), str(exc)) from exc
        self._check_consensus(chain, proposed)
        self._require_quorum(chain)
        chain.order_config(wrap_config(result, envelope, self.member.identity))

    def _check_consensus(self, chain: Chain, proposed: ChannelConfig) -> None:
        """Refuse what only running consenters, or an orderer of another kind, could carry out."""
        loss = quorum_loss(chain.config, proposed, self.service.running_certificates(chain.channel_id))
        if loss:
            info = (
                f"error applying config update to existing channel '{chain.channel_id}': "
                f"consensus metadata update for channel config update is invalid: {loss}"
            )
            raise BroadcastRefused(_Status.BAD_REQUEST, info)
        if proposed.consensus.type == BFT != chain.config.consensus.type:
            info = "a migration to consensus type BFT is not supported by the embedded network"
            raise BroadcastRefused(_Status.NOT_IMPLEMENTED, info)

    def _process_normal(self, chain: Chain, envelope: common_pb2.Envelope) -> None:
        if chain.config.consensus.in_maintenance:
            raise BroadcastRefused(_Status.SERVICE_UNAVAILABLE, "normal transactions are rejected: maintenance mode")
        check_filters(chain, envelope, _WRITERS)
        self._require_quorum(chain)
        chain.order(envelope)

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

"""The checks an orderer makes of any envelope before it looks inside: empty, too large, expired, not a writer.

Follows ``fabric: orderer/common/msgprocessor`` (filters in their order).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from fabric_protos.common import common_pb2
from fabric_protos.msp import identities_pb2

from fabric_admin import certificates
from fabric_admin.errors import ConfigError, ConfigUpdateRefused, IdentityError, PolicyNotSatisfied
from fabric_admin.policy import SignedData
from fabric_admin.wire import decode

if TYPE_CHECKING:
    from fabric_admin.channelconfig.channel import ChannelConfig

STAGE: Final = "submit_checks"
WRITERS: Final = "/Channel/Writers"
ORDERER_WRITERS: Final = "/Channel/Orderer/Writers"


def check_submission(config: ChannelConfig, envelope: common_pb2.Envelope, now: datetime) -> None:
    """Refuse an envelope the orderer would not even look into; raises ConfigUpdateRefused.

    A sender that may not write has status FORBIDDEN; in maintenance mode only orderer organizations may.
    """
    if not envelope.payload:
        raise _refused("Message was empty", "send an envelope with a payload")
    check_size(config, len(envelope.payload) + len(envelope.signature))
    signed = _signed_data(envelope)
    if config.capabilities.expiration_check and _expired(signed.identity, now):
        raise _refused("broadcast client identity expired", "submit with a certificate that is still valid")
    path = ORDERER_WRITERS if config.consensus.in_maintenance else WRITERS
    if not config.policies.has(path):
        raise _refused(f"could not find policy {path}", f"the channel needs a policy {path}", path)
    try:
        config.policies.evaluate(path, [signed])
    except PolicyNotSatisfied as exc:
        remedy = f"submit as an identity that satisfies {path}, with its own valid signature"
        raise _refused(f"{exc}: permission denied", remedy, path, status="FORBIDDEN") from exc


def check_size(config: ChannelConfig, size: int) -> None:
    """Refuse a message of ``size`` bytes (payload and signature) that no block may hold; raises ConfigUpdateRefused."""
    limit = config.batch.absolute_max_bytes if config.batch is not None else 0
    if size > limit:
        raise _refused(
            f"message payload is {size} bytes and exceeds maximum allowed {limit} bytes",
            "send less, or raise the absolute maximum first",
            "/Channel/Orderer/BatchSize",
        )


def _signed_data(envelope: common_pb2.Envelope) -> SignedData:
    try:
        payload = decode(common_pb2.Payload, envelope.payload, ConfigError, "")
    except ConfigError as exc:
        raise _unreadable("proto: cannot parse invalid wire-format data") from exc
    if not payload.HasField("header"):
        raise _unreadable("Missing Header")
    try:
        header = decode(common_pb2.SignatureHeader, payload.header.signature_header, ConfigError, "")
    except ConfigError as exc:
        raise _unreadable(
            "GetSignatureHeaderFromBytes failed, err proto: cannot parse invalid wire-format data"
        ) from exc
    return SignedData(envelope.payload, header.creator, envelope.signature)


def _expired(creator: bytes, now: datetime) -> bool:
    """Tell whether the creator's certificate is over; what is no certificate never is."""
    try:
        serialized = decode(identities_pb2.SerializedIdentity, creator, ConfigError, "")
        der = certificates.decode_pem(serialized.id_bytes)
        return der is not None and certificates.parse_certificate(der).not_valid_after_utc <= now
    except (ConfigError, IdentityError):
        return False


def _unreadable(reason: str) -> ConfigUpdateRefused:
    return _refused(f"could not convert message to signedData: {reason}", "send a well-formed envelope")


def _refused(reason: str, remedy: str, element: str = "", *, status: str = "BAD_REQUEST") -> ConfigUpdateRefused:
    return ConfigUpdateRefused(STAGE, reason, element=element, remedy=remedy, status=status)

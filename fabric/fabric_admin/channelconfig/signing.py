"""Signing a config update and putting the envelope together that an orderer takes.

A signature covers its own header and the update's bytes; those bytes must travel unchanged, so whoever got them from
somewhere else passes them on as bytes. Pure: without a nonce one is derived from what is signed.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from fabric_protos.common import common_pb2, configtx_pb2

from fabric_admin.proposal import NONCE_BYTES, Moment, build_envelope

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fabric_admin.identity import SigningIdentity

_UNIX_EPOCH: Final = 0


def update_bytes(config_update: configtx_pb2.ConfigUpdate | bytes) -> bytes:
    """Return the bytes that are signed: those given, or the message with its maps in order."""
    if isinstance(config_update, bytes):
        return config_update
    return config_update.SerializeToString(deterministic=True)


def sign(
    identity: SigningIdentity, config_update: configtx_pb2.ConfigUpdate | bytes, *, nonce: bytes | None = None
) -> configtx_pb2.ConfigSignature:
    """Return the identity's signature over a config update; ``nonce`` are 24 bytes that need not be secret."""
    data = update_bytes(config_update)
    header = common_pb2.SignatureHeader(creator=identity.creator, nonce=nonce or _nonce(identity.creator + data))
    signature_header = header.SerializeToString()
    return configtx_pb2.ConfigSignature(
        signature_header=signature_header, signature=identity.sign(signature_header + data)
    )


def assemble(
    channel: str,
    config_update: configtx_pb2.ConfigUpdate | bytes,
    signatures: Iterable[configtx_pb2.ConfigSignature],
    *,
    submitter: SigningIdentity | None = None,
    moment: Moment | None = None,
) -> common_pb2.Envelope:
    """Return the CONFIG_UPDATE envelope with these signatures, signed by ``submitter`` when one is given.

    Any member that satisfies /Channel/Writers may submit; its own signature counts for nothing else.
    """
    data = configtx_pb2.ConfigUpdateEnvelope(
        config_update=update_bytes(config_update), signatures=signatures
    ).SerializeToString()
    if submitter is not None:
        moment = moment or Moment(_nonce(submitter.creator + data), _UNIX_EPOCH)
        return build_envelope(submitter, common_pb2.CONFIG_UPDATE, channel, data, moment)
    channel_header = common_pb2.ChannelHeader(type=common_pb2.CONFIG_UPDATE, channel_id=channel)
    header = common_pb2.Header(channel_header=channel_header.SerializeToString())
    return common_pb2.Envelope(payload=common_pb2.Payload(header=header, data=data).SerializeToString())


def _nonce(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:NONCE_BYTES]

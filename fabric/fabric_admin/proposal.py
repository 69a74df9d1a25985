"""Proposals, envelopes and their signatures, byte for byte as Fabric wants them; pure: nonce and time are given.

Layouts: Fabric's protoutil/proputils.go and txutils.go.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fabric_protos.common import common_pb2
from fabric_protos.orderer import ab_pb2
from fabric_protos.peer import chaincode_pb2, proposal_pb2, proposal_response_pb2, transaction_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from fabric_admin.errors import BlockError
from fabric_admin.wire import decode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fabric_admin.identity import SigningIdentity

NONCE_BYTES: Final = 24
_NANOSECONDS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Moment:
    """What makes one signed message different from the next: a nonce of 24 random bytes and a time in nanoseconds."""

    nonce: bytes
    unix_nanoseconds: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """A signed proposal with its transaction ID; `header` is the raw `common.Header` that every later hash covers."""

    transaction_id: str
    channel: str
    header: bytes
    signed: proposal_pb2.SignedProposal


def transaction_id(nonce: bytes, creator: bytes) -> str:
    """Return the transaction ID: lowercase hex of SHA-256 over nonce and creator."""
    return hashlib.sha256(nonce + creator).hexdigest()


def build_proposal(
    identity: SigningIdentity,
    channel: str,
    chaincode: str,
    args: Sequence[bytes],
    moment: Moment,
    *,
    transient: Mapping[str, bytes] | None = None,
    is_init: bool = False,
) -> Proposal:
    """Build and sign an endorsement proposal; an empty `channel` makes it channel-less."""
    tx_id = transaction_id(moment.nonce, identity.creator)
    extension = proposal_pb2.ChaincodeHeaderExtension(chaincode_id=chaincode_pb2.ChaincodeID(name=chaincode))
    channel_header = common_pb2.ChannelHeader(
        type=common_pb2.ENDORSER_TRANSACTION,
        channel_id=channel,
        tx_id=tx_id,
        timestamp=_timestamp(moment),
        extension=extension.SerializeToString(),
    )
    header = _header(identity, channel_header, moment)
    invocation = chaincode_pb2.ChaincodeInvocationSpec(
        chaincode_spec=chaincode_pb2.ChaincodeSpec(
            type=chaincode_pb2.ChaincodeSpec.GOLANG,
            chaincode_id=chaincode_pb2.ChaincodeID(name=chaincode),
            input=chaincode_pb2.ChaincodeInput(args=args, is_init=is_init),
        )
    )
    payload = proposal_pb2.ChaincodeProposalPayload(
        input=invocation.SerializeToString(), TransientMap=dict(transient or {})
    )
    proposal_bytes = proposal_pb2.Proposal(
        header=header, payload=payload.SerializeToString(deterministic=True)
    ).SerializeToString()
    signed = proposal_pb2.SignedProposal(proposal_bytes=proposal_bytes, signature=identity.sign(proposal_bytes))
    return Proposal(tx_id, channel, header, signed)


def sign_payload(identity: SigningIdentity, payload: bytes) -> common_pb2.Envelope:
    """Return an envelope around `pb(common.Payload)`, signed."""
    return common_pb2.Envelope(payload=payload, signature=identity.sign(payload))


def build_envelope(
    identity: SigningIdentity,
    header_type: common_pb2.HeaderType.ValueType,
    channel: str,
    data: bytes,
    moment: Moment,
    *,
    tls_certificate_hash: bytes = b"",
) -> common_pb2.Envelope:
    """Build and sign an envelope of `header_type` around `data`, such as a seek request or a config update."""
    channel_header = common_pb2.ChannelHeader(
        type=header_type,
        channel_id=channel,
        timestamp=_timestamp(moment),
        tls_cert_hash=tls_certificate_hash,
    )
    header = common_pb2.Header.FromString(_header(identity, channel_header, moment))
    return sign_payload(identity, common_pb2.Payload(header=header, data=data).SerializeToString())


def build_seek(
    start: ab_pb2.SeekPosition,
    stop: ab_pb2.SeekPosition,
    *,
    fail_if_not_ready: bool = False,
    best_effort: bool = False,
) -> ab_pb2.SeekInfo:
    """Build a request for the blocks from `start` to `stop`, both included.

    `best_effort` asks an orderer for them even while it has no leader.
    """
    behavior = ab_pb2.SeekInfo.FAIL_IF_NOT_READY if fail_if_not_ready else ab_pb2.SeekInfo.BLOCK_UNTIL_READY
    errors = ab_pb2.SeekInfo.BEST_EFFORT if best_effort else ab_pb2.SeekInfo.STRICT
    return ab_pb2.SeekInfo(start=start, stop=stop, behavior=behavior, error_response=errors)


def transaction_response(envelope: common_pb2.Envelope) -> tuple[bytes, bytes]:
    """Return (raw header, chaincode response payload) of an endorsed transaction; raises BlockError when malformed."""
    what = "prepared transaction"
    payload = decode(common_pb2.Payload, envelope.payload, BlockError, what)
    transaction = decode(transaction_pb2.Transaction, payload.data, BlockError, what)
    if len(transaction.actions) != 1:
        raise BlockError(f"{what}: expected exactly one action, got {len(transaction.actions)}")
    action = decode(transaction_pb2.ChaincodeActionPayload, transaction.actions[0].payload, BlockError, what)
    response = decode(
        proposal_response_pb2.ProposalResponsePayload, action.action.proposal_response_payload, BlockError, what
    )
    chaincode_action = decode(proposal_pb2.ChaincodeAction, response.extension, BlockError, what)
    return payload.header.SerializeToString(), chaincode_action.response.payload


def _header(identity: SigningIdentity, channel_header: common_pb2.ChannelHeader, moment: Moment) -> bytes:
    signature_header = common_pb2.SignatureHeader(creator=identity.creator, nonce=moment.nonce)
    return common_pb2.Header(
        channel_header=channel_header.SerializeToString(), signature_header=signature_header.SerializeToString()
    ).SerializeToString()


def _timestamp(moment: Moment) -> Timestamp:
    seconds, nanos = divmod(moment.unix_nanoseconds, _NANOSECONDS)
    return Timestamp(seconds=seconds, nanos=nanos)

"""Unpacks signed proposals and refuses those that no peer would simulate.

Order and words of fabric core/endorser/msgvalidation.go and core/handlers/auth/filter. Knows no chaincode, no ledger.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from cryptography import x509
from fabric_protos.common import common_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import chaincode_pb2, proposal_pb2
from google.protobuf.message import DecodeError, Message

from fabric_admin.errors import IdentityError
from fabric_admin.proposal import transaction_id
from fabric_devnet.embedded.errors import ProposalRefused, ProposalUnreadable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fabric_admin.msp import Identity

_KEPT_CREATORS: Final = 256
TIME_WINDOW: Final = timedelta(minutes=15)
_PROPOSAL_TYPES: Final = (common_pb2.ENDORSER_TRANSACTION, common_pb2.CONFIG)
M = TypeVar("M", bound=Message)


class IdentityReader(Protocol):
    """An MSP, or all MSPs of a channel."""

    def deserialize(self, data: bytes) -> Identity:
        """Read an identity; raises IdentityError when its organization is unknown."""
        ...

    def validate(self, identity: Identity) -> None:
        """Check membership; raises IdentityError."""
        ...


@dataclass(frozen=True, slots=True)
class UnpackedProposal:
    """A proposal decoded once; `proposal_hash` covers the raw header bytes as they came."""

    signed: proposal_pb2.SignedProposal
    channel_header: common_pb2.ChannelHeader
    signature_header: common_pb2.SignatureHeader
    header: bytes
    payload_without_transient: bytes
    chaincode: str
    input: chaincode_pb2.ChaincodeInput
    transient: Mapping[str, bytes]
    proposal_hash: bytes

    @property
    def channel_id(self) -> str:
        """The channel, "" for a channel-less proposal."""
        return self.channel_header.channel_id

    @property
    def transaction_id(self) -> str:
        """The transaction ID the client computed."""
        return self.channel_header.tx_id

    @property
    def creator(self) -> bytes:
        """The serialized identity of the client."""
        return self.signature_header.creator


def unpack(signed: proposal_pb2.SignedProposal) -> UnpackedProposal:
    """Decode a signed proposal; raises ProposalUnreadable."""
    proposal = _decode(proposal_pb2.Proposal, signed.proposal_bytes, "Proposal")
    header = _decode(common_pb2.Header, proposal.header, "Header")
    channel_header = _decode(common_pb2.ChannelHeader, header.channel_header, "ChannelHeader")
    signature_header = _decode(common_pb2.SignatureHeader, header.signature_header, "SignatureHeader")
    extension = _decode(proposal_pb2.ChaincodeHeaderExtension, channel_header.extension, "ChaincodeHeaderExtension")
    if not extension.HasField("chaincode_id"):
        raise ProposalUnreadable("ChaincodeHeaderExtension.ChaincodeId is nil")
    if not extension.chaincode_id.name:
        raise ProposalUnreadable("ChaincodeHeaderExtension.ChaincodeId.Name is empty")
    payload = _decode(proposal_pb2.ChaincodeProposalPayload, proposal.payload, "ChaincodeProposalPayload")
    invocation = _decode(chaincode_pb2.ChaincodeInvocationSpec, payload.input, "ChaincodeInvocationSpec")
    if not invocation.HasField("chaincode_spec"):
        raise ProposalUnreadable("chaincode invocation spec did not contain chaincode spec")
    if not invocation.chaincode_spec.HasField("input"):
        raise ProposalUnreadable("chaincode input did not contain any input")
    bare = proposal_pb2.ChaincodeProposalPayload(input=payload.input).SerializeToString()
    return UnpackedProposal(
        signed=signed,
        channel_header=channel_header,
        signature_header=signature_header,
        header=proposal.header,
        payload_without_transient=bare,
        chaincode=extension.chaincode_id.name,
        input=invocation.chaincode_spec.input,
        transient=dict(payload.TransientMap),
        proposal_hash=hashlib.sha256(header.channel_header + header.signature_header + bare).digest(),
    )


def check_freshness(signed: proposal_pb2.SignedProposal, now: datetime) -> None:
    """Refuse a proposal of an expired identity or with a clock too far off; raises ProposalUnreadable."""
    prefix = "failed parsing proposal: "
    proposal = _decode(proposal_pb2.Proposal, signed.proposal_bytes, "Proposal", prefix)
    header = _decode(common_pb2.Header, proposal.header, "Header", "failed parsing header: ")
    signature_header = _decode(
        common_pb2.SignatureHeader, header.signature_header, "SignatureHeader", "failed parsing signature header: "
    )
    _check_expiry(signature_header.creator, now)
    channel_header = _decode(
        common_pb2.ChannelHeader, header.channel_header, "ChannelHeader", "failed parsing channel header: "
    )
    _check_clock(channel_header, now)


def check_times(proposal: UnpackedProposal, now: datetime) -> None:
    """Refuse what `check_freshness` does of a proposal that is decoded already; raises ProposalUnreadable."""
    _check_expiry(proposal.creator, now)
    _check_clock(proposal.channel_header, now)


def _check_expiry(creator: bytes, now: datetime) -> None:
    expires = _expires_at(creator)
    if expires is not None and now > expires:
        raise ProposalUnreadable("proposal client identity expired")


def _check_clock(channel_header: common_pb2.ChannelHeader, now: datetime) -> None:
    stamp = _stamp(channel_header)
    if stamp is None or abs(now - stamp) > TIME_WINDOW:
        raise ProposalUnreadable(
            f"request unauthorized due to incorrect timestamp {_rfc3339(stamp)}, peer time {_rfc3339(now)}, "
            "peer.authentication.timewindow 15m0s"
        )


def check_header(proposal: UnpackedProposal) -> None:
    """Refuse headers that cannot become a transaction; raises ProposalRefused."""
    channel_header, signature_header = proposal.channel_header, proposal.signature_header
    if channel_header.type not in _PROPOSAL_TYPES:
        raise ProposalRefused(f"invalid header type {_type_name(channel_header.type)}")
    if channel_header.epoch:
        raise ProposalRefused("epoch is non-zero")
    if not signature_header.nonce:
        raise ProposalRefused("nonce is empty")
    if not signature_header.creator:
        raise ProposalRefused("creator is empty")
    expected = transaction_id(signature_header.nonce, signature_header.creator)
    if channel_header.tx_id != expected:
        raise ProposalRefused(f"incorrectly computed txid '{channel_header.tx_id}' -- expected '{expected}'")
    if not proposal.signed.proposal_bytes:
        raise ProposalRefused("empty proposal bytes")
    if not proposal.signed.signature:
        raise ProposalRefused("empty signature bytes")


def check_creator(proposal: UnpackedProposal, identities: IdentityReader) -> Identity:
    """Refuse a creator the channel (or, channel-less, the peer's organization) does not know; raises ProposalRefused.

    The reasons stay inside: a stranger learns only that access is denied.
    """
    channel = proposal.channel_id
    try:
        identity = identities.deserialize(proposal.creator)
    except IdentityError as exc:
        raise ProposalRefused(f"access denied: channel [{channel}] creator org unknown, creator is malformed") from exc
    try:
        identities.validate(identity)
        identity.verify(proposal.signed.proposal_bytes, proposal.signed.signature)
    except IdentityError as exc:
        raise ProposalRefused(f"access denied: channel [{channel}] creator org [{identity.msp_id}]") from exc
    return identity


def _decode(message_type: type[M], data: bytes, name: str, prefix: str = "") -> M:
    try:
        return message_type.FromString(data)
    except DecodeError as exc:
        raise ProposalUnreadable(
            f"{prefix}error unmarshalling {name}: proto: cannot parse invalid wire-format data"
        ) from exc


@lru_cache(maxsize=_KEPT_CREATORS)
def _expires_at(creator: bytes) -> datetime | None:
    try:
        pem = identities_pb2.SerializedIdentity.FromString(creator).id_bytes
        return x509.load_pem_x509_certificate(pem).not_valid_after_utc
    except (DecodeError, ValueError):
        # Whoever cannot be read is refused later, with the words meant for that.
        return None


def _stamp(header: common_pb2.ChannelHeader) -> datetime | None:
    try:
        return header.timestamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _rfc3339(moment: datetime | None) -> str:
    return "invalid" if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _type_name(value: int) -> str:
    return next((name for name, number in common_pb2.HeaderType.items() if number == value), str(value))

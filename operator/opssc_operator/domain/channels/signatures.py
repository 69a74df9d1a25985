"""Config signatures that organizations reported, judged by the own peer's configuration. Pure.

Nothing is believed because the contract took it: each is verified again over its header and the proposal's update.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass

from fabric_protos.common import common_pb2, configtx_pb2
from google.protobuf.message import DecodeError

from fabric_admin.channelconfig import ChannelConfig
from fabric_admin.errors import IdentityError
from opssc_chaincode.model import Facts, Outcome, Report, Step


@dataclass(frozen=True, slots=True)
class Signed:
    """One organization's reported signature; ``signature`` is None unless it is valid."""

    msp_id: str
    subject: str
    signature: configtx_pb2.ConfigSignature | None

    @property
    def valid(self) -> bool:
        """Whether it may be sent to an orderer."""
        return self.signature is not None


def read_signatures(facts: Facts, config: ChannelConfig, update: bytes) -> tuple[Signed, ...]:
    """Every reported signature, in order of organization; only members' and only their latest words."""
    members = facts.proposal.snapshot.members
    return tuple(
        _read(report, config, update)
        for report in sorted(facts.reports, key=lambda report: report.msp_id)
        if report.step is Step.SIGNED and report.outcome is Outcome.DONE and report.msp_id in members
    )


def valid_signatures(signed: Iterable[Signed]) -> tuple[configtx_pb2.ConfigSignature, ...]:
    """Those that count."""
    return tuple(each.signature for each in signed if each.signature is not None)


def encode_signature(signature: configtx_pb2.ConfigSignature) -> str:
    """Base64 of pb(ConfigSignature), as evidence holds it."""
    return base64.b64encode(signature.SerializeToString()).decode()


def _read(report: Report, config: ChannelConfig, update: bytes) -> Signed:
    signature, header = configtx_pb2.ConfigSignature(), common_pb2.SignatureHeader()
    text = "" if report.evidence is None else report.evidence.config_signature or ""
    try:
        signature.ParseFromString(base64.b64decode(text, validate=True))
        header.ParseFromString(signature.signature_header)
        identity = config.msp_manager.deserialize(header.creator)
        identity.verify(signature.signature_header + update, signature.signature)
        config.msp_manager.validate(identity)
    except (ValueError, DecodeError, IdentityError):
        return Signed(report.msp_id, "", None)
    subject = identity.certificate.subject.rfc4514_string()
    return Signed(report.msp_id, subject, signature if identity.msp_id == report.msp_id else None)

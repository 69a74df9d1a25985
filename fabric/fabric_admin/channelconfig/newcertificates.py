"""Certificates of organizations that a change brings into a channel, and that are out of their time.

Fabric's MSPs do not look at the time: nodes find out when they connect. What stands there already is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Final

from fabric_protos.msp import msp_config_pb2

from fabric_admin import certificates
from fabric_admin.channelconfig.hazards import Hazard
from fabric_admin.errors import IdentityError

if TYPE_CHECKING:
    from cryptography import x509

    from fabric_admin.channelconfig.channel import ChannelConfig
    from fabric_admin.channelconfig.organizations import Organization

_KINDS: Final = {
    "root_certs": "root certificate",
    "intermediate_certs": "intermediate certificate",
    "tls_root_certs": "TLS root certificate",
    "tls_intermediate_certs": "TLS intermediate certificate",
    "admins": "administrator's certificate",
}
_RENEW: Final = "give a certificate that is valid, or leave this one out"


def find_certificate_hazards(before: ChannelConfig | None, after: ChannelConfig, at: datetime) -> tuple[Hazard, ...]:
    """Return what is wrong at a time with certificates in ``after`` and not in ``before`` (None: a new channel)."""
    known = frozenset() if before is None else frozenset(pem for _, _, _, pem in _certificates(before))
    return tuple(_hazards(after, known, at))


def _hazards(after: ChannelConfig, known: frozenset[bytes], at: datetime) -> Iterator[Hazard]:
    for path, organization, kind, pem in _certificates(after):
        if pem in known or (certificate := _read(pem)) is None:
            continue
        problem = _out_of_time(certificate, at)
        if problem:
            subject = certificates.subject_text(certificate)
            yield Hazard(f"{path}/MSP", f"the {kind} {subject} of {organization.msp_id} {problem}", _RENEW)


def _out_of_time(certificate: x509.Certificate, at: datetime) -> str:
    if certificate.not_valid_after_utc < at:
        return f"expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
    if certificate.not_valid_before_utc > at:
        return f"is not valid before {certificate.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}"
    return ""


def _certificates(config: ChannelConfig) -> Iterator[tuple[str, Organization, str, bytes]]:
    for section, found in (("Application", config.organizations), ("Orderer", config.orderer_organizations)):
        for name, organization in found.items():
            definition = msp_config_pb2.FabricMSPConfig.FromString(organization.msp.to_config().config)
            for field, kind in _KINDS.items():
                for pem in getattr(definition, field):
                    yield f"/Channel/{section}/{name}", organization, kind, pem


def _read(pem: bytes) -> x509.Certificate | None:
    der = certificates.decode_pem(pem)
    try:
        return None if der is None else certificates.parse_certificate(der)
    except IdentityError:
        return None

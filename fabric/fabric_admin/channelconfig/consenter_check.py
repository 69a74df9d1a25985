"""Whether consenters that a change brings can take part: who they are, who vouches for them, and until when.

What etcdraft orderers refuse is refused in their words. Orderers of other consensus look at none of this, and a node
that the others do not trust is then a lost vote in every round.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from fabric_protos.msp import identities_pb2

from fabric_admin import certificates
from fabric_admin.channelconfig import raft
from fabric_admin.channelconfig.consensus import BFT, ETCDRAFT, ORDERER_PATH, Consenter
from fabric_admin.errors import ConfigError, ConfigUpdateRefused, IdentityError

if TYPE_CHECKING:
    from cryptography import x509

    from fabric_admin.chains import Pool
    from fabric_admin.channelconfig.channel import ChannelConfig

_TLS = (("client TLS", "client_tls_cert"), ("server TLS", "server_tls_cert"))


def check_consenters(current: ChannelConfig, proposed: ChannelConfig, at: datetime) -> None:
    """Refuse new consenters and certificates that will not work, judged at a time; raises ConfigError.

    What was there before is not looked at, so that a channel in trouble can be mended.
    """
    before, after = _consenters(current), proposed.consenters
    if before == after:
        return
    element = _element(proposed)
    _check_apart(before, after, element)
    try:
        if proposed.consensus_type == current.consensus_type == ETCDRAFT:
            raft.check_metadata(current, proposed, at)
        authorities, known = raft.tls_authorities(proposed), set(before)
    except ConfigUpdateRefused as exc:
        raise ConfigError(exc.explanation, element=element) from exc
    except IdentityError as exc:
        raise ConfigError(str(exc), element=element) from exc
    for consenter in after:
        if consenter not in known:
            _check_tls(consenter, before, authorities, at, element)
            if proposed.consensus_type == BFT:
                _check_identity(consenter, proposed, at, element)


def _consenters(config: ChannelConfig) -> tuple[Consenter, ...]:
    try:
        return config.consenters
    except ConfigError:
        return ()


def _element(config: ChannelConfig) -> str:
    return f"{ORDERER_PATH}/{'Orderers' if config.consensus_type == BFT else 'ConsensusType'}"


def _check_apart(before: Sequence[Consenter], after: Sequence[Consenter], element: str) -> None:
    """Refuse an address, an ID or an identity that more consenters share than before."""
    for attribute, what in (("address", "address"), ("id", "ID"), ("identity", "identity certificate")):
        standing = Counter(getattr(consenter, attribute) for consenter in before)
        for value, count in Counter(getattr(consenter, attribute) for consenter in after).items():
            sharing = [consenter.address for consenter in after if getattr(consenter, attribute) == value]
            if value and count > max(standing[value], 1):
                names = " and ".join(map(str, sharing))
                raise ConfigError(f"consenters {names} have the same {what}; each has its own", element=element)


def _check_tls(
    consenter: Consenter, before: Sequence[Consenter], authorities: Pool, at: datetime, element: str
) -> None:
    known = {pem for each in before for pem in (each.client_tls_cert, each.server_tls_cert)}
    for name, attribute in _TLS:
        pem = getattr(consenter, attribute)
        if pem in known:
            continue
        certificate = _read(consenter, name, pem, element)
        try:
            authorities.verify_tls(certificate, at)
        except IdentityError as exc:
            raise ConfigError(
                f"consenter {consenter.address}: {name} certificate: {exc}; "
                "it has to be valid and issued by a TLS CA of an orderer organization",
                element=element,
            ) from exc


def _check_identity(consenter: Consenter, proposed: ChannelConfig, at: datetime, element: str) -> None:
    where = f"consenter {consenter.address}"
    organizations = {each.msp_id: each for each in proposed.orderer_organizations.values()}
    if consenter.msp_id not in organizations:
        known = ", ".join(sorted(organizations))
        raise ConfigError(f"{where}: {consenter.msp_id} is no orderer organization; those are {known}", element=element)
    certificate = _read(consenter, "identity", consenter.identity, element)
    if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
        end = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
        raise ConfigError(f"{where}: identity certificate is not valid now, but until {end}", element=element)
    identity = identities_pb2.SerializedIdentity(mspid=consenter.msp_id, id_bytes=consenter.identity)
    try:
        msp = organizations[consenter.msp_id].msp
        msp.validate(msp.deserialize(identity.SerializeToString()))
    except IdentityError as exc:
        raise ConfigError(
            f"{where}: identity certificate is none of {consenter.msp_id}: {exc}", element=element
        ) from exc


def _read(consenter: Consenter, name: str, pem: bytes, element: str) -> x509.Certificate:
    der = certificates.decode_pem(pem)
    if der is None:
        raise ConfigError(f"consenter {consenter.address}: {name} certificate is not PEM", element=element)
    try:
        return certificates.parse_certificate(der)
    except IdentityError as exc:
        raise ConfigError(f"consenter {consenter.address}: {name} certificate: {exc}", element=element) from exc

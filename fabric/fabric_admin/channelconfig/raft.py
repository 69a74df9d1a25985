"""What etcdraft orderers ask of new consensus metadata: options, certificates, one consenter at a time.

Follows ``ValidateConsensusMetadata`` of ``fabric: orderer/consensus/etcdraft/chain.go`` and ``util.go``. How many
consenters are running is not known here, so the loss of a quorum is not foreseen.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from fabric_protos.orderer.etcdraft import configuration_pb2 as etcdraft_pb2

from fabric_admin import certificates, duration
from fabric_admin.chains import Pool
from fabric_admin.channelconfig.consensus import BFT, ETCDRAFT, raft_metadata
from fabric_admin.errors import ConfigError, ConfigUpdateRefused, IdentityError

if TYPE_CHECKING:
    from cryptography import x509

    from fabric_admin.channelconfig.channel import ChannelConfig

STAGE: Final = "consensus_metadata"
ELEMENT: Final = "/Channel/Orderer/ConsensusType"
_EXPIRED: Final = "x509: certificate has expired or is not yet valid"


def check_metadata(current: ChannelConfig, proposed: ChannelConfig, now: datetime) -> None:
    """Refuse metadata that etcdraft orderers refuse; raises ConfigUpdateRefused.

    A refusal with an empty status is one the orderer gives no answer to: it ends the stream.
    """
    before, after = current.consensus, proposed.consensus
    if not after.metadata:
        return
    if after.type == BFT:
        _check_endpoints(proposed)
        return
    if after.type != ETCDRAFT:
        raise ConfigUpdateRefused(
            STAGE,
            f"illegal consensus type detected during consensus metadata validation: {after.type}",
            element=ELEMENT,
            remedy=f"keep {ETCDRAFT}, or migrate to {BFT} in maintenance mode",
            status="",
        )
    try:
        metadata = raft_metadata(after.metadata)
        try:
            _check(metadata, tls_authorities(proposed), now)
        except ConfigError as exc:
            raise ConfigError(f"invalid new config metadata: {exc}", element=ELEMENT) from exc
        _check_membership(raft_metadata(before.metadata), metadata, tls_authorities(proposed), now)
    except ConfigError as exc:
        raise ConfigUpdateRefused(STAGE, str(exc), element=ELEMENT, remedy=_remedy(str(exc))) from exc


def _check_endpoints(proposed: ChannelConfig) -> None:
    for name, organization in proposed.orderer_organizations.items():
        if not organization.endpoints:
            raise ConfigUpdateRefused(
                STAGE,
                "illegal orderer config detected during consensus metadata validation: "
                f"endpoints of org {name} are missing",
                element=f"/Channel/Orderer/{name}/Endpoints",
                remedy="set the organization's orderer endpoints first",
            )


def _check(metadata: etcdraft_pb2.ConfigMetadata, authorities: Pool, now: datetime) -> None:
    if not metadata.HasField("options"):
        raise ConfigError("nil Raft config metadata options")
    _check_options(metadata.options)
    if not metadata.consenters:
        raise ConfigError("empty consenter set")
    for consenter in metadata.consenters:
        try:
            _check_certificates(consenter, authorities, now, ignore_expiry=True)
        except ConfigError as exc:
            raise ConfigError(f"consenter {consenter.host}:{consenter.port} has invalid certificate: {exc}") from exc
    seen: set[bytes] = set()
    for consenter in metadata.consenters:
        pair = {consenter.server_tls_cert, consenter.client_tls_cert}
        if seen & pair:
            server = consenter.server_tls_cert.decode("utf-8", "replace")
            client = consenter.client_tls_cert.decode("utf-8", "replace")
            raise ConfigError(f"duplicate consenter: server cert: {server}, client cert: {client}")
        seen |= pair


def _check_options(options: etcdraft_pb2.Options) -> None:
    heartbeat, election, inflight = options.heartbeat_tick, options.election_tick, options.max_inflight_blocks
    if 0 in (heartbeat, election, inflight):
        raise ConfigError(
            f"none of HeartbeatTick ({heartbeat}), ElectionTick ({election}) "
            f"and MaxInflightBlocks ({inflight}) can be zero"
        )
    if election <= heartbeat:
        raise ConfigError(f"ElectionTick ({election}) must be greater than HeartbeatTick ({heartbeat})")
    interval = options.tick_interval
    try:
        nanoseconds = duration.parse(interval)
    except ConfigError as exc:
        raise ConfigError(f"failed to parse TickInterval ({interval}) to time duration: {exc}") from exc
    if nanoseconds == 0:
        raise ConfigError("TickInterval cannot be zero")


def _check_membership(
    before: etcdraft_pb2.ConfigMetadata, after: etcdraft_pb2.ConfigMetadata, authorities: Pool, now: datetime
) -> None:
    """Allow one consenter to be added, one to be removed, or one of each: a rotation; told by client certificate."""
    old, new = ({each.client_tls_cert for each in side.consenters} for side in (before, after))
    added = [each for each in after.consenters if each.client_tls_cert not in old]
    removed = [each for each in before.consenters if each.client_tls_cert not in new]
    if len(added) > 1 or len(removed) > 1:
        raise ConfigError(
            "update of more than one consenter at a time is not supported, "
            f"requested changes: add {len(added)} node(s), remove {len(removed)} node(s)"
        )
    for consenter in added:
        try:
            _check_certificates(consenter, authorities, now, ignore_expiry=False)
        except ConfigError as exc:
            raise ConfigError(f"consenter {consenter.host}:{consenter.port} has invalid certificates: {exc}") from exc


def _check_certificates(
    consenter: etcdraft_pb2.Consenter, authorities: Pool, now: datetime, *, ignore_expiry: bool
) -> None:
    loaded: list[tuple[str, x509.Certificate]] = []
    for kind, pem in (("client", consenter.client_tls_cert), ("server", consenter.server_tls_cert)):
        try:
            loaded.append((kind, _certificate(pem)))
        except ConfigError as exc:
            raise ConfigError(f"parsing tls {kind} cert of {consenter.host}:{consenter.port}: {exc}") from exc
    for kind, certificate in loaded:
        try:
            authorities.verify_tls(certificate, now)
        except IdentityError as exc:
            if ignore_expiry and str(exc).startswith(_EXPIRED):
                continue
            raise ConfigError(
                f"verifying tls {kind} cert with serial number {certificate.serial_number}: {exc}"
            ) from exc


def _certificate(pem: bytes) -> x509.Certificate:
    der = certificates.decode_pem(pem)
    if der is None:
        raise ConfigError(f"no PEM data found in cert[{pem.hex(' ')}]")
    try:
        return certificates.parse_certificate(der)
    except IdentityError as exc:
        raise ConfigError(f"{exc} TLS certificate has invalid ASN1 structure") from exc


def tls_authorities(proposed: ChannelConfig) -> Pool:
    """Return the TLS CAs of all orderer organizations; raises ConfigError, IdentityError for what cannot be read."""
    roots: list[x509.Certificate] = []
    intermediates: list[x509.Certificate] = []
    for organization in proposed.orderer_organizations.values():
        roots += map(_certificate, organization.msp.tls_roots)
        intermediates += map(_certificate, organization.msp.tls_intermediates)
    return Pool(tuple(roots), tuple(intermediates))


def _remedy(reason: str) -> str:
    if "more than one consenter" in reason:
        return "change one consenter per update"
    if "certificate" in reason:
        return "consenter certificates must be PEM and issued by a TLS CA of an orderer organization"
    return "correct the etcdraft metadata"

"""Consenters as the messages a config holds: etcdraft metadata, and the BFT mapping."""

from __future__ import annotations

from collections.abc import Sequence

from fabric_protos.common import configuration_pb2
from fabric_protos.orderer.etcdraft import configuration_pb2 as etcdraft_pb2

from fabric_admin import duration
from fabric_admin.channelconfig.consensus import BFT, ETCDRAFT, Consenter, RaftOptions
from fabric_admin.errors import ConfigError


def build_raft_metadata(consenters: Sequence[Consenter], options: RaftOptions) -> etcdraft_pb2.ConfigMetadata:
    """Return etcdraft metadata; raises ConfigError in the genesis tool's words for what is missing or makes no sense.

    Source: ``fabric: internal/configtxgen/genesisconfig/config.go``.
    """
    if not consenters:
        raise ConfigError("etcdraft configuration did not specify any consenter")
    check_raft_options(options)
    return etcdraft_pb2.ConfigMetadata(
        consenters=[build_raft_consenter(each) for each in consenters], options=build_raft_options(options)
    )


def check_raft_options(options: RaftOptions) -> None:
    """Refuse options etcdraft cannot run with; raises ConfigError."""
    try:
        duration.parse(options.tick_interval)
    except ConfigError as exc:
        raise ConfigError(f"Etcdraft TickInterval ({options.tick_interval}) must be in time duration format") from exc
    if options.election_tick <= options.heartbeat_tick:
        raise ConfigError("election tick must be greater than heartbeat tick")


def build_raft_options(options: RaftOptions) -> etcdraft_pb2.Options:
    """Return the options as a message."""
    return etcdraft_pb2.Options(
        tick_interval=options.tick_interval,
        election_tick=options.election_tick,
        heartbeat_tick=options.heartbeat_tick,
        max_inflight_blocks=options.max_inflight_blocks,
        snapshot_interval_size=options.snapshot_interval_size,
    )


def build_raft_consenter(consenter: Consenter) -> etcdraft_pb2.Consenter:
    """Return an etcdraft consenter; raises ConfigError for what is missing."""
    _require(consenter, ETCDRAFT)
    return etcdraft_pb2.Consenter(
        host=consenter.address.host,
        port=consenter.address.port,
        client_tls_cert=consenter.client_tls_cert,
        server_tls_cert=consenter.server_tls_cert,
    )


def build_mapping(consenters: Sequence[Consenter]) -> configuration_pb2.Orderers:
    """Return the BFT consenter mapping; raises ConfigError for what is missing."""
    if not consenters:
        raise ConfigError("BFT configuration did not specify any consenter")
    return configuration_pb2.Orderers(consenter_mapping=[build_mapped_consenter(each) for each in consenters])


def build_mapped_consenter(consenter: Consenter) -> configuration_pb2.Consenter:
    """Return one entry of the BFT consenter mapping; raises ConfigError for what is missing."""
    _require(consenter, BFT)
    for what, present in (("MSP ID", consenter.msp_id), ("identity certificate", consenter.identity)):
        if not present:
            raise ConfigError(f"consenter info in {BFT} configuration did not specify {what}")
    return configuration_pb2.Consenter(
        id=consenter.id,
        host=consenter.address.host,
        port=consenter.address.port,
        msp_id=consenter.msp_id,
        identity=consenter.identity,
        client_tls_cert=consenter.client_tls_cert,
        server_tls_cert=consenter.server_tls_cert,
    )


def _require(consenter: Consenter, consensus: str) -> None:
    for what, present in (
        ("host", consenter.address.host),
        ("port", consenter.address.port),
        ("client TLS cert", consenter.client_tls_cert),
        ("server TLS cert", consenter.server_tls_cert),
    ):
        if not present:
            raise ConfigError(f"consenter info in {consensus} configuration did not specify {what}")

"""Who orders a channel according to its config, and how many of them it takes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fabric_protos.orderer import configuration_pb2
from fabric_protos.orderer.etcdraft import configuration_pb2 as etcdraft

from fabric_admin.certificates import decode_pem

if TYPE_CHECKING:
    from fabric_admin.channelconfig import ChannelConfig

ETCDRAFT: Final = "etcdraft"


def consensus_type(config: ChannelConfig) -> configuration_pb2.ConsensusType:
    """Return the channel's ConsensusType value."""
    orderer = config.config.channel_group.groups["Orderer"]
    return configuration_pb2.ConsensusType.FromString(orderer.values["ConsensusType"].value)


def in_maintenance(config: ChannelConfig) -> bool:
    """Tell whether the channel is in maintenance mode: no normal transactions, orderer organizations only."""
    return consensus_type(config).state == configuration_pb2.ConsensusType.STATE_MAINTENANCE


def is_consenter(config: ChannelConfig, tls_certificate: bytes) -> bool:
    """Tell whether a TLS certificate (DER) is the client or server certificate of a consenter."""
    return any(
        tls_certificate in (decode_pem(consenter.client_tls_cert), decode_pem(consenter.server_tls_cert))
        for consenter in _consenters(config)
    )


def quorum(config: ChannelConfig) -> int:
    """Return how many consenters must run for messages to be ordered."""
    return len(_consenters(config)) // 2 + 1


def _consenters(config: ChannelConfig) -> tuple[etcdraft.Consenter, ...]:
    return tuple(etcdraft.ConfigMetadata.FromString(consensus_type(config).metadata).consenters)

"""Who orders a channel according to its config, and how many of them it takes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fabric_protos.orderer import configuration_pb2

from fabric_admin.certificates import decode_pem

if TYPE_CHECKING:
    from fabric_admin.channelconfig import ChannelConfig


def in_maintenance(config: ChannelConfig) -> bool:
    """Tell whether the channel is in maintenance mode: no normal transactions, orderer organizations only."""
    orderer = config.config.channel_group.groups["Orderer"]
    consensus = configuration_pb2.ConsensusType.FromString(orderer.values["ConsensusType"].value)
    return consensus.state == configuration_pb2.ConsensusType.STATE_MAINTENANCE


def is_consenter(config: ChannelConfig, tls_certificate: bytes) -> bool:
    """Tell whether a TLS certificate (DER) is the client or server certificate of a consenter."""
    return any(
        tls_certificate in (decode_pem(consenter.client_tls_cert), decode_pem(consenter.server_tls_cert))
        for consenter in config.consenters
    )


def quorum(config: ChannelConfig) -> int:
    """Return how many consenters must run for messages to be ordered."""
    return len(config.consenters) // 2 + 1

"""A channel's configuration: reading it, and every step of changing it that needs no network."""

from fabric_admin.channelconfig.channel import (
    APPLICATION,
    DEFAULT_ENDORSEMENT,
    ETCDRAFT,
    LIFECYCLE_ENDORSEMENT,
    ORDERER,
    Address,
    ChannelConfig,
    Consenter,
    Organization,
    OrdererEndpoint,
    policy_rule,
)

__all__ = [
    "APPLICATION",
    "DEFAULT_ENDORSEMENT",
    "ETCDRAFT",
    "LIFECYCLE_ENDORSEMENT",
    "ORDERER",
    "Address",
    "ChannelConfig",
    "Consenter",
    "OrdererEndpoint",
    "Organization",
    "policy_rule",
]

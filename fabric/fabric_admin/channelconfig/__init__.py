"""A channel's configuration: reading it, and every step of changing it that needs no network."""

from fabric_admin.channelconfig import edits
from fabric_admin.channelconfig.acceptance import Forecast
from fabric_admin.channelconfig.channel import (
    DEFAULT_ENDORSEMENT,
    LIFECYCLE_ENDORSEMENT,
    ChannelConfig,
    policy_rule,
)
from fabric_admin.channelconfig.consensus import BFT, ETCDRAFT, Consensus, Consenter, RaftOptions
from fabric_admin.channelconfig.consenter_check import check_consenters
from fabric_admin.channelconfig.delta import compute_update
from fabric_admin.channelconfig.difference import diff
from fabric_admin.channelconfig.elements import Kind
from fabric_admin.channelconfig.evaluation import Verdict
from fabric_admin.channelconfig.hazards import Hazard, find_hazards, find_update_hazards, refuse_first, refuse_hazards
from fabric_admin.channelconfig.loading import APPLICATION, ORDERER
from fabric_admin.channelconfig.newcertificates import find_certificate_hazards
from fabric_admin.channelconfig.organizations import Address, OrdererEndpoint, Organization
from fabric_admin.channelconfig.signing import assemble, sign

__all__ = [
    "APPLICATION",
    "BFT",
    "DEFAULT_ENDORSEMENT",
    "ETCDRAFT",
    "LIFECYCLE_ENDORSEMENT",
    "ORDERER",
    "Address",
    "ChannelConfig",
    "Consensus",
    "Consenter",
    "Forecast",
    "Hazard",
    "Kind",
    "OrdererEndpoint",
    "Organization",
    "RaftOptions",
    "Verdict",
    "assemble",
    "check_consenters",
    "compute_update",
    "diff",
    "edits",
    "find_certificate_hazards",
    "find_hazards",
    "find_update_hazards",
    "policy_rule",
    "refuse_first",
    "refuse_hazards",
    "sign",
]

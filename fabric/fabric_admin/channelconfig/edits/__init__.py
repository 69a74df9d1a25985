"""Edits of a channel config: each takes a config and returns a new one, or says what is wrong with the wish.

Raises ConfigError naming the element, HazardousChange for what Fabric would accept to everybody's harm.
"""

from fabric_admin.channelconfig.edits.consenter_set import (
    add_consenter,
    remove_consenter,
    replace_consenter_certificates,
)
from fabric_admin.channelconfig.edits.membership import (
    add_organization,
    remove_organization,
    set_anchor_peers,
    set_orderer_endpoints,
    set_organization_msp,
)
from fabric_admin.channelconfig.edits.ordering import set_batch, set_maintenance, set_raft_options
from fabric_admin.channelconfig.edits.rules import remove_policy, set_acl, set_capability, set_mod_policy, set_policy

__all__ = [
    "add_consenter",
    "add_organization",
    "remove_consenter",
    "remove_organization",
    "remove_policy",
    "replace_consenter_certificates",
    "set_acl",
    "set_anchor_peers",
    "set_batch",
    "set_capability",
    "set_maintenance",
    "set_mod_policy",
    "set_orderer_endpoints",
    "set_organization_msp",
    "set_policy",
    "set_raft_options",
]

"""Changing who decides: capabilities, policies, mod_policies, ACLs."""

from __future__ import annotations

from fabric_protos.common import configtx_pb2, configuration_pb2
from fabric_protos.peer import configuration_pb2 as peer_pb2

from fabric_admin import configtree
from fabric_admin.capabilities import KNOWN_LEVELS
from fabric_admin.channelconfig import elements
from fabric_admin.channelconfig.edits import tree
from fabric_admin.channelconfig.elements import Kind
from fabric_admin.channelconfig.loading import APPLICATION
from fabric_admin.errors import ConfigError


def set_capability(config: configtx_pb2.Config, section: str, level: str) -> configtx_pb2.Config:
    """Require one capability level of a section (``Channel``, ``Orderer``, ``Application``) in place of the others.

    Raises HazardousChange for a level no node knows (peers panic over an application level) or a lower one.
    """
    if section not in KNOWN_LEVELS:
        raise ConfigError(f"there is no section {section}; it is one of {', '.join(KNOWN_LEVELS)}", element="/Channel")
    edited = tree.copy(config)
    group = edited.channel_group if section == "Channel" else tree.section(edited, section)
    wanted = configuration_pb2.Capabilities(capabilities={level: configuration_pb2.Capability()})
    tree.write(group, "Capabilities", wanted)
    return tree.finish(config, edited)


def set_policy(config: configtx_pb2.Config, path: str, rule: str) -> configtx_pb2.Config:
    """Set the policy at ``path`` (``/Channel/Application/Admins``) to ``MAJORITY Admins`` or a signature policy.

    Its mod_policy stays; a new policy gets Admins. Raises ConfigError for a text that is no policy, HazardousChange
    when nobody, or anybody, could satisfy the policy or one built on it.
    """
    edited = tree.copy(config)
    parent, name = tree.split(path)
    group = tree.group_at(edited, parent)
    try:
        policy = configtree.build_policy(rule)
    except ConfigError as exc:
        raise ConfigError(f"{path}: {exc}", element=path) from exc
    standing = group.policies[name]
    standing.policy.CopyFrom(policy)
    standing.mod_policy = standing.mod_policy or configtree.ADMINS
    return tree.finish(config, edited)


def remove_policy(config: configtx_pb2.Config, path: str) -> configtx_pb2.Config:
    """Remove the policy at ``path``; raises HazardousChange when something depends on it."""
    edited = tree.copy(config)
    parent, name = tree.split(path)
    group = tree.group_at(edited, parent)
    if name not in group.policies:
        raise ConfigError(f"there is no policy {path}", element=path)
    del group.policies[name]
    return tree.finish(config, edited)


def set_mod_policy(
    config: configtx_pb2.Config, path: str, mod_policy: str, *, kind: Kind | None = None
) -> configtx_pb2.Config:
    """Set which policy decides on changes of the element at ``path``.

    A relative ``mod_policy`` is looked up in the element's own group. ``kind`` is needed only where a group, a value
    and a policy have the same path. Raises ConfigError, or HazardousChange when that would lock the element for ever.
    """
    edited = tree.copy(config)
    try:
        elements.check_mod_policy(mod_policy)
    except ConfigError as exc:
        raise ConfigError(f"{path}: mod_policy '{mod_policy}': {exc}", element=path) from exc
    found = [
        each
        for each in elements.flatten(edited.channel_group).values()
        if each.location == path and kind in (None, each.kind)
    ]
    if len(found) != 1:
        problem = "several elements have that path; say of which kind" if found else "there is no such element"
        raise ConfigError(f"{path}: {problem}", element=path)
    found[0].item.mod_policy = mod_policy
    return tree.finish(config, edited)


def set_acl(config: configtx_pb2.Config, resource: str, policy: str | None) -> configtx_pb2.Config:
    """Let a policy decide on a peer's resource (``peer/Propose``); None returns it to the peers' default.

    A policy without ``/`` is below /Channel/Application. Raises ConfigError, or HazardousChange when nobody could
    satisfy it.
    """
    edited = tree.copy(config)
    application = tree.section(edited, APPLICATION)
    path = f"/Channel/{APPLICATION}/ACLs"
    acls = tree.read(application, "ACLs", peer_pb2.ACLs, path)
    if not resource or not resource.isprintable():
        raise ConfigError(f"'{resource}' names no resource", element=path)
    if policy is not None:
        acls.acls[resource].policy_ref = policy
    elif resource in acls.acls:
        del acls.acls[resource]
    else:
        raise ConfigError(f"there is no ACL for {resource}", element=path)
    tree.write(application, "ACLs", acls)
    return tree.finish(config, edited)

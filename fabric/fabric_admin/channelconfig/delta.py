"""The update that turns one config into another, as ``configtxlator compute_update`` finds it.

Follows ``fabric: internal/configtxlator/update/update.go``: versions of the updated config are ignored, values and
policies are compared as they are, unchanged members are repeated only where a group's membership changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import TypeVar

from fabric_protos.common import configtx_pb2

from fabric_admin.errors import ConfigError

ItemT = TypeVar("ItemT", configtx_pb2.ConfigValue, configtx_pb2.ConfigPolicy)


def compute_update(
    channel: str, original: configtx_pb2.Config, updated: configtx_pb2.Config
) -> configtx_pb2.ConfigUpdate:
    """Return the read set and write set that lead from ``original`` to ``updated``; raises ConfigError.

    Nothing differing, or a config without a channel group, is an error; the reasons are those of the tool.
    """
    for name, config in (("original", original), ("updated", updated)):
        if not config.HasField("channel_group"):
            raise ConfigError(f"no channel group included for {name} config", element="/Channel")
    change = _compare(original.channel_group, updated.channel_group)
    if not change.changed:
        raise ConfigError("no differences detected between original and updated config", element="/Channel")
    return configtx_pb2.ConfigUpdate(channel_id=channel, read_set=change.read, write_set=change.write)


@dataclass(slots=True)
class _Change:
    """One group's part of the update; ``same`` are its unchanged members, which go in only if membership changes."""

    read: configtx_pb2.ConfigGroup = field(default_factory=configtx_pb2.ConfigGroup)
    write: configtx_pb2.ConfigGroup = field(default_factory=configtx_pb2.ConfigGroup)
    same: configtx_pb2.ConfigGroup = field(default_factory=configtx_pb2.ConfigGroup)
    changed: bool = False


def _compare(original: configtx_pb2.ConfigGroup, updated: configtx_pb2.ConfigGroup) -> _Change:
    change = _Change()
    members = [
        _compare_items(original.policies, updated.policies, change.same.policies, change.write.policies, _same_policy),
        _compare_items(original.values, updated.values, change.same.values, change.write.values, _same_value),
        _compare_groups(original, updated, change),
    ]
    change.read.version = change.write.version = original.version
    if any(members) or original.mod_policy != updated.mod_policy:
        change.changed = True
        change.write.version = original.version + 1
        change.write.mod_policy = updated.mod_policy
        change.read.MergeFrom(change.same)
        change.write.MergeFrom(change.same)
    else:
        write = change.write
        change.changed = bool(write.policies or write.values or write.groups)
    return change


def _compare_items(
    original: Mapping[str, ItemT],
    updated: Mapping[str, ItemT],
    same: MutableMapping[str, ItemT],
    write: MutableMapping[str, ItemT],
    equal: Callable[[ItemT, ItemT], bool],
) -> bool:
    """Sort one map's members into unchanged and written; return whether its names changed."""
    for name, item in updated.items():
        before = original.get(name)
        if before is not None and equal(before, item):
            same[name].version = before.version
            continue
        write[name].MergeFrom(item)
        write[name].version = 0 if before is None else before.version + 1
    return original.keys() != updated.keys()


def _compare_groups(original: configtx_pb2.ConfigGroup, updated: configtx_pb2.ConfigGroup, change: _Change) -> bool:
    for name, group in updated.groups.items():
        before = original.groups.get(name)
        inner = _compare(configtx_pb2.ConfigGroup() if before is None else before, group)
        if before is None:
            change.write.groups[name].CopyFrom(inner.write)
            change.write.groups[name].version = 0
            change.write.groups[name].mod_policy = group.mod_policy
        elif inner.changed:
            change.read.groups[name].CopyFrom(inner.read)
            change.write.groups[name].CopyFrom(inner.write)
        else:
            change.same.groups[name].CopyFrom(inner.read)
    return original.groups.keys() != updated.groups.keys()


def _same_value(one: configtx_pb2.ConfigValue, other: configtx_pb2.ConfigValue) -> bool:
    return one.mod_policy == other.mod_policy and one.value == other.value


def _same_policy(one: configtx_pb2.ConfigPolicy, other: configtx_pb2.ConfigPolicy) -> bool:
    return (
        one.mod_policy == other.mod_policy
        and one.HasField("policy") == other.HasField("policy")
        and one.policy == other.policy
    )

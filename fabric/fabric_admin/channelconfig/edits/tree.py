"""Finding one's way in a config that is being edited: a copy, its organizations, its values; and what ends an edit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, TypeVar

from fabric_protos.common import configtx_pb2

from fabric_admin.channelconfig import elements, loading, values
from fabric_admin.channelconfig.hazards import refuse_hazards
from fabric_admin.channelconfig.satisfiability import group_msp_id
from fabric_admin.configtree import ADMINS
from fabric_admin.errors import ConfigError

if TYPE_CHECKING:
    from google.protobuf.message import Message

SECTIONS: Final = (loading.APPLICATION, loading.ORDERER)
MAX_PORT: Final = 65535
_ANY_CHANNEL: Final = "channel"

MessageT = TypeVar("MessageT", bound="Message")


def copy(config: configtx_pb2.Config) -> configtx_pb2.Config:
    """Return a copy that may be changed; raises ConfigError for a config without a channel group."""
    if not config.HasField("channel_group"):
        raise ConfigError("config must contain a channel group", element="/Channel")
    found = configtx_pb2.Config()
    found.CopyFrom(config)
    return found


def finish(
    original: configtx_pb2.Config, edited: configtx_pb2.Config, *, governance: bool = False
) -> configtx_pb2.Config:
    """Return an edited config; raises HazardousChange, or ConfigError when no node would load it."""
    refuse_hazards(original, edited, governance=governance)
    loading.load(edited, _ANY_CHANNEL)
    return edited


def section(config: configtx_pb2.Config, name: str) -> configtx_pb2.ConfigGroup:
    """Return the Application or Orderer group; raises ConfigError when there is none."""
    if name not in SECTIONS:
        raise ConfigError(f"there is no section {name}; it is one of {', '.join(SECTIONS)}", element="/Channel")
    if name not in config.channel_group.groups:
        raise ConfigError(f"the config has no {name} section", element=f"/Channel/{name}")
    return config.channel_group.groups[name]


def group_at(config: configtx_pb2.Config, path: str) -> configtx_pb2.ConfigGroup:
    """Return the group at an absolute path such as ``/Channel/Application``; raises ConfigError."""
    names = path.strip("/").split("/")
    if not path.startswith("/") or names[0] != elements.ROOT_NAME:
        raise ConfigError(f"{path} is no path of the config: it starts with /Channel", element=path)
    group = config.channel_group
    for depth, name in enumerate(names[1:], start=2):
        if name not in group.groups:
            raise ConfigError(f"there is no group /{'/'.join(names[:depth])}", element=path)
        group = group.groups[name]
    return group


def split(path: str) -> tuple[str, str]:
    """Return (group path, element name) of an absolute element path; raises ConfigError."""
    parent, _, name = path.rpartition("/")
    if not parent:
        raise ConfigError(f"{path} names no element below /Channel", element=path)
    elements.check_name(name)
    return parent, name


def organizations(config: configtx_pb2.Config, msp_id: str) -> Iterator[tuple[str, configtx_pb2.ConfigGroup]]:
    """Yield (path, group) of every group of an organization, application first."""
    for name in SECTIONS:
        if name not in config.channel_group.groups:
            continue
        for group_name, group in config.channel_group.groups[name].groups.items():
            if group_msp_id(group) == msp_id:
                yield f"/Channel/{name}/{group_name}", group


def organization(config: configtx_pb2.Config, section_name: str, msp_id: str) -> tuple[str, configtx_pb2.ConfigGroup]:
    """Return (path, group) of an organization in a section; raises ConfigError when it is no member there."""
    section(config, section_name)
    for path, group in organizations(config, msp_id):
        if path.startswith(f"/Channel/{section_name}/"):
            return path, group
    raise ConfigError(
        f"{msp_id} is no member of /Channel/{section_name}; add it first", element=f"/Channel/{section_name}"
    )


def read(group: configtx_pb2.ConfigGroup, name: str, kind: type[MessageT], path: str) -> MessageT:
    """Return a value of the group at ``path``, empty when it has none; raises ConfigError."""
    return values.value(group, name, kind, path)


def write(group: configtx_pb2.ConfigGroup, name: str, message: Message) -> None:
    """Set a value, leaving its mod_policy as it is; a new one gets Admins. Equal content leaves the bytes alone."""
    standing = group.values[name]
    kind = values.VALUE_TYPES[name]
    if standing.mod_policy and values.value(group, name, kind, "") == message:
        return
    standing.value = message.SerializeToString(deterministic=True)
    standing.mod_policy = standing.mod_policy or ADMINS


def check_address(host: str, port: int, element: str) -> None:
    """Refuse an address nobody can connect to; raises ConfigError."""
    if not host or any(character.isspace() or character in "/@" for character in host) or not host.isprintable():
        raise ConfigError(f"'{host}' is no host name or IP address", element=element)
    if not 0 < port <= MAX_PORT:
        raise ConfigError(f"port {port} of {host} is not within 1..{MAX_PORT}", element=element)

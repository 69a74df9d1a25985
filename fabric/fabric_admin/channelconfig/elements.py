"""The elements of a config tree - groups, values, policies - by the key Fabric's messages give them.

A tree flattened to a map and put together again is how an update is laid over a config
(``fabric: common/configtx/configmap.go``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from fabric_protos.common import configtx_pb2

from fabric_admin.errors import ConfigError

ROOT_NAME: Final = "Channel"
ADMINS: Final = "Admins"
MAX_NAME: Final = 249
_ORDERER_CAPABILITIES: Final = "[Value]  /Channel/Orderer/Capabilities"
_NAME: Final = re.compile(r"[a-zA-Z0-9.-]+", re.ASCII)

Item = configtx_pb2.ConfigGroup | configtx_pb2.ConfigValue | configtx_pb2.ConfigPolicy


class Kind(StrEnum):
    """The prefix of a key; the spaces are Fabric's."""

    GROUP = "[Group]  "
    VALUE = "[Value]  "
    POLICY = "[Policy] "


@dataclass(frozen=True, slots=True)
class Element:
    """One group, value or policy and where it stands."""

    kind: Kind
    path: tuple[str, ...]
    """Names from ``Channel`` down to this element."""
    item: Item = field(repr=False)

    @property
    def key(self) -> str:
        """The name Fabric's messages use: ``[Value]  /Channel/Orderer/BatchSize``."""
        return f"{self.kind}{self.location}"

    @property
    def location(self) -> str:
        """The path alone: ``/Channel/Orderer/BatchSize``."""
        return "/" + "/".join(self.path)

    @property
    def policy_path(self) -> str:
        """The absolute path of the policy that decides on changes; empty when mod_policy is not set.

        A relative mod_policy is looked up in the element's own group: a group's in itself.
        """
        mod_policy = self.item.mod_policy
        if not mod_policy or mod_policy.startswith("/"):
            return mod_policy
        group = self.path if self.kind is Kind.GROUP else self.path[:-1]
        return "/" + "/".join((*group, mod_policy))


def flatten(group: configtx_pb2.ConfigGroup) -> dict[str, Element]:
    """Return every element of a tree by key; raises ConfigError for a name Fabric does not allow."""
    found: dict[str, Element] = {}
    _collect(found, (ROOT_NAME,), group)
    return found


def assemble(elements: Mapping[str, Element]) -> configtx_pb2.ConfigGroup:
    """Put a tree together from its elements: a group has the members its own message names, each as in the map.

    With orderer capabilities set, an unset mod_policy becomes ``Admins``, as Fabric mends channels of its 1.0 release.
    """
    root = _assemble(elements, (ROOT_NAME,))
    if _ORDERER_CAPABILITIES in elements:
        _mend(root)
    return root


def check_mod_policy(mod_policy: str) -> None:
    """Refuse a mod_policy that is no well-formed policy path; raises ConfigError."""
    if not mod_policy:
        raise ConfigError("mod_policy not set")
    for index, name in enumerate(mod_policy.removeprefix("/").split("/")):
        try:
            check_name(name)
        except ConfigError as exc:
            raise ConfigError(f"path element at {index} is invalid: {exc}") from exc


def check_name(name: str) -> None:
    """Refuse a name no config element may have; raises ConfigError."""
    if not name:
        raise ConfigError("config ID illegal, cannot be empty")
    if len(name.encode()) > MAX_NAME:
        raise ConfigError(f"config ID illegal, cannot be longer than {MAX_NAME}")
    if name in (".", ".."):
        raise ConfigError(f"name '{name}' for config ID is not allowed")
    if not _NAME.fullmatch(name):
        raise ConfigError(f"config ID '{name}' contains illegal characters")


def _collect(found: dict[str, Element], path: tuple[str, ...], group: configtx_pb2.ConfigGroup) -> None:
    _add(found, Element(Kind.GROUP, path, group))
    for name, child in sorted(group.groups.items()):
        _collect(found, (*path, name), child)
    for name, value in sorted(group.values.items()):
        _add(found, Element(Kind.VALUE, (*path, name), value))
    for name, policy in sorted(group.policies.items()):
        _add(found, Element(Kind.POLICY, (*path, name), policy))


def _add(found: dict[str, Element], element: Element) -> None:
    try:
        check_name(element.path[-1])
    except ConfigError as exc:
        raise ConfigError(f"illegal characters in key: {element.kind}: {exc}", element=element.location) from exc
    found[element.key] = element


def _assemble(elements: Mapping[str, Element], path: tuple[str, ...]) -> configtx_pb2.ConfigGroup:
    group = configtx_pb2.ConfigGroup()
    source = elements[Element(Kind.GROUP, path, group).key].item
    assert isinstance(source, configtx_pb2.ConfigGroup)  # noqa: S101 - the key says so
    group.CopyFrom(source)
    location = "/" + "/".join(path)
    for name in source.groups:
        group.groups[name].CopyFrom(_assemble(elements, (*path, name)))
    for name in source.values:
        value = elements[f"{Kind.VALUE}{location}/{name}"].item
        assert isinstance(value, configtx_pb2.ConfigValue)  # noqa: S101 - the key says so
        group.values[name].CopyFrom(value)
    for name in source.policies:
        policy = elements[f"{Kind.POLICY}{location}/{name}"].item
        assert isinstance(policy, configtx_pb2.ConfigPolicy)  # noqa: S101 - the key says so
        group.policies[name].CopyFrom(policy)
    return group


def _mend(group: configtx_pb2.ConfigGroup) -> None:
    group.mod_policy = group.mod_policy or ADMINS
    for value in group.values.values():
        value.mod_policy = value.mod_policy or ADMINS
    for policy in group.policies.values():
        policy.mod_policy = policy.mod_policy or ADMINS
    for child in group.groups.values():
        _mend(child)

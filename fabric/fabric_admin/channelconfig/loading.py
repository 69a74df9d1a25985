"""Setting up a config the way a node does before it uses it, with the node's reasons to refuse.

Follows ``fabric: common/channelconfig/bundle.go``, ``channel.go``, ``orderer.go`` and ``application.go``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from fabric_protos.common import configtx_pb2, configuration_pb2
from fabric_protos.orderer import configuration_pb2 as orderer_pb2
from fabric_protos.peer import configuration_pb2 as peer_pb2
from google.protobuf import text_format

from fabric_admin.batch import Batch
from fabric_admin.capabilities import Capabilities
from fabric_admin.channelconfig import elements, organizations, values
from fabric_admin.channelconfig.consensus import Consensus, read_consensus
from fabric_admin.channelconfig.organizations import Organization, Registry
from fabric_admin.errors import ConfigError, PolicySyntaxError
from fabric_admin.msp import MSPManager
from fabric_admin.policy import PolicyManager

ROOT: Final = "/Channel"
APPLICATION: Final = "Application"
ORDERER: Final = "Orderer"
CONSORTIUMS: Final = "Consortiums"
MAX_CHANNEL_ID: Final = 249
_MAX_SHOWN_BYTES: Final = 64 * 1024
BLOCK_DATA_WIDTH: Final = 0xFFFFFFFF
HASHING_ALGORITHMS: Final = ("SHA256", "SHA3_256")


@dataclass(frozen=True, slots=True)
class Parts:
    """What a config consists of, decoded and set up."""

    capabilities: Capabilities
    organizations: Mapping[str, Organization]
    orderer_organizations: Mapping[str, Organization]
    batch: Batch | None
    consensus: Consensus
    acls: Mapping[str, str]
    global_orderer_addresses: tuple[str, ...]
    msp_manager: MSPManager
    policies: PolicyManager


def load(config: configtx_pb2.Config, channel_id: str) -> Parts:
    """Set up a config; raises ConfigError in the words of a node, with ``element`` naming the place."""
    if not config.HasField("channel_group"):
        raise ConfigError("config must contain a channel group", element=ROOT)
    root = config.channel_group
    application, orderer = root.groups.get(APPLICATION), root.groups.get(ORDERER)
    _check_capability_order(root, application, orderer)
    with _context("initializing channelconfig failed"):
        capabilities, addresses = _read_root(root)
        registry = Registry(capabilities.msp_version)
        batch, consensus, orderers = _read_orderer(orderer, registry, capabilities)
        members, acls = _read_application(application, registry, capabilities)
        _check_other_groups(root, registry)
    try:
        policies = PolicyManager.from_group(root, registry.manager())
    except PolicySyntaxError as exc:
        found = re.search(r"policy (\S+) at path (\S+)", str(exc))
        element = f"/{found[2]}/{found[1]}" if found else ROOT
        raise ConfigError(f"initializing policymanager failed: {exc}", element=element) from exc
    with _context("initializing configtx manager failed"):
        with _context("bad channel ID"):
            check_channel_id(channel_id)
        with _context("error converting config to map"):
            elements.flatten(root)
    return Parts(capabilities, members, orderers, batch, consensus, acls, addresses, registry.manager(), policies)


def check_channel_id(channel_id: str) -> None:
    """Refuse a channel ID that Fabric's nodes refuse; raises ConfigError (``common/configtx/validator.go``)."""
    if not channel_id:
        raise ConfigError("channel ID illegal, cannot be empty")
    if len(channel_id.encode()) > MAX_CHANNEL_ID:
        raise ConfigError(f"channel ID illegal, cannot be longer than {MAX_CHANNEL_ID}")
    if not re.fullmatch(r"[a-z][a-z0-9.-]*", channel_id):
        raise ConfigError(f"'{channel_id}' contains illegal characters")


def _check_capability_order(
    root: configtx_pb2.ConfigGroup,
    application: configtx_pb2.ConfigGroup | None,
    orderer: configtx_pb2.ConfigGroup | None,
) -> None:
    if orderer is None or "Capabilities" in orderer.values:
        return
    for name, group, path in (("channel", root, ROOT), ("application", application, f"{ROOT}/{APPLICATION}")):
        if group is not None and "Capabilities" in group.values:
            raise ConfigError(
                f"cannot enable {name} capabilities without orderer support first", element=f"{path}/Capabilities"
            )


def _read_root(root: configtx_pb2.ConfigGroup) -> tuple[Capabilities, tuple[str, ...]]:
    """Check the channel's own values; return the capabilities of all sections and the global orderer addresses."""
    values.require_known(root, values.CHANNEL_VALUES, ROOT)
    capabilities = Capabilities(
        values.capability_names(root, ROOT),
        _section_capabilities(root, ORDERER),
        _section_capabilities(root, APPLICATION),
    )
    algorithm = values.value(root, "HashingAlgorithm", configuration_pb2.HashingAlgorithm, ROOT).name
    if algorithm not in HASHING_ALGORITHMS:
        raise ConfigError(f"Unknown hashing algorithm type: {algorithm}", element=f"{ROOT}/HashingAlgorithm")
    structure = values.value(root, "BlockDataHashingStructure", configuration_pb2.BlockDataHashingStructure, ROOT)
    if structure.width != BLOCK_DATA_WIDTH:
        raise ConfigError(
            "BlockDataHashStructure width only supported at MaxUint32 in this version",
            element=f"{ROOT}/BlockDataHashingStructure",
        )
    addresses = values.value(root, "OrdererAddresses", configuration_pb2.OrdererAddresses, ROOT).addresses
    if not addresses and not capabilities.organization_endpoints:
        raise ConfigError("Must set some OrdererAddresses", element=f"{ROOT}/OrdererAddresses")
    if addresses and capabilities.organization_endpoints_only:
        raise ConfigError(
            "global OrdererAddresses are not allowed with V3_0 capability, use org specific addresses only",
            element=f"{ROOT}/OrdererAddresses",
        )
    return capabilities, tuple(addresses)


def _section_capabilities(root: configtx_pb2.ConfigGroup, section: str) -> frozenset[str]:
    with _context(f"could not create channel {section} sub-group config"):
        return values.capability_names(root.groups.get(section), f"{ROOT}/{section}")


def _read_orderer(
    section: configtx_pb2.ConfigGroup | None, registry: Registry, capabilities: Capabilities
) -> tuple[Batch | None, Consensus, Mapping[str, Organization]]:
    if section is None:
        return None, Consensus(), {}
    path = f"{ROOT}/{ORDERER}"
    with _context(f"could not create channel {ORDERER} sub-group config"):
        values.require_known(section, values.ORDERER_VALUES, path)
        batch = _read_batch(section, path)
        return batch, read_consensus(section), organizations.read_orderers(section, path, registry, capabilities)


def _read_batch(section: configtx_pb2.ConfigGroup, path: str) -> Batch:
    size = values.value(section, "BatchSize", orderer_pb2.BatchSize, path)
    timeout = values.value(section, "BatchTimeout", orderer_pb2.BatchTimeout, path)
    batch = Batch(timeout.timeout, size.max_message_count, size.absolute_max_bytes, size.preferred_max_bytes)
    try:
        batch.check()
    except ConfigError as exc:
        name = "BatchTimeout" if "timeout" in str(exc) else "BatchSize"
        raise ConfigError(str(exc), element=f"{path}/{name}") from exc
    return batch


def _read_application(
    section: configtx_pb2.ConfigGroup | None, registry: Registry, capabilities: Capabilities
) -> tuple[Mapping[str, Organization], Mapping[str, str]]:
    if section is None:
        return {}, {}
    path = f"{ROOT}/{APPLICATION}"
    with _context(f"could not create channel {APPLICATION} sub-group config"):
        values.require_known(section, values.APPLICATION_VALUES, path)
        if "ACLs" in section.values and not capabilities.acls:
            raise ConfigError("ACLs may not be specified without the required capability", element=f"{path}/ACLs")
        acls = values.value(section, "ACLs", peer_pb2.ACLs, path).acls
        members = organizations.read_application(section, path, registry)
    return members, {name: resource.policy_ref for name, resource in acls.items()}


def _check_other_groups(root: configtx_pb2.ConfigGroup, registry: Registry) -> None:
    for name in sorted(root.groups.keys() - {APPLICATION, ORDERER}):
        if name != CONSORTIUMS:
            raise ConfigError(f"Disallowed channel group: {_shown(root.groups[name])}", element=f"{ROOT}/{name}")
        with _context(f"could not create channel {CONSORTIUMS} sub-group config"):
            organizations.read_consortiums(root.groups[name], f"{ROOT}/{name}", registry)


def _shown(group: configtx_pb2.ConfigGroup) -> str:
    """Return a group as Go prints it, or only how large one is that nobody wants to read."""
    if group.ByteSize() > _MAX_SHOWN_BYTES:
        return f"a group of {group.ByteSize()} bytes"
    return re.sub(": ", ":", text_format.MessageToString(group, as_one_line=True).strip())


@contextmanager
def _context(step: str) -> Iterator[None]:
    """Name the step in front of the reason, as Fabric's wrapped errors read."""
    try:
        yield
    except ConfigError as exc:
        raise ConfigError(f"{step}: {exc}", element=exc.element) from exc

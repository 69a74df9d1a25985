"""The organizations of a channel: their MSPs, anchor peers and orderer endpoints.

Refuses what ``fabric: common/channelconfig`` refuses, in its words; ``element`` of the error says where.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from fabric_protos.common import configtx_pb2, configuration_pb2
from fabric_protos.msp import msp_config_pb2
from fabric_protos.peer import configuration_pb2 as peer_pb2

from fabric_admin.capabilities import Capabilities
from fabric_admin.channelconfig import values
from fabric_admin.errors import ConfigError, IdentityError
from fabric_admin.msp import MSP, MSPManager, MSPVersion
from fabric_admin.wire import decode


@dataclass(frozen=True, slots=True)
class Address:
    """A host name or IP address, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Organization:
    """One organization of a channel, under the name of its config group."""

    name: str
    msp_id: str
    msp: MSP
    anchor_peers: tuple[Address, ...] = ()
    endpoints: tuple[str, ...] = ()
    """Orderer addresses, ``host:port``; only an orderer organization has them."""


@dataclass(frozen=True, slots=True)
class OrdererEndpoint:
    """Where to reach the ordering service, and the PEM texts of the TLS CAs to trust there."""

    address: str
    msp_id: str
    tls_root_certs: tuple[bytes, ...]


class Registry:
    """The MSPs of one channel while its sections are read: one MSP ID may not have two definitions."""

    def __init__(self, version: MSPVersion) -> None:
        """Read MSPs by the rules of a channel's capabilities."""
        self._version = version
        self._msps: dict[str, MSP] = {}

    def register(self, definition: bytes, path: str) -> MSP:
        """Set up ``pb(MSPConfig)`` of the organization at ``path``; raises ConfigError."""
        try:
            msp = _msp(definition, self._version)
        except IdentityError as exc:
            raise ConfigError(f"setting up the MSP manager failed: {exc}", element=path) from exc
        known = self._msps.setdefault(msp.msp_id, msp)
        if known.to_config() != msp.to_config():
            raise ConfigError(f"Attempted to define two different versions of MSP: {msp.msp_id}", element=path)
        if not msp.msp_id:
            raise ConfigError(f"MSP for org {path.rpartition('/')[2]} has empty MSP ID", element=path)
        return msp

    def manager(self) -> MSPManager:
        """Return all of them."""
        return MSPManager(self._msps)


def read_application(section: configtx_pb2.ConfigGroup, path: str, registry: Registry) -> Mapping[str, Organization]:
    """Return the organizations of the application section by group name; raises ConfigError."""
    return {
        name: _read(group, f"{path}/{name}", registry, "ApplicationOrg", values.APPLICATION_ORGANIZATION_VALUES)
        for name, group in sorted(section.groups.items())
    }


def read_orderers(
    section: configtx_pb2.ConfigGroup, path: str, registry: Registry, capabilities: Capabilities
) -> Mapping[str, Organization]:
    """Return the organizations of the orderer section by group name; raises ConfigError."""
    found: dict[str, Organization] = {}
    for name, group in sorted(section.groups.items()):
        if "Endpoints" in group.values and not capabilities.organization_endpoints:
            raise ConfigError(
                f"Orderer Org {name} cannot contain endpoints value until V1_4_2+ capabilities have been enabled",
                element=f"{path}/{name}/Endpoints",
            )
        found[name] = _read(group, f"{path}/{name}", registry, "OrdererOrg", values.ORDERER_ORGANIZATION_VALUES)
    if capabilities.organization_endpoints_only:
        missing = [name for name, each in found.items() if not each.endpoints]
        if missing:
            raise ConfigError(
                f"some orderer organizations endpoints are empty: [{' '.join(missing)}]",
                element=f"{path}/{missing[0]}/Endpoints",
            )
    return found


def read_consortiums(section: configtx_pb2.ConfigGroup, path: str, registry: Registry) -> None:
    """Check the consortiums section, which only old system channels and their genesis blocks have."""
    for name, consortium in sorted(section.groups.items()):
        values.require_known(consortium, values.CONSORTIUM_VALUES, f"{path}/{name}")
        for organization, group in sorted(consortium.groups.items()):
            where = f"{path}/{name}/{organization}"
            if group.groups:
                raise ConfigError("organizations do not support sub-groups", element=where)
            values.require_known(group, values.CONSORTIUM_ORGANIZATION_VALUES, where)
            registry.register(_definition(group), where)


def _read(
    group: configtx_pb2.ConfigGroup, path: str, registry: Registry, kind: str, allowed: frozenset[str]
) -> Organization:
    if group.groups:
        raise ConfigError(f"{kind} config does not allow sub-groups", element=path)
    values.require_known(group, allowed, path)
    msp = registry.register(_definition(group), path)
    anchors = values.value(group, "AnchorPeers", peer_pb2.AnchorPeers, path)
    endpoints = values.value(group, "Endpoints", configuration_pb2.OrdererAddresses, path)
    return Organization(
        name=path.rpartition("/")[2],
        msp_id=msp.msp_id,
        msp=msp,
        anchor_peers=tuple(Address(each.host, each.port) for each in anchors.anchor_peers),
        endpoints=tuple(endpoints.addresses),
    )


def _definition(group: configtx_pb2.ConfigGroup) -> bytes:
    return group.values["MSP"].value if "MSP" in group.values else b""


@lru_cache(maxsize=256)
def _msp(config: bytes, version: MSPVersion) -> MSP:
    """Set an MSP up once for all channels and configs that contain it: it is immutable."""
    return MSP.from_config(decode(msp_config_pb2.MSPConfig, config, IdentityError, "MSP"), version)

"""Adding, removing and changing organizations; each edit returns a new config and leaves the given one alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fabric_protos.common import configtx_pb2, configuration_pb2
from fabric_protos.msp import msp_config_pb2
from fabric_protos.peer import configuration_pb2 as peer_pb2

from fabric_admin import configtree
from fabric_admin.channelconfig import elements
from fabric_admin.channelconfig.consensus import bft_consenters
from fabric_admin.channelconfig.edits import tree
from fabric_admin.channelconfig.loading import APPLICATION, ORDERER
from fabric_admin.channelconfig.organizations import Address
from fabric_admin.errors import ConfigError
from fabric_admin.wire import decode

_DEFAULT_POLICIES = {
    APPLICATION: configtree.application_organization_policies,
    ORDERER: configtree.orderer_organization_policies,
}


def add_organization(
    config: configtx_pb2.Config,
    msp: msp_config_pb2.MSPConfig,
    *,
    name: str = "",
    sections: Sequence[str] = (APPLICATION,),
    anchor_peers: Sequence[Address] = (),
    orderer_endpoints: Sequence[str] = (),
    policies: configtree.Policies | None = None,
) -> configtx_pb2.Config:
    """Add an organization to sections, under its MSP ID unless ``name`` is given, with the usual policies.

    Raises ConfigError when it is a member already, when its MSP cannot be set up, or when a section needs more.
    """
    edited = tree.copy(config)
    msp_id = configtree.msp_id_of(msp, name or "to add")
    name = name or msp_id
    elements.check_name(name)
    if not sections:
        raise ConfigError(f"{msp_id} must be added to at least one section", element="/Channel")
    for section_name in sections:
        section, path = tree.section(edited, section_name), f"/Channel/{section_name}/{name}"
        _refuse_present(edited, section, path, msp_id)
        group = configtree.build_group(_DEFAULT_POLICIES[section_name](msp_id) if policies is None else policies)
        configtree.set_value(group, "MSP", msp)
        if section_name == APPLICATION and anchor_peers:
            tree.write(group, "AnchorPeers", _anchor_peers(anchor_peers, path))
        if section_name == ORDERER and orderer_endpoints:
            tree.write(group, "Endpoints", _endpoints(orderer_endpoints, path))
        section.groups[name].CopyFrom(group)
    return tree.finish(config, edited)


def remove_organization(
    config: configtx_pb2.Config, msp_id: str, *, sections: Sequence[str] = (APPLICATION,)
) -> configtx_pb2.Config:
    """Remove an organization from sections; raises ConfigError when it is no member, is the last, or still orders."""
    edited = tree.copy(config)
    for section_name in sections:
        path, _ = tree.organization(edited, section_name, msp_id)
        section = tree.section(edited, section_name)
        if len(section.groups) == 1:
            raise ConfigError(f"{msp_id} is the last organization of /Channel/{section_name}", element=path)
        if section_name == ORDERER and any(each.msp_id == msp_id for each in bft_consenters(section)):
            raise ConfigError(f"{msp_id} still has consenters; remove them first", element="/Channel/Orderer/Orderers")
        del section.groups[path.rpartition("/")[2]]
    return tree.finish(config, edited)


def set_anchor_peers(config: configtx_pb2.Config, msp_id: str, peers: Sequence[Address]) -> configtx_pb2.Config:
    """Replace the anchor peers of a member; none removes the value."""
    edited = tree.copy(config)
    path, group = tree.organization(edited, APPLICATION, msp_id)
    if peers:
        tree.write(group, "AnchorPeers", _anchor_peers(peers, path))
    else:
        group.values.pop("AnchorPeers", None)
    return tree.finish(config, edited)


def set_orderer_endpoints(config: configtx_pb2.Config, msp_id: str, endpoints: Sequence[str]) -> configtx_pb2.Config:
    """Replace the orderer addresses (``host:port``) of an orderer organization; none removes the value."""
    edited = tree.copy(config)
    path, group = tree.organization(edited, ORDERER, msp_id)
    if endpoints:
        tree.write(group, "Endpoints", _endpoints(endpoints, path))
    else:
        group.values.pop("Endpoints", None)
    return tree.finish(config, edited)


def set_organization_msp(
    config: configtx_pb2.Config,
    msp_id: str,
    *,
    root_certs: Sequence[bytes] | None = None,
    intermediate_certs: Sequence[bytes] | None = None,
    tls_root_certs: Sequence[bytes] | None = None,
    tls_intermediate_certs: Sequence[bytes] | None = None,
    revocation_list: Sequence[bytes] | None = None,
    admins: Sequence[bytes] | None = None,
    fabric_node_ous: msp_config_pb2.FabricNodeOUs | None = None,
) -> configtx_pb2.Config:
    """Replace parts of an organization's MSP (PEM texts) in every section it is in; None leaves a part as it is.

    Raises ConfigError when it is no member, nothing is given, or the result cannot be set up.
    """
    lists: Mapping[str, Sequence[bytes] | None] = {
        "root_certs": root_certs,
        "intermediate_certs": intermediate_certs,
        "tls_root_certs": tls_root_certs,
        "tls_intermediate_certs": tls_intermediate_certs,
        "revocation_list": revocation_list,
        "admins": admins,
    }
    given = {name: content for name, content in lists.items() if content is not None}
    if not given and fabric_node_ous is None:
        raise ConfigError(f"nothing of the MSP of {msp_id} is to be changed", element="/Channel")
    edited = tree.copy(config)
    found = list(tree.organizations(edited, msp_id))
    if not found:
        raise ConfigError(f"{msp_id} is no member of the channel; add it first", element="/Channel")
    for path, group in found:
        msp = tree.read(group, "MSP", msp_config_pb2.MSPConfig, path)
        definition = decode(msp_config_pb2.FabricMSPConfig, msp.config, ConfigError, f"{path}/MSP")
        for name, content in given.items():
            definition.ClearField(name)  # type: ignore[arg-type] # the names above are fields
            getattr(definition, name).extend(content)
        if fabric_node_ous is not None:
            definition.fabric_node_ous.CopyFrom(fabric_node_ous)
        tree.write(group, "MSP", msp_config_pb2.MSPConfig(type=msp.type, config=definition.SerializeToString()))
    return tree.finish(config, edited)


def _refuse_present(config: configtx_pb2.Config, section: configtx_pb2.ConfigGroup, path: str, msp_id: str) -> None:
    section_path, _, name = path.rpartition("/")
    for standing, _ in tree.organizations(config, msp_id):
        if standing.startswith(f"{section_path}/"):
            raise ConfigError(f"{msp_id} is a member already, as {standing}", element=standing)
    if name in section.groups:
        raise ConfigError(f"{path} exists already, for another organization; give another name", element=path)


def _anchor_peers(peers: Sequence[Address], path: str) -> peer_pb2.AnchorPeers:
    for each in peers:
        tree.check_address(each.host, each.port, f"{path}/AnchorPeers")
    return peer_pb2.AnchorPeers(anchor_peers=[peer_pb2.AnchorPeer(host=each.host, port=each.port) for each in peers])


def _endpoints(endpoints: Sequence[str], path: str) -> configuration_pb2.OrdererAddresses:
    for each in endpoints:
        host, _, port = each.rpartition(":")
        if not (port.isascii() and port.isdigit()):
            raise ConfigError(f"'{each}' is no address: it must be host:port", element=f"{path}/Endpoints")
        tree.check_address(host, int(port), f"{path}/Endpoints")
    return configuration_pb2.OrdererAddresses(addresses=endpoints)

"""A running network as JSON: what a person or program needs to connect to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fabric_devnet.network import Network, Organization


def describe_network(network: Network) -> dict[str, object]:
    """List organizations, peers, orderers and channels with addresses and the files that reach them."""
    spec = network.spec
    return {
        "backend": str(spec.backend),
        "release": str(network.release),
        "directory": str(spec.directory),
        "organizations": [_describe_organization(organization) for organization in network.organizations.values()],
        "orderers": [
            {
                "name": orderer.name,
                "msp_id": orderer.node.msp_id,
                "address": orderer.address,
                "tls_ca": str(orderer.node.directory / "tls" / "ca.crt"),
                "admin_url": orderer.admin_url,
                "admin_certificate": str(orderer.admin_certificate),
                "admin_key": str(orderer.admin_key),
                "log": str(orderer.node.log_file),
            }
            for orderer in network.orderers
        ],
        "channels": [
            {
                "name": channel.name,
                "members": list(spec.members(channel)),
                "genesis_block": str(spec.directory / "channels" / f"{channel.name}.block"),
            }
            for channel in spec.channels
        ],
    }


def _describe_organization(organization: Organization) -> dict[str, object]:
    users = organization.directory / "users"
    return {
        "msp_id": organization.msp_id,
        "name": organization.name,
        "domain": organization.domain,
        "msp": str(organization.directory / "msp"),
        "admin_msp": str(users / f"Admin@{organization.domain}" / "msp"),
        "client_msp": str(users / f"User1@{organization.domain}" / "msp"),
        "tls_ca": str(organization.directory / "tlsca" / f"tlsca.{organization.domain}-cert.pem"),
        "chaincode_host": organization.chaincode_host,
        "peers": [
            {"name": peer.name, "address": peer.address, "log": str(peer.node.log_file)} for peer in organization.peers
        ],
    }

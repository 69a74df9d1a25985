"""What a ChannelProposal says of a running network's organizations: their definitions, nodes and addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opssc_operator import definition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fabric_devnet.network import Organization


def build_creation(members: Sequence[Organization], orderers: Sequence[Organization]) -> dict[str, Any]:
    """The rest of the spec of a new channel of `members`, ordered by the nodes of `orderers`."""
    return {
        "action": "Create",
        "create": {
            "members": [member_of(organization) for organization in members],
            "orderers": [_orderer(organization) for organization in orderers],
            "batch": {"timeout": "200ms"},
            # A leader after ten ticks, half a second: nobody waits for an election.
            "raftOptions": {"tickInterval": "50ms"},
        },
    }


def definition_of(organization: Organization) -> dict[str, Any]:
    """An organization's definition as manifests have it."""
    return definition.read(organization.directory / "msp", organization.msp_id).to_json()


def member_of(organization: Organization) -> dict[str, Any]:
    """An organization as `addOrganization` and new channels have it, with its first peer as anchor peer."""
    return {
        "mspID": organization.msp_id,
        "definitionFrom": {"inline": definition_of(organization)},
        "anchorPeers": [split(organization.peers[0].address)],
    }


def split(address: str) -> dict[str, Any]:
    """`host:port` as manifests have it."""
    host, _, port = address.rpartition(":")
    return {"host": host, "port": int(port)}


def _orderer(organization: Organization) -> dict[str, Any]:
    nodes = organization.orderers
    certificates = [(node.node.directory / "tls" / "server.crt").read_text() for node in nodes]
    return {
        "mspID": organization.msp_id,
        "definitionFrom": {"inline": definition_of(organization)},
        "endpoints": [node.address for node in nodes],
        "consenters": [
            {**split(node.address), "clientTlsCert": certificate, "serverTlsCert": certificate}
            for node, certificate in zip(nodes, certificates, strict=True)
        ],
    }

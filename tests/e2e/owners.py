"""Three organizations, two of which run orderers: they decide about the ordering service, and start channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fabric_devnet.spec import ChannelSpec
from opssc_operator import definition
from opssc_tools.environment import EnvironmentSpec

if TYPE_CHECKING:
    from pathlib import Path

    from fabric_devnet.network import Organization
    from fabric_devnet.spec import BackendName
    from opssc_tools.environment import Member

OWNERS = ("Org1MSP", "Org2MSP")
NAMES = ("ops-channel", "owned", "every", "ruled", "refused")
CHANNELS = tuple(ChannelSpec(name) for name in NAMES)


def build_spec(directory: Path, backend: BackendName) -> EnvironmentSpec:
    return EnvironmentSpec(
        directory=directory,
        organizations=3,
        backend=backend,
        channels=CHANNELS,
        orderers=3,
        orderer_owners=OWNERS,
        channel_capability="V2_0",
        api_servers=1,
        resync_period="10s",
    )


def build_creation(*members: Member) -> dict[str, Any]:
    """The rest of the spec of a new channel of these, ordered by their own orderers."""
    return {
        "action": "Create",
        "create": {
            "members": [_member(member.organization) for member in members],
            "orderers": [_orderer(member.organization) for member in members],
            "batch": {"timeout": "200ms"},
            # A leader after ten ticks, half a second: nobody waits for an election.
            "raftOptions": {"tickInterval": "50ms"},
        },
    }


def _member(organization: Organization) -> dict[str, Any]:
    return {
        "mspID": organization.msp_id,
        "definitionFrom": {"inline": _definition(organization)},
        "anchorPeers": [split(organization.peers[0].address)],
    }


def _orderer(organization: Organization) -> dict[str, Any]:
    nodes = organization.orderers
    certificates = [(node.node.directory / "tls" / "server.crt").read_text() for node in nodes]
    return {
        "mspID": organization.msp_id,
        "definitionFrom": {"inline": _definition(organization)},
        "endpoints": [node.address for node in nodes],
        "consenters": [
            {**split(node.address), "clientTlsCert": certificate, "serverTlsCert": certificate}
            for node, certificate in zip(nodes, certificates, strict=True)
        ],
    }


def _definition(organization: Organization) -> dict[str, Any]:
    return definition.read(organization.directory / "msp", organization.msp_id).to_json()


def split(address: str) -> dict[str, Any]:
    host, _, port = address.rpartition(":")
    return {"host": host, "port": int(port)}

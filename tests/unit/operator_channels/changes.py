"""Every type of change of the channel under test, as documents and as manifests have it."""

from __future__ import annotations

import json
from typing import Any

from unit.fabric import channel
from unit.fabric.authority import authority

from fabric_admin.channelconfig import ChannelConfig
from opssc_chaincode.model import Change
from opssc_operator.api.channel_proposal import ChannelProposalSpec

ORG1, ORG2, ORG3 = channel.MEMBERS
ORDERER = "OrdererMSP"
MAJORITY = {"n": 2, "of": [ORG1, ORG2, ORG3]}


def config(profile: Any = channel.PROFILE) -> ChannelConfig:
    return channel.load(channel.build(profile))


def changes(*given: dict[str, Any]) -> tuple[Change, ...]:
    return tuple(Change.model_validate_json(json.dumps(each)) for each in given)


def definition(msp_id: str) -> dict[str, Any]:
    pem = authority(msp_id).pem.decode()
    units = {role: {"organizationalUnit": role} for role in ("client", "peer", "admin", "orderer")}
    return {"rootCerts": [pem], "tlsRootCerts": [pem], "nodeOUs": units}


def consenter(number: int, msp_id: str = ORDERER) -> dict[str, Any]:
    made = channel.consenter(number, msp_id)
    return {
        "host": made.address.host,
        "port": made.address.port,
        "clientTlsCert": made.client_tls_cert.decode(),
        "serverTlsCert": made.server_tls_cert.decode(),
        "mspID": made.msp_id,
        "identity": made.identity.decode(),
    }


ADDED = {"addOrganization": {"mspID": "Org4MSP", "definition": definition("Org4MSP")}}
EVERY_CHANGE: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "addOrganization": (ADDED, MAJORITY, "/Channel/Application/Org4MSP"),
    "removeOrganization": ({"removeOrganization": {"mspID": ORG3}}, MAJORITY, "/Channel/Application/Org3"),
    "setAnchorPeers": (
        {"setAnchorPeers": {"mspID": ORG1, "anchorPeers": [{"host": "peer9", "port": 7051}]}},
        {"n": 1, "of": [ORG1]},
        "/Channel/Application/Org1/AnchorPeers",
    ),
    "setOrganizationMSP": (
        {"setOrganizationMSP": {"mspID": ORG2, "tlsRootCerts": [authority(ORG1).pem.decode()]}},
        {"n": 1, "of": [ORG2]},
        "/Channel/Application/Org2/MSP",
    ),
    "setOrdererEndpoints": (
        {"setOrdererEndpoints": {"mspID": ORDERER, "endpoints": ["orderer1:7050", "orderer2:7050"]}},
        {"n": 1, "of": [ORDERER]},
        "/Channel/Orderer/Orderers/Endpoints",
    ),
    "addConsenter": ({"addConsenter": consenter(4)}, {"n": 1, "of": [ORDERER]}, "/Channel/Orderer/ConsensusType"),
    "removeConsenter": (
        {"removeConsenter": {"host": "orderer3", "port": 7050}},
        {"n": 1, "of": [ORDERER]},
        "/Channel/Orderer/ConsensusType",
    ),
    "replaceConsenterCertificates": (
        {
            "replaceConsenterCertificates": {
                "host": "orderer3",
                "port": 7050,
                "serverTlsCert": consenter(4)["serverTlsCert"],
            }
        },
        {"n": 1, "of": [ORDERER]},
        "/Channel/Orderer/ConsensusType",
    ),
    "setBatch": (
        {"setBatch": {"timeout": "1s", "maxMessageCount": 7}},
        {"n": 1, "of": [ORDERER]},
        "/Channel/Orderer/BatchSize",
    ),
    "setRaftOptions": (
        {"setRaftOptions": {"electionTick": 20}},
        {"n": 1, "of": [ORDERER]},
        "/Channel/Orderer/ConsensusType",
    ),
    "setCapability": (
        {"setCapability": {"section": "Application", "level": "V2_5"}},
        MAJORITY,
        "/Channel/Application/Capabilities",
    ),
    "setPolicy": (
        {"setPolicy": {"path": "/Channel/Application/Endorsement", "rule": "ANY Endorsement"}},
        MAJORITY,
        "/Channel/Application/Endorsement",
    ),
    "setModPolicy": (
        {"setModPolicy": {"path": "/Channel/Application/ACLs", "modPolicy": "/Channel/Application/Writers"}},
        MAJORITY,
        "/Channel/Application/ACLs",
    ),
    "setACL": (
        {"setACL": {"resource": "qscc/GetChainInfo", "policy": "/Channel/Application/Writers"}},
        MAJORITY,
        "/Channel/Application/ACLs",
    ),
    "setMaintenance": (
        {"setMaintenance": {"enabled": True}},
        {"n": 1, "of": [ORDERER]},
        "/Channel/Orderer/ConsensusType",
    ),
}
NEWER: dict[str, Any] = {
    "changes": [{"type": "setCapability", "setCapability": {"section": "Channel", "level": "V3_0"}}]
}
"""What peers of Fabric 2.5 stop at."""
IN_A_CONFIG_MAP = {"configMapRef": {"name": "org4"}}
RECIPE: dict[str, Any] = {
    "members": [{"mspID": ORG1, "definitionFrom": {"inline": definition(ORG1)}}],
    "orderers": [
        {
            "mspID": ORG1,
            "definitionFrom": {"inline": definition(ORG1)},
            "endpoints": ["orderer1:7050"],
            "consenters": [{name: value for name, value in consenter(1, ORG1).items() if name != "mspID"}],
        }
    ],
}


def stated(name: str) -> dict[str, Any]:
    """A change as a manifest has it."""
    ((kind, fields),) = EVERY_CHANGE[name][0].items()
    fields = dict(fields)
    if "definition" in fields:
        fields["definitionFrom"] = {"inline": fields.pop("definition")}
    return {"type": kind, kind: fields}


def spec(**fields: Any) -> ChannelProposalSpec:
    return ChannelProposalSpec.model_validate({"channel": channel.CHANNEL, **fields})


def leaving(msp_id: str) -> dict[str, Any]:
    """What a manifest says that removes a member from the Application section."""
    removed = {"mspID": msp_id, "groups": ["Application"]}
    return {"changes": [{"type": "removeOrganization", "removeOrganization": removed}]}

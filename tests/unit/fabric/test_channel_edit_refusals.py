"""Wishes for a channel config that make no sense."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fabric_protos.common import configtx_pb2
from unit.fabric.authority import authority
from unit.fabric.channel import (
    build,
    consenter,
)

from fabric_admin.channelconfig import Address, edits
from fabric_admin.errors import ConfigError

Config = configtx_pb2.Config
Edit = Callable[[Config], Config]

REFUSED: list[tuple[str, Edit, str, str]] = [
    (
        "member-already",
        lambda config: edits.add_organization(config, authority("Org2MSP").config(), name="Other"),
        "Org2MSP is a member already, as /Channel/Application/Org2",
        "/Channel/Application/Org2",
    ),
    (
        "name-taken",
        lambda config: edits.add_organization(config, authority("Org4MSP").config(), name="Org2"),
        "/Channel/Application/Org2 exists already, for another organization",
        "/Channel/Application/Org2",
    ),
    (
        "bad-name",
        lambda config: edits.add_organization(config, authority("Org4MSP").config(), name="../Org4"),
        "config ID '../Org4' contains illegal characters",
        "",
    ),
    (
        "unknown-section",
        lambda config: edits.add_organization(config, authority("Org4MSP").config(), sections=["Consortium"]),
        "there is no section Consortium; it is one of Application, Orderer",
        "/Channel",
    ),
    (
        "no-section",
        lambda config: edits.add_organization(config, authority("Org4MSP").config(), sections=[]),
        "at least one section",
        "/Channel",
    ),
    (
        "orderer-without-endpoints",
        lambda config: edits.add_organization(config, authority("Org4MSP").config(), sections=["Orderer"]),
        r"some orderer organizations endpoints are empty: \[Org4MSP\]",
        "/Channel/Orderer/Org4MSP/Endpoints",
    ),
    (
        "no-member-to-remove",
        lambda config: edits.remove_organization(config, "Org9MSP"),
        "Org9MSP is no member of /Channel/Application; add it first",
        "/Channel/Application",
    ),
    (
        "last-orderer-organization",
        lambda config: edits.remove_organization(config, "OrdererMSP", sections=["Orderer"]),
        "OrdererMSP is the last organization of /Channel/Orderer",
        "/Channel/Orderer/Orderers",
    ),
    (
        "anchor-port",
        lambda config: edits.set_anchor_peers(config, "Org1MSP", [Address("peer1", 70_000)]),
        "port 70000 of peer1 is not within 1..65535",
        "/Channel/Application/Org1/AnchorPeers",
    ),
    (
        "anchor-host",
        lambda config: edits.set_anchor_peers(config, "Org1MSP", [Address("peer 1", 7051)]),
        "'peer 1' is no host name",
        "/Channel/Application/Org1/AnchorPeers",
    ),
    (
        "endpoint",
        lambda config: edits.set_orderer_endpoints(config, "OrdererMSP", ["orderer1"]),
        "'orderer1' is no address: it must be host:port",
        "/Channel/Orderer/Orderers/Endpoints",
    ),
    (
        "no-endpoints-in-v3",
        lambda config: edits.set_orderer_endpoints(config, "OrdererMSP", []),
        "some orderer organizations endpoints are empty",
        "/Channel/Orderer/Orderers/Endpoints",
    ),
    (
        "msp-without-roots",
        lambda config: edits.set_organization_msp(config, "Org1MSP", root_certs=[]),
        "expected at least one CA certificate",
        "/Channel/Application/Org1",
    ),
    (
        "msp-nothing",
        lambda config: edits.set_organization_msp(config, "Org1MSP"),
        "nothing of the MSP of Org1MSP is to be changed",
        "/Channel",
    ),
    (
        "msp-of-a-stranger",
        lambda config: edits.set_organization_msp(config, "Org9MSP", admins=[]),
        "Org9MSP is no member of the channel",
        "/Channel",
    ),
    (
        "consenter-twice",
        lambda config: edits.add_consenter(config, consenter(2)),
        "consenter orderer2:7050 exists already",
        "/Channel/Orderer/ConsensusType",
    ),
    (
        "consenter-unknown",
        lambda config: edits.remove_consenter(config, Address("orderer9", 7050)),
        "there is no consenter orderer9:7050; there are orderer1:7050, orderer2:7050, orderer3:7050",
        "/Channel/Orderer/ConsensusType",
    ),
    (
        "no-certificates",
        lambda config: edits.replace_consenter_certificates(config, Address("orderer1", 7050)),
        "no certificate of consenter orderer1:7050 is to be replaced",
        "/Channel/Orderer/ConsensusType",
    ),
    (
        "batch-of-nothing",
        lambda config: edits.set_batch(config, max_message_count=0),
        "batch size max message count to an invalid value: 0",
        "/Channel/Orderer/BatchSize",
    ),
    (
        "batch-beyond-uint32",
        lambda config: edits.set_batch(config, absolute_max_bytes=1 << 32),
        "absolute_max_bytes 4294967296 is not within",
        "/Channel/Orderer/BatchSize",
    ),
    (
        "batch-timeout",
        lambda config: edits.set_batch(config, timeout="soon"),
        'batch timeout to a invalid value: time: invalid duration "soon"',
        "/Channel/Orderer/BatchTimeout",
    ),
    (
        "raft-ticks",
        lambda config: edits.set_raft_options(config, heartbeat_tick=10),
        r"ElectionTick \(10\) must be greater than HeartbeatTick \(10\)",
        "/Channel/Orderer/ConsensusType",
    ),
    (
        "capability-section",
        lambda config: edits.set_capability(config, "Peers", "V2_0"),
        "there is no section Peers",
        "/Channel",
    ),
    (
        "policy-text",
        lambda config: edits.set_policy(config, "/Channel/Application/Admins", "MOST Admins"),
        "/Channel/Application/Admins: invalid signature policy rule 'MOST Admins'",
        "/Channel/Application/Admins",
    ),
    (
        "policy-path",
        lambda config: edits.set_policy(config, "/Channel/Nothing/Admins", "ANY Admins"),
        "there is no group /Channel/Nothing",
        "/Channel/Nothing",
    ),
    (
        "mod-policy-path",
        lambda config: edits.set_mod_policy(config, "/Channel/Application/Nothing", "Admins"),
        "there is no such element",
        "/Channel/Application/Nothing",
    ),
    (
        "mod-policy-characters",
        lambda config: edits.set_mod_policy(config, "/Channel/Application/ACLs", "Some_One"),
        "config ID 'Some_One' contains illegal characters",
        "/Channel/Application/ACLs",
    ),
    (
        "no-such-acl",
        lambda config: edits.set_acl(config, "qscc/Nothing", None),
        "there is no ACL for qscc/Nothing",
        "/Channel/Application/ACLs",
    ),
]


@pytest.mark.parametrize(
    ("edit", "reason", "element"),
    [pytest.param(edit, reason, element, id=name) for name, edit, reason, element in REFUSED],
)
def test_a_wish_that_makes_no_sense_is_refused_with_element_and_reason(edit: Edit, reason: str, element: str) -> None:
    with pytest.raises(ConfigError, match=reason) as refused:
        edit(build())
    assert refused.value.element == element

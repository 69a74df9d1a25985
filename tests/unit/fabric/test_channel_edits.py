"""Edits of a channel config, and the config each of them leads to."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fabric_protos.common import configtx_pb2
from fabric_protos.msp import msp_config_pb2
from unit.fabric.authority import Authority, authority
from unit.fabric.channel import (
    BFT_PROFILE,
    CHANNEL,
    MEMBERS,
    NOW,
    OLD_PROFILE,
    ORDERERS,
    admins,
    build,
    consenter,
    envelope,
    load,
)

from fabric_admin.channelconfig import Address, Kind, compute_update, diff, edits
from fabric_admin.channelconfig.bft import block_validation_policy, quorum
from fabric_admin.errors import ConfigError

Config = configtx_pb2.Config
Edit = Callable[[Config], Config]

NEW = consenter(7)
EVERY_EDIT: list[tuple[str, Edit, tuple[str, ...], str]] = [
    (
        "add-organization",
        lambda config: edits.add_organization(
            config, authority("Org4MSP").config(), name="Org4", anchor_peers=[Address("peer4", 7051)]
        ),
        MEMBERS[:2],
        "+ /Channel/Application/Org4: organization Org4MSP",
    ),
    (
        "add-orderer-organization",
        lambda config: edits.add_organization(
            config, authority("Org4MSP").config(), sections=["Orderer"], orderer_endpoints=["orderer4:7050"]
        ),
        ORDERERS,
        "+ /Channel/Orderer/Org4MSP: organization Org4MSP",
    ),
    (
        "remove-organization",
        lambda config: edits.remove_organization(config, "Org3MSP"),
        MEMBERS[:2],
        "- /Channel/Application/Org3: organization Org3MSP",
    ),
    (
        "anchor-peers",
        lambda config: edits.set_anchor_peers(config, "Org2MSP", [Address("peer9", 7051)]),
        ("Org2MSP",),
        "+ /Channel/Application/Org2/AnchorPeers anchor peer peer9:7051",
    ),
    (
        "no-anchor-peers",
        lambda config: edits.set_anchor_peers(config, "Org2MSP", []),
        ("Org2MSP",),
        "- /Channel/Application/Org2/AnchorPeers: anchor peer peer2:7051",
    ),
    (
        "organization-msp",
        lambda config: edits.set_organization_msp(
            config, "Org2MSP", root_certs=[authority("Org2MSP").pem, Authority("Org2MSP").pem]
        ),
        ("Org2MSP",),
        "+ /Channel/Application/Org2/MSP root certificate CN=ca.Org2MSP sha256:",
    ),
    (
        "orderer-endpoints",
        lambda config: edits.set_orderer_endpoints(config, "OrdererMSP", ["orderer1:7050", "orderer2:7050"]),
        ORDERERS,
        "+ /Channel/Orderer/Orderers/Endpoints orderer orderer2:7050",
    ),
    (
        "add-consenter",
        lambda config: edits.add_consenter(config, NEW),
        ORDERERS,
        "+ /Channel/Orderer/ConsensusType consenter orderer7:7050: TLS client sha256:",
    ),
    (
        "remove-consenter",
        lambda config: edits.remove_consenter(config, Address("orderer2", 7050)),
        ORDERERS,
        "- /Channel/Orderer/ConsensusType consenter orderer2:7050: TLS client sha256:",
    ),
    (
        "consenter-certificates",
        lambda config: edits.replace_consenter_certificates(
            config,
            Address("orderer1", 7050),
            client_tls_cert=NEW.client_tls_cert,
            server_tls_cert=NEW.server_tls_cert,
        ),
        ORDERERS,
        "~ /Channel/Orderer/ConsensusType consenter orderer1:7050: TLS client sha256:",
    ),
    (
        "batch",
        lambda config: edits.set_batch(config, timeout="1s"),
        ORDERERS,
        "~ /Channel/Orderer/BatchTimeout timeout: 2s -> 1s",
    ),
    (
        "raft-options",
        lambda config: edits.set_raft_options(config, election_tick=20),
        ORDERERS,
        "~ /Channel/Orderer/ConsensusType election_tick: 10 -> 20",
    ),
    (
        "policy",
        lambda config: edits.set_policy(config, "/Channel/Application/LifecycleEndorsement", "ALL Endorsement"),
        MEMBERS[:2],
        "~ /Channel/Application/LifecycleEndorsement: MAJORITY Endorsement -> ALL Endorsement",
    ),
    (
        "new-policy",
        lambda config: edits.set_policy(config, "/Channel/Application/Auditors", "OR('Org1MSP.admin')"),
        MEMBERS[:2],
        "+ /Channel/Application/Auditors: OR('Org1MSP.admin')",
    ),
    (
        "remove-policy",
        lambda config: edits.remove_policy(config, "/Channel/Application/Org1/Endorsement"),
        ("Org1MSP",),
        "- /Channel/Application/Org1/Endorsement: OR('Org1MSP.peer')",
    ),
    (
        "mod-policy",
        lambda config: edits.set_mod_policy(config, "/Channel/Application/ACLs", "/Channel/Orderer/Admins"),
        MEMBERS[:2],
        "~ /Channel/Application/ACLs mod_policy: Admins -> /Channel/Orderer/Admins",
    ),
    (
        "acl",
        lambda config: edits.set_acl(config, "qscc/GetChainInfo", "Readers"),
        MEMBERS[:2],
        "+ /Channel/Application/ACLs qscc/GetChainInfo: Readers",
    ),
    (
        "acl-back-to-default",
        lambda config: edits.set_acl(config, "peer/Propose", None),
        MEMBERS[:2],
        "- /Channel/Application/ACLs peer/Propose: /Channel/Application/Writers",
    ),
    (
        "maintenance",
        lambda config: edits.set_maintenance(config, on=True),
        ORDERERS,
        "~ /Channel/Orderer/ConsensusType state: STATE_NORMAL -> STATE_MAINTENANCE",
    ),
]


@pytest.mark.parametrize(
    ("edit", "signers", "line"),
    [pytest.param(edit, signers, line, id=name) for name, edit, signers, line in EVERY_EDIT],
)
def test_an_edit_gives_a_config_orderers_accept_with_the_right_signatures_and_no_others(
    edit: Edit, signers: tuple[str, ...], line: str
) -> None:
    original = build()
    before = original.SerializeToString(deterministic=True)

    edited = edit(original)

    update = compute_update(CHANNEL, original, edited)
    assert original.SerializeToString(deterministic=True) == before
    assert any(each.startswith(line) for each in diff(original, edited)), diff(original, edited)
    result = load(original).propose(envelope(original, edited, admins(*signers)), now=NOW)
    assert diff(edited, result) == ()
    assert not load(original).forecast(update, (), now=NOW).accepted


def test_raising_a_capability_needs_both_sides_of_the_channel() -> None:
    original = build(OLD_PROFILE)

    edited = edits.set_capability(original, "Channel", "V3_0")

    assert diff(original, edited) == ("- /Channel/Capabilities V2_0", "+ /Channel/Capabilities V3_0")
    everyone = admins("Org1MSP", "Org2MSP", "OrdererMSP")
    assert load(original).propose(envelope(original, edited, everyone), now=NOW).sequence == 1


def test_an_orderer_that_is_added_to_bft_is_counted_in_the_quorum() -> None:
    original = build(BFT_PROFILE)

    edited = edits.add_consenter(original, consenter(5))

    orderer = edited.channel_group.groups["Orderer"]
    mapping = load(edited).consenters
    assert [each.id for each in mapping] == [1, 2, 3, 4, 5]
    assert orderer.policies["BlockValidation"].policy == block_validation_policy(mapping)
    assert load(original).propose(envelope(original, edited, admins("OrdererMSP")), now=NOW).sequence == 1
    assert edits.remove_consenter(edited, Address("orderer5", 7050)) == original


@pytest.mark.parametrize(
    ("consenters", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 4), (6, 4), (7, 5), (10, 7)], ids=str
)
def test_a_bft_quorum_outweighs_every_faulty_third(consenters: int, needed: int) -> None:
    assert quorum(consenters) == needed


def test_an_organization_in_both_sections_changes_its_msp_in_both() -> None:
    both = edits.add_organization(
        build(), authority("Org1MSP").config(), sections=["Orderer"], orderer_endpoints=["orderer1.org1:7050"]
    )

    edited = edits.set_organization_msp(both, "Org1MSP", fabric_node_ous=_other_units())

    assert len(load(edited).orderer_organizations) == 2
    changed = [line.split(" ")[1] for line in diff(both, edited)]
    assert changed == ["/Channel/Application/Org1/MSP", "/Channel/Orderer/Org1MSP/MSP"]


def _other_units() -> msp_config_pb2.FabricNodeOUs:
    config = authority("Org1MSP").config()
    units = msp_config_pb2.FabricMSPConfig.FromString(config.config).fabric_node_ous
    units.client_ou_identifier.organizational_unit_identifier = "customer"
    return units


def test_a_kind_tells_elements_of_one_path_apart() -> None:
    original = build()
    twin = configtx_pb2.ConfigPolicy(mod_policy="Admins")
    twin.policy.CopyFrom(original.channel_group.groups["Application"].policies["Admins"].policy)
    original.channel_group.groups["Application"].policies["ACLs"].CopyFrom(twin)

    with pytest.raises(ConfigError, match="several elements have that path"):
        edits.set_mod_policy(original, "/Channel/Application/ACLs", "Writers")
    edited = edits.set_mod_policy(original, "/Channel/Application/ACLs", "Writers", kind=Kind.VALUE)

    application = edited.channel_group.groups["Application"]
    assert (application.values["ACLs"].mod_policy, application.policies["ACLs"].mod_policy) == ("Writers", "Admins")


def test_an_edit_that_changes_nothing_leaves_every_byte_alone() -> None:
    original = build()

    assert edits.set_batch(original, timeout="2s") == original
    assert edits.set_anchor_peers(original, "Org1MSP", [Address("peer1", 7051)]) == original
    assert diff(original, original) == ()

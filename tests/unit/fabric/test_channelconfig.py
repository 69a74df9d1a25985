from __future__ import annotations

from dataclasses import replace

import pytest
from fabric_protos.common import common_pb2, configtx_pb2, policies_pb2
from fabric_protos.msp import msp_config_pb2
from fabric_protos.peer import policy_pb2
from hypothesis import given
from hypothesis import strategies as st
from unit.fabric.authority import authority

from fabric_admin import blocks, genesis, policy
from fabric_admin.channelconfig import LIFECYCLE_ENDORSEMENT, ChannelConfig, policy_rule
from fabric_admin.errors import BlockError, ConfigError, InvalidInput, PolicyNotSatisfied
from fabric_admin.genesis import Address, ApplicationOrganization, Consenter, OrdererOrganization, Profile
from fabric_admin.policy import NOutOf, SignedData

ORDERER = authority("OrdererMSP")
PROFILE = Profile(
    channel_id="ops-channel",
    organizations=tuple(
        ApplicationOrganization(
            f"Organization{number}", authority(f"Org{number}MSP").config(), (Address(f"peer{number}", 7051),)
        )
        for number in (1, 2, 3)
    ),
    orderers=(OrdererOrganization("Orderers", ORDERER.config(), ("orderer:7050",)),),
    consenters=(Consenter(Address("orderer", 7050), ORDERER.pem, ORDERER.pem),),
)


def _config(profile: Profile = PROFILE) -> ChannelConfig:
    return ChannelConfig.from_block(genesis.build(profile))


def _changed(edit: object) -> ChannelConfig:
    """The channel's config after an edit of its groups."""
    _, envelope = blocks.config_envelope(genesis.build(PROFILE))
    assert callable(edit)
    edit(envelope.config.channel_group)
    return ChannelConfig.from_config(envelope.config, "ops-channel")


def test_a_channel_says_who_its_members_and_orderers_are() -> None:
    config = _config()

    assert (config.channel_id, config.sequence) == ("ops-channel", 0)
    assert config.members == ("Org1MSP", "Org2MSP", "Org3MSP")
    assert config.orderer_members == ("OrdererMSP",)
    assert config.organizations["Organization2"].anchor_peers == (Address("peer2", 7051),)
    assert config.tls_root_certs("Org2MSP") == (authority("Org2MSP").pem,)
    assert [(each.address, each.msp_id, each.tls_root_certs) for each in config.orderer_endpoints] == [
        ("orderer:7050", "OrdererMSP", (ORDERER.pem,))
    ]
    assert config.consenters == PROFILE.consenters
    assert config.batch == PROFILE.batch


def test_an_organization_that_is_no_member_has_no_certificates_here() -> None:
    with pytest.raises(ConfigError, match="Org9MSP is not a member of channel ops-channel"):
        _config().tls_root_certs("Org9MSP")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        pytest.param("MAJORITY Endorsement", NOutOf(2, ("Org1MSP", "Org2MSP", "Org3MSP")), id="majority"),
        pytest.param("ALL Endorsement", NOutOf(3, ("Org1MSP", "Org2MSP", "Org3MSP")), id="all"),
        pytest.param("ANY Endorsement", NOutOf(1, ("Org1MSP", "Org2MSP", "Org3MSP")), id="any"),
        pytest.param("MAJORITY NoSuchPolicy", NOutOf(2, ()), id="sub-policy-nobody-has"),
        pytest.param("OR('Org1MSP.peer', 'Org1MSP.admin')", NOutOf(1, ("Org1MSP",)), id="one-organization"),
        pytest.param(
            "OutOf(2, 'Org1MSP.peer', 'Org2MSP.peer', 'Org9MSP.peer')", NOutOf(2, ("Org1MSP", "Org2MSP")), id="stranger"
        ),
        pytest.param(
            "AND('Org1MSP.peer', OR('Org2MSP.peer', 'Org3MSP.peer'))",
            NOutOf(2, ("Org1MSP", NOutOf(1, ("Org2MSP", "Org3MSP")))),
            id="nested",
        ),
    ],
)
def test_the_lifecycle_policy_becomes_a_rule_over_organizations(text: str, rule: NOutOf) -> None:
    config = _config(replace(PROFILE, lifecycle_endorsement=text))

    assert config.organization_rule() == rule
    assert config.policy_text(LIFECYCLE_ENDORSEMENT) == text


def test_without_a_lifecycle_policy_a_majority_of_members_is_asked() -> None:
    config = _changed(lambda group: group.groups["Application"].policies.pop("LifecycleEndorsement"))

    assert config.organization_rule() == NOutOf(2, ("Org1MSP", "Org2MSP", "Org3MSP"))
    with pytest.raises(ConfigError, match="no policy /Channel/Application/Nothing"):
        config.organization_rule("/Channel/Application/Nothing")


def test_a_policy_that_needs_several_people_of_one_organization_is_refused_with_its_text() -> None:
    config = _config(replace(PROFILE, lifecycle_endorsement="AND('Org1MSP.peer', 'Org1MSP.admin')"))

    with pytest.raises(ConfigError, match=r"AND\('Org1MSP.peer', 'Org1MSP.admin'\)"):
        config.organization_rule()


@pytest.mark.parametrize(
    ("parameter", "rule"),
    [
        pytest.param(policy_pb2.ApplicationPolicy(), NOutOf(2, ("Org1MSP", "Org2MSP", "Org3MSP")), id="default"),
        pytest.param(
            policy_pb2.ApplicationPolicy(channel_config_policy_reference="/Channel/Application/Writers"),
            NOutOf(1, ("Org1MSP", "Org2MSP", "Org3MSP")),
            id="reference",
        ),
        pytest.param(
            policy_pb2.ApplicationPolicy(signature_policy=policy.parse("OR('Org3MSP.peer')")),
            NOutOf(1, ("Org3MSP",)),
            id="signature-policy",
        ),
    ],
)
def test_a_chaincodes_endorsement_policy_becomes_a_rule(parameter: policy_pb2.ApplicationPolicy, rule: NOutOf) -> None:
    assert policy_rule(_config(), parameter.SerializeToString()) == rule


def test_policies_of_the_channel_are_evaluated_by_path() -> None:
    config = _config()
    admins = [authority(f"Org{number}MSP").issue("admin") for number in (1, 2)]
    signed = [SignedData(b"update", each.creator, each.sign(b"update")) for each in admins]

    config.policies.evaluate("/Channel/Application/Admins", signed)
    with pytest.raises(PolicyNotSatisfied, match="1 sub-policies were satisfied, but this policy requires 2"):
        config.policies.evaluate("/Channel/Application/Admins", signed[:1])


def _group(group: configtx_pb2.ConfigGroup, *path: str) -> configtx_pb2.ConfigGroup:
    for name in path:
        group = group.groups[name]
    return group


@pytest.mark.parametrize(
    ("edit", "reason", "element"),
    [
        pytest.param(
            lambda group: setattr(_group(group, "Application", "Organization1").values["MSP"], "value", b"\xff"),
            "could not create channel Application sub-group config: failed to deserialize values: proto:",
            "/Channel/Application/Organization1/MSP",
            id="msp-bytes",
        ),
        pytest.param(
            lambda group: _group(group, "Application", "Organization1").values.pop("MSP"),
            "expected at least one CA certificate",
            "/Channel/Application/Organization1",
            id="no-msp",
        ),
        pytest.param(
            lambda group: _group(group, "Application", "Organization1").groups["Sub"].SetInParent(),
            "does not allow sub-groups",
            "/Channel/Application/Organization1",
            id="sub-group",
        ),
        pytest.param(
            lambda group: _group(group, "Application").policies["Admins"].policy.CopyFrom(policies_pb2.Policy(type=7)),
            "policy Admins at path Channel/Application has unknown policy type: 7",
            "/Channel/Application/Admins",
            id="policy-type",
        ),
        pytest.param(
            lambda group: setattr(_group(group, "Orderer").values["BatchTimeout"], "value", b"\n\x03abc"),
            'time: invalid duration "abc"',
            "/Channel/Orderer/BatchTimeout",
            id="batch-timeout",
        ),
        pytest.param(
            lambda group: setattr(_group(group, "Orderer").values["BatchSize"], "value", b""),
            "batch size max message count to an invalid value: 0",
            "/Channel/Orderer/BatchSize",
            id="batch-size",
        ),
    ],
)
def test_a_config_that_makes_no_sense_is_refused_by_naming_the_element(edit: object, reason: str, element: str) -> None:
    with pytest.raises(ConfigError, match=reason) as refused:
        _changed(edit)
    assert refused.value.element == element


def test_one_organization_may_have_two_groups_but_not_two_definitions() -> None:
    twin = ApplicationOrganization("Twin", authority("Org1MSP").config())
    both = replace(PROFILE, organizations=(*PROFILE.organizations, twin))
    without_tls = msp_config_pb2.FabricMSPConfig.FromString(twin.msp.config)
    without_tls.ClearField("tls_root_certs")
    other = replace(twin, msp=msp_config_pb2.MSPConfig(config=without_tls.SerializeToString()))

    assert _config(both).members == ("Org1MSP", "Org2MSP", "Org3MSP")
    with pytest.raises(ConfigError, match="two different versions of MSP: Org1MSP"):
        _config(replace(PROFILE, organizations=(*PROFILE.organizations, other)))


def test_a_block_of_transactions_is_no_config_block() -> None:
    with pytest.raises(BlockError, match="block 7 is not a config block"):
        ChannelConfig.from_block(common_pb2.Block(header=common_pb2.BlockHeader(number=7)))


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@given(st.data())
def test_a_damaged_config_block_gives_a_typed_error_or_a_config(data: st.DataObject) -> None:
    block = genesis.build(PROFILE)
    damaged = bytearray(block.data.data[0])
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    block.data.data[0] = bytes(damaged)

    try:
        config = ChannelConfig.from_block(block)
    except InvalidInput:
        return
    assert isinstance(config.members, tuple)

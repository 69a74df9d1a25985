"""What changes amount to: the update orderers would take, the organizations that must agree, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fabric_protos.msp import msp_config_pb2
from fabric_protos.orderer import configuration_pb2 as orderer_pb2
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.fabric import channel
from unit.fabric.authority import authority
from unit.fabric.channel import NOW, admins
from unit.operator_channels.changes import (
    ADDED,
    EVERY_CHANGE,
    NEWER,
    ORDERER,
    ORG1,
    ORG2,
    ORG3,
    changes,
    config,
    consenter,
    definition,
)

from fabric_admin import channelconfig
from fabric_admin.capabilities import Line
from fabric_admin.channelconfig import ChannelConfig
from opssc_chaincode.model import OrganizationDefinition, Rule, change_types
from opssc_operator.domain.channels.application import ChangeRefused
from opssc_operator.domain.channels.definitions import build_msp, read_definition
from opssc_operator.domain.channels.delta import Delta, compute_delta, judge_update, same_update


def delta_of(*given: dict[str, Any], on: ChannelConfig | None = None, governance: bool = False) -> Delta:
    return compute_delta(on or config(), changes(*given), governance=governance, at=NOW)


EXPIRED = authority(ORDERER).issue("orderer", until=NOW - timedelta(days=1)).certificate_pem.decode()
APART = {"setCapability", "replaceConsenterCertificates", "setMaintenance"}
"""Changes that not every other one leaves anything to do for, or that orderers take only alone."""


def test_every_change_has_a_case() -> None:
    assert set(EVERY_CHANGE) == set(change_types())


@pytest.mark.parametrize("name", EVERY_CHANGE)
def test_a_change_becomes_an_update_with_its_rule_and_its_lines(name: str) -> None:
    change, rule, line = EVERY_CHANGE[name]
    start = config(channel.OLD_PROFILE) if name == "setCapability" else config()

    delta = delta_of(change, on=start)

    assert delta.rule == Rule.model_validate_json(json.dumps(rule))
    assert any(shown[2:].startswith(line) for shown in delta.lines), delta.lines


OLD, BATCH = config(channel.OLD_PROFILE), {"setBatch": {"maxMessageCount": 7}}
RAISED = {"setCapability": NEWER["changes"][0]["setCapability"]}


@pytest.mark.parametrize(
    ("change", "on", "line"),
    [
        pytest.param(RAISED, OLD, Line.FABRIC_3, id="newer-level"),
        pytest.param(EVERY_CHANGE["setCapability"][0], OLD, Line.FABRIC_2_5, id="level-that-all-know"),
        pytest.param(BATCH, OLD, Line.FABRIC_2_5, id="another-change"),
        pytest.param(BATCH, config(), Line.FABRIC_2_5, id="the-channel-has-the-newer-level"),
    ],
)
def test_what_an_update_brings_says_which_releases_take_it(
    change: dict[str, Any], on: ChannelConfig, line: Line
) -> None:
    assert delta_of(change, on=on).line is line


def test_blocks_of_bft_take_newer_releases_as_well() -> None:
    # Given: etcdraft in maintenance mode
    start = channel.load(channelconfig.edits.set_maintenance(OLD.config, on=True))
    consenters = tuple(channel.consenter(number) for number in (1, 2, 3))
    bft = channel.build(replace(channel.BFT_PROFILE, consenters=consenters)).channel_group.groups["Orderer"]
    updated = channelconfig.edits.tree.copy(start.config)
    orderer = updated.channel_group.groups["Orderer"]
    for name in ("Orderers", "ConsensusType"):
        orderer.values[name].CopyFrom(bft.values[name])
    orderer.policies["BlockValidation"].policy.CopyFrom(bft.policies["BlockValidation"].policy)
    consensus = orderer_pb2.ConsensusType.FromString(orderer.values["ConsensusType"].value)
    consensus.state = orderer_pb2.ConsensusType.STATE_MAINTENANCE
    orderer.values["ConsensusType"].value = consensus.SerializeToString()
    update = channelconfig.compute_update(channel.CHANNEL, start.config, updated).SerializeToString(deterministic=True)

    # When
    delta = judge_update(start, update, governance=False, at=NOW)

    # Then
    assert delta.line is Line.FABRIC_3


@pytest.mark.parametrize("name", EVERY_CHANGE)
def test_an_orderer_takes_the_update_when_the_rule_agrees(name: str) -> None:
    change, _, _ = EVERY_CHANGE[name]
    start = config(channel.OLD_PROFILE) if name == "setCapability" else config()
    delta = delta_of(change, on=start)
    agreeing = delta.rule.missing((), start.all_members)
    assert agreeing
    signatures = [channelconfig.sign(each, delta.update) for each in admins(*sorted(agreeing))]
    too_few = start.forecast(delta.update, signatures[1:], now=NOW)

    forecast = start.forecast(delta.update, signatures, now=NOW)

    assert forecast.accepted, forecast.refusal
    assert not too_few.accepted


def test_several_changes_are_one_update_and_all_their_policies_decide() -> None:
    delta = delta_of(
        EVERY_CHANGE["setAnchorPeers"][0], EVERY_CHANGE["setBatch"][0], EVERY_CHANGE["setPolicy"][0], ADDED
    )

    assert set(delta.rule.leaves()) == {ORG1, ORG2, ORG3, ORDERER}
    assert not delta.rule.satisfied({ORG1, ORG2})
    assert not delta.rule.satisfied({ORG2, ORG3, ORDERER})
    assert delta.rule.satisfied({ORG1, ORG2, ORDERER})


def test_changes_build_on_each_other() -> None:
    anchors = {"setAnchorPeers": {"mspID": "Org4MSP", "anchorPeers": [{"host": "peer4", "port": 7051}]}}

    delta = delta_of(ADDED, anchors)

    updated = channel.load(config().updated_by(delta.update))
    assert [str(each) for each in updated.organization("Org4MSP").anchor_peers] == ["peer4:7051"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param([{"removeOrganization": {"mspID": "Org9MSP"}}], "Org9MSP is no member", id="unknown member"),
        pytest.param(
            [{"addOrganization": {"mspID": ORG2, "definition": definition(ORG2)}}], "member already", id="member twice"
        ),
        pytest.param([ADDED, ADDED], "changes[1].addOrganization", id="added twice"),
        pytest.param(
            [{"addOrganization": {"mspID": "Org4MSP", "definition": {"rootCerts": ["-----BEGIN X-----"]}}}],
            "changes[0].addOrganization",
            id="unparsable certificate",
        ),
        pytest.param(
            [{"removeConsenter": {"host": f"orderer{number}", "port": 7050}} for number in (1, 2, 3)],
            "last consenter",
            id="the last consenter",
        ),
        pytest.param(
            [{"addConsenter": consenter(number)} for number in (4, 5)],
            "/Channel/Orderer/ConsensusType: update of more than one consenter at a time is not supported",
            id="two consenters at once",
        ),
        pytest.param(
            [{"addConsenter": {**consenter(4), "host": "orderer2"}}],
            "changes[0].addConsenter: consenter orderer2:7050 exists already",
            id="an endpoint twice",
        ),
        pytest.param(
            [{"addConsenter": {**consenter(4), "serverTlsCert": authority("StrangerMSP").pem.decode()}}],
            "consenter orderer4:7050 has invalid certificate: verifying tls server cert",
            id="a foreign certificate",
        ),
        pytest.param(
            [{"replaceConsenterCertificates": {"host": "orderer2", "port": 7050, "clientTlsCert": EXPIRED}}],
            "consenter orderer2:7050 has invalid certificates: verifying tls client cert",
            id="an expired certificate",
        ),
        pytest.param(
            [{"setCapability": {"section": "Application", "level": "V9_9"}}], "panics", id="unknown capability"
        ),
        pytest.param(
            [{"setPolicy": {"path": "/Channel/Application/Admins", "rule": "MAJORITY Nobodies"}}],
            "/Channel/Application/Admins",
            id="a policy nobody can satisfy",
        ),
        pytest.param(
            [{"setPolicy": {"path": "/Channel/Application/Admins", "rule": "MAJORITY Admins"}}],
            "has all of this already",
            id="nothing new",
        ),
    ],
)
def test_what_cannot_or_must_not_be_done_is_refused_by_name(given: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(ChangeRefused) as refused:
        delta_of(*given)

    assert said in str(refused.value)


def test_maintenance_is_refused_where_the_consortium_votes() -> None:
    with pytest.raises(ChangeRefused, match="setMaintenance"):
        delta_of(EVERY_CHANGE["setMaintenance"][0], governance=True)


@pytest.mark.parametrize("name", ["addConsenter", "removeConsenter", "replaceConsenterCertificates"])
def test_a_change_of_the_bft_mapping_takes_its_quorum_along(name: str) -> None:
    start = config(channel.BFT_PROFILE)
    third = {"host": "orderer3", "port": 7050}
    fields = {
        "addConsenter": consenter(5),
        "removeConsenter": third,
        "replaceConsenterCertificates": {**third, "identity": consenter(5)["identity"]},
    }

    delta = delta_of({name: fields[name]}, on=start)

    assert delta.rule == Rule(n=1, of=(ORDERER,))
    changed = {line[2:].partition(":")[0].split(" ")[0] for line in delta.lines}
    assert {"/Channel/Orderer/Orderers", "/Channel/Orderer/BlockValidation"} <= changed, delta.lines
    signatures = [channelconfig.sign(admin, delta.update) for admin in admins(ORDERER)]
    assert start.forecast(delta.update, signatures, now=NOW).accepted


def test_a_policy_that_is_no_matter_of_organizations_is_refused_with_its_text() -> None:
    start = config()
    two_of_one = {
        "setPolicy": {"path": "/Channel/Application/Admins", "rule": "OutOf(2, 'Org1MSP.admin', 'Org1MSP.member')"}
    }
    odd = channel.load(start.updated_by(delta_of(two_of_one, on=start).update))

    with pytest.raises(ChangeRefused, match="asks for several signers of Org1MSP"):
        delta_of(EVERY_CHANGE["setACL"][0], on=odd)


def test_a_raw_update_is_judged_like_one_computed_here() -> None:
    computed = delta_of(ADDED)

    assert judge_update(config(), computed.update, governance=False, at=NOW) == computed


def test_a_raw_update_for_another_config_is_refused() -> None:
    later = channel.load(config().updated_by(delta_of(EVERY_CHANGE["setACL"][0]).update))

    with pytest.raises(ChangeRefused, match="ACLs"):
        judge_update(later, delta_of(EVERY_CHANGE["setACL"][0]).update, governance=False, at=NOW)


def test_equal_updates_are_equal_however_they_are_encoded() -> None:
    one = delta_of(ADDED, EVERY_CHANGE["setPolicy"][0]).update

    assert same_update(one, delta_of(EVERY_CHANGE["setPolicy"][0], ADDED).update)
    assert not same_update(one, delta_of(ADDED).update)
    assert not same_update(one, b"\xff\xff")


@given(st.binary(max_size=300))
def test_any_bytes_as_an_update_are_judged_or_refused(data: bytes) -> None:
    with pytest.raises(ChangeRefused):
        judge_update(config(), data, governance=False, at=NOW)


@settings(max_examples=50)
@given(st.lists(st.sampled_from(sorted(EVERY_CHANGE.keys() - APART)), unique=True, min_size=1))
def test_every_organization_computes_the_same_from_the_same_changes(names: list[str]) -> None:
    given = [EVERY_CHANGE[name][0] for name in names]

    first, second = delta_of(*given), delta_of(*given)

    assert first == second
    assert first.rule.satisfied(config().all_members)


def test_a_definition_says_what_the_msp_says() -> None:
    msp = build_msp("Org4MSP", OrganizationDefinition.model_validate_json(json.dumps(definition("Org4MSP"))))

    read = read_definition(msp_config_pb2.FabricMSPConfig.FromString(msp.config))

    assert read.to_json() == definition("Org4MSP")


def test_as_many_organizations_as_one_proposal_may_add_are_no_flood() -> None:
    def added(msp_id: str) -> dict[str, Any]:
        more = {"anchorPeers": [{"host": "peer9", "port": 7051}], "ordererEndpoints": ["orderer9:7050"]}
        fields = {"mspID": msp_id, "definition": definition(msp_id), "groups": ["Application", "Orderer"], **more}
        return {"addOrganization": fields}

    delta = delta_of(*(added(f"New{number}MSP") for number in range(32)))

    assert sum("organization New" in line for line in delta.lines) == 64


def test_a_flood_of_rules_is_refused_before_anything_is_computed() -> None:
    rule = f"OR({','.join(1000 * [repr('Org1MSP.peer')])})"
    many = [{"setPolicy": {"path": f"/Channel/Application/P{number}", "rule": rule}} for number in range(5)]

    with pytest.raises(ChangeRefused, match="the rules of the changes take more than 65536 characters"):
        delta_of(*many)

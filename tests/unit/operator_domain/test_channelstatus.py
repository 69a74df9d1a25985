"""What a FabricChannel says: words for rules, who cannot vote, what is foreign, and which writes are spared."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from unit.fabric.channel import BFT_PROFILE, NOW, PROFILE, build, load

from fabric_admin.channelconfig import ChannelConfig, edits
from fabric_admin.definition import CollectionConfig, Definition, collection_package, signature_policy_parameter
from fabric_admin.rule import NOutOf
from opssc_operator.api.channel import MAX_CHAINCODES, ChaincodeOrigin, channel_object_name
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.channelstatus import (
    ChannelObserved,
    CommittedChaincode,
    channel_conditions,
    channel_status,
    keep_height,
    rule_words,
    shut_out_conditions,
)
from opssc_operator.domain.consenterexpiry import ConsenterEnd

if TYPE_CHECKING:
    from fabric_admin.genesis import Profile

MANAGED = CommittedChaincode(
    Definition(
        "asset",
        "1.0",
        2,
        validation_parameter=signature_policy_parameter("OR('Org1MSP.peer')"),
        collections=collection_package([CollectionConfig(name="secret", member_orgs_policy="OR('Org1MSP.member')")]),
    ),
    frozenset({"Org2MSP", "Org1MSP"}),
    "asset:1",
    ("peer1", "peer0"),
    ChaincodeOrigin.PROPOSAL,
    ProposalRef("Org1MSP", "asset-2"),
)
FOREIGN = CommittedChaincode(Definition("ledger", "7", 1), frozenset(), None, (), ChaincodeOrigin.FOREIGN)


def channel(profile: Profile = PROFILE) -> ChannelConfig:
    return load(build(profile))


def observed(**changes: Any) -> ChannelObserved:
    usual = ChannelObserved(
        config=channel(),
        ends=(),
        config_block=4,
        height=9,
        peers=("peer1", "peer0"),
        chaincodes=(FOREIGN, MANAGED),
        governance_channel="ops-channel",
        governing=frozenset({"Org1MSP", "Org2MSP", "Org3MSP"}),
        now=NOW,
    )
    return replace(usual, **changes)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        pytest.param(NOutOf(2, ("A", "B", "C")), "any 2 of A, B, C", id="some"),
        pytest.param(NOutOf(2, ("A", "B")), "A and B", id="all"),
        pytest.param(NOutOf(1, ("A", "B")), "A or B", id="any"),
        pytest.param(NOutOf(1, ("A",)), "A", id="one"),
        pytest.param(NOutOf(2, ("A", NOutOf(1, ("B", "C")))), "A and (B or C)", id="nested"),
        pytest.param(NOutOf(1, (NOutOf(2, ("B", "C")),)), "(B and C)", id="wrapped"),
        pytest.param(NOutOf(3, ("A", "B")), "nobody: more organizations are asked for than there are", id="nobody"),
    ],
)
def test_a_rule_is_said_in_words(rule: NOutOf, words: str) -> None:
    assert rule_words(rule) == words


def test_everything_is_sorted_and_said_as_configured() -> None:
    status = channel_status(observed(), generation=3)

    assert (status.height, status.config_block, status.config_sequence) == (9, 4, 0)
    assert status.peers == ("peer0", "peer1")
    assert [chaincode.name for chaincode in status.chaincodes] == ["asset", "ledger"]
    assert (status.chaincode_count, status.foreign_count) == (2, 1)
    asset = status.chaincodes[0]
    assert (asset.approvals, asset.installed_on) == (("Org1MSP", "Org2MSP"), ("peer0", "peer1"))
    assert (asset.endorsement_policy, asset.collections) == ("OR('Org1MSP.peer')", ("secret",))
    assert (asset.origin, asset.proposal) == (ChaincodeOrigin.PROPOSAL, "Org1MSP/asset-2")
    policies = {policy.path: (policy.policy, policy.meaning) for policy in status.policies}
    assert policies["/Channel/Application/LifecycleEndorsement"] == (
        "MAJORITY Endorsement",
        "any 2 of Org1MSP, Org2MSP, Org3MSP",
    )
    assert policies["/Channel/Orderer/BlockValidation"] == ("ANY Writers", None)
    assert status.capabilities is not None
    assert status.capabilities.channel == ("V3_0",)
    assert status.consensus is not None
    assert (status.consensus.type, status.consensus.organizations) == ("etcdraft", ("OrdererMSP",))
    assert [node.address for node in status.consensus.consenters] == ["orderer1:7050", "orderer2:7050", "orderer3:7050"]


def test_consenters_of_a_bft_channel_say_whose_they_are() -> None:
    status = channel_status(observed(config=channel(BFT_PROFILE)), generation=1)

    assert status.consensus is not None
    assert {node.msp_id for node in status.consensus.consenters} == {"OrdererMSP"}


@pytest.mark.parametrize(
    ("governing", "note", "said"),
    [
        pytest.param(frozenset({"Org1MSP", "Org2MSP", "Org3MSP"}), "", (True, True, True), id="all"),
        pytest.param(
            frozenset({"Org1MSP"}),
            "Org2MSP, Org3MSP: not on channel ops-channel, counts as never voting",
            (True, False, False),
            id="one",
        ),
        pytest.param(None, "", (None, None, None), id="unknown"),
    ],
)
def test_members_that_cannot_vote_are_named(
    governing: frozenset[str] | None, note: str, said: tuple[bool | None, ...]
) -> None:
    given = observed(governing=governing, chaincodes=())

    status, ready = channel_status(given, generation=1), channel_conditions(given)[ConditionType.READY]

    assert tuple(member.on_governance_channel for member in status.members) == said
    assert ready.holds
    assert ready.message == (note or "as the own peers show it")


def test_a_foreign_chaincode_is_named() -> None:
    message = channel_conditions(observed())[ConditionType.READY].message

    assert message == "deployed outside OpsSC and left alone: ledger"


def test_nothing_is_called_foreign_before_the_ledger_is_known() -> None:
    given = observed(chaincodes=(replace(FOREIGN, origin=None),))

    assert channel_status(given, generation=1).foreign_count is None
    assert "outside" not in channel_conditions(given)[ConditionType.READY].message


def test_a_lifecycle_policy_that_counts_people_is_said_to_be_in_the_way() -> None:
    config = edits.set_policy(
        build(), "/Channel/Application/LifecycleEndorsement", "OutOf(2, 'Org1MSP.admin', 'Org1MSP.peer')"
    )

    message = channel_conditions(observed(config=load(config), chaincodes=()))[ConditionType.READY].message

    assert message.startswith("no chaincode can be proposed: ")


def test_a_certificate_about_to_expire_leaves_a_channel_ready() -> None:
    end = ConsenterEnd("orderer:7050", NOW + timedelta(days=3), ("server TLS",))

    conditions = channel_conditions(observed(ends=(end,)))

    assert conditions[ConditionType.READY].holds
    assert not conditions[ConditionType.CONSENTERS_VALID].holds
    assert ConditionType.CONSENTERS_VALID not in channel_conditions(observed())


def test_more_chaincodes_than_a_status_holds_are_counted() -> None:
    many = tuple(replace(FOREIGN, definition=Definition(f"c{number}", "1", 1)) for number in range(MAX_CHAINCODES + 5))

    status = channel_status(observed(chaincodes=many), generation=1)

    assert (len(status.chaincodes), status.chaincode_count) == (MAX_CHAINCODES, MAX_CHAINCODES + 5)


@pytest.mark.parametrize(
    ("changes", "height"),
    [
        pytest.param({"height": 12}, 9, id="blocks-alone"),
        pytest.param({"height": 12, "config_block": 11}, 12, id="another-configuration"),
        pytest.param({"height": 12, "chaincodes": (MANAGED,)}, 12, id="other-chaincodes"),
    ],
)
def test_the_height_is_written_when_something_else_is_news(changes: dict[str, Any], height: int) -> None:
    standing = channel_status(observed(), generation=1).to_manifest() | {"conditions": [{"type": "Ready"}]}

    kept = keep_height(channel_status(observed(**changes), generation=1), standing)

    assert kept.height == height


@pytest.mark.parametrize("name", ["mychannel", "my.channel-2", "a" * 249], ids=["plain", "dots-and-dashes", "long"])
def test_a_channel_object_has_the_channel_s_name_where_kubernetes_allows_it(name: str) -> None:
    assert channel_object_name(name) == name


@pytest.mark.parametrize("name", ["my-", "my.", "a..b", "a.-b"], ids=["dash", "dot", "two-dots", "dot-and-dash"])
def test_another_channel_object_has_a_name_that_no_channel_has(name: str) -> None:
    assert re.fullmatch(r"0-[0-9a-f]{12}-[a-z0-9]+(-[a-z0-9]+)*", channel_object_name(name))


def test_no_two_channels_share_an_object() -> None:
    names = {channel_object_name(channel) for channel in ("a-b", "a--b", "a.b", "a..b", "a-", "a.", "a", "a" * 249)}

    assert len(names) == 8
    assert all(len(name) <= 253 for name in names)


def test_orderers_that_refuse_without_a_proposal_leave_what_the_own_peers_show() -> None:
    # Given
    shown = channel_conditions(observed())

    # When
    conditions = shut_out_conditions(shown, "mychannel")

    # Then
    member = conditions[ConditionType.MEMBER]
    assert (member.status, member.reason) == ("Unknown", Reason.ORDERERS_REFUSE)
    assert "orderers of mychannel let this organization read nothing" in member.message
    assert {**conditions, ConditionType.MEMBER: shown[ConditionType.MEMBER]} == shown

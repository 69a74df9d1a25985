"""AC-02 and AC-03: everything a definition can say reaches every peer, and each part of it can be upgraded alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from e2e import oracle
from e2e.contract_call import refusal_of
from fabric_protos.peer import collection_pb2, policy_pb2

from fabric_admin import signature_policy
from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from e2e.scenario import Scenario

    from fabric_admin.definition import Definition
    from opssc_tools.environment.objects import Body

TWO_OF_THREE = "OutOf(2, 'Org1MSP.peer', 'Org2MSP.peer', 'Org3MSP.peer')"
ENDORSEMENT = "/Channel/Application/Endorsement"
COLLECTIONS: list[dict[str, Any]] = [
    {"name": "bare", "memberOrgsPolicy": "OR('Org1MSP.member')"},
    {
        "name": "complete",
        "memberOrgsPolicy": "OR('Org1MSP.member', OR('Org2MSP.peer', 'Org3MSP.client'))",
        "requiredPeerCount": 0,
        "maxPeerCount": 3,
        "blockToLive": 100,
        "memberOnlyRead": True,
        "memberOnlyWrite": True,
        "endorsementPolicy": {"signature": "AND('Org1MSP.peer', OR('Org2MSP.peer', 'Org3MSP.peer'))"},
    },
    {
        "name": "by-the-channel",
        "memberOrgsPolicy": "OutOf(1, 'Org1MSP.member', 'Org2MSP.admin')",
        "memberOnlyRead": True,
        "endorsementPolicy": {"channelPolicy": "/Channel/Application/Writers"},
    },
]


def policy_of(data: bytes | policy_pb2.ApplicationPolicy) -> str:
    """A serialized ApplicationPolicy in words, read without the operator's code."""
    policy = data if isinstance(data, policy_pb2.ApplicationPolicy) else policy_pb2.ApplicationPolicy.FromString(data)
    if policy.WhichOneof("Type") == "signature_policy":
        return signature_policy.format(policy.signature_policy)
    return str(policy.channel_config_policy_reference)


def collections_of(definition: Definition) -> list[dict[str, Any]]:
    """What the committed collections say, in the manifest's names and without what stands at Fabric's zero values."""
    said = []
    for config in collection_pb2.CollectionConfigPackage.FromString(definition.collections).config:
        static = config.static_collection_config
        said.append(
            {
                "name": static.name,
                "memberOrgsPolicy": canonical(signature_policy.format(static.member_orgs_policy.signature_policy)),
                "requiredPeerCount": static.required_peer_count,
                "maxPeerCount": static.maximum_peer_count,
                "blockToLive": static.block_to_live,
                "memberOnlyRead": static.member_only_read,
                "memberOnlyWrite": static.member_only_write,
                "endorsementPolicy": policy_of(static.endorsement_policy)
                if static.HasField("endorsement_policy")
                else None,
            }
        )
    return said


def canonical(text: str) -> str:
    """A signature policy as it is written back: one form for all that mean the same bytes."""
    return signature_policy.format(signature_policy.parse(text))


def wanted(collection: dict[str, Any]) -> dict[str, Any]:
    """A collection of a manifest with everything that it leaves out."""
    zero = {"requiredPeerCount": 0, "maxPeerCount": 0, "blockToLive": 0, "memberOnlyRead": False}
    policy = collection.get("endorsementPolicy")
    text = None if policy is None else policy.get("channelPolicy") or canonical(policy["signature"])
    said = {**zero, "memberOnlyWrite": False, **collection, "endorsementPolicy": text}
    return {**said, "memberOrgsPolicy": canonical(collection["memberOrgsPolicy"])}


async def committed_everywhere(scenario: Scenario) -> Definition:
    """The one definition that every peer of every member shows."""
    shown = {
        await reader.definition(scenario.channel, scenario.chaincode)
        for member in scenario.members
        for reader in member.readers
    }
    (definition,) = shown
    assert definition is not None
    return definition


async def approved_with(scenario: Scenario, sequence: int) -> set[str | None]:
    """Package IDs that the members approved a sequence with."""
    found = [
        await member.reader.lifecycle.query_approved(scenario.channel, scenario.chaincode, sequence)
        for member in scenario.members
    ]
    return {None if approved is None else approved.package_id for approved in found}


async def carried_out(scenario: Scenario, **spec: Any) -> Definition:
    """Propose, agree, wait for everybody; returns what was committed."""
    await scenario.propose(**spec)
    await scenario.agree()
    await scenario.until_true(ConditionType.READY)
    await oracle.assert_usable(scenario)
    return await committed_everywhere(scenario)


async def test_everything_a_definition_says_is_committed_and_each_part_can_be_upgraded_alone(
    new_scenario: Callable[..., Scenario],
) -> None:
    # Given: a chaincode whose manifest says everything; a package for later
    scenario, spare = new_scenario(), new_scenario()
    scenario.serve()
    spare.serve()
    chaincode: dict[str, Any] = {"name": scenario.chaincode, "version": "1.0"}
    plugins = {"endorsementPlugin": "escc", "validationPlugin": "vscc"}
    full = {"endorsementPolicy": {"signature": TWO_OF_THREE}, "collections": COLLECTIONS}

    # When: with the sequence it resolves to written down
    first = await carried_out(scenario, chaincode={**chaincode, **plugins, "sequence": 1}, **full)

    # Then: field by field
    assert (first.version, first.sequence, first.init_required) == ("1.0", 1, False)
    assert (first.endorsement_plugin, first.validation_plugin) == ("escc", "vscc")
    assert policy_of(first.validation_parameter) == canonical(TWO_OF_THREE)
    assert collections_of(first) == [wanted(collection) for collection in COLLECTIONS]
    assert await approved_with(scenario, 1) == {scenario.package.package_id}

    # When: only the version
    second = await carried_out(scenario.following(2), chaincode={**chaincode, "version": "2.0"}, **full)

    # Then
    assert (second.version, second.sequence) == ("2.0", 2)
    assert (second.collections, second.validation_parameter) == (first.collections, first.validation_parameter)

    # When: only the package; the old server is what serves until the commit
    upgrade = scenario.following(3, spare.package)
    await upgrade.propose(chaincode={**chaincode, "version": "2.0"}, **full)
    await oracle.assert_usable(upgrade)
    await upgrade.agree()
    await upgrade.until_true(ConditionType.READY)

    # Then: the definition stays, and it is the new server that answers when the old one is gone
    third = await committed_everywhere(upgrade)
    assert (third.version, third.sequence, third.collections) == ("2.0", 3, second.collections)
    assert await approved_with(upgrade, 3) == {spare.package.package_id}
    await scenario.stop_servers()
    await oracle.assert_usable(upgrade)

    # When: only the collections, one more
    more = [*COLLECTIONS, {"name": "later", "memberOrgsPolicy": "OR('Org2MSP.member', 'Org3MSP.member')"}]
    again = {"chaincode": {**chaincode, "version": "2.0"}, "endorsementPolicy": full["endorsementPolicy"]}
    fourth = await carried_out(scenario.following(4, spare.package), **again, collections=more)

    # Then
    assert collections_of(fourth) == [wanted(collection) for collection in more]
    assert (fourth.version, fourth.validation_parameter) == ("2.0", first.validation_parameter)
    assert await approved_with(upgrade, 4) == {spare.package.package_id}

    # When: only the policy, by reference now
    fifth = await carried_out(
        scenario.following(5, spare.package), **{**again, "endorsementPolicy": {"channelPolicy": ENDORSEMENT}},
        collections=more,
    )  # fmt: skip

    # Then: no package was changed for it
    assert (policy_of(fifth.validation_parameter), fifth.sequence) == (ENDORSEMENT, 5)
    assert fifth.collections == fourth.collections
    assert await approved_with(upgrade, 5) == {spare.package.package_id}
    for number in (1, 2, 3, 4):
        old = scenario.following(number) if number > 1 else scenario
        await old.until(ConditionType.READY, "True", "Superseded", scenario.creator)


async def test_an_approval_made_past_the_operator_shows_as_a_mismatch_and_is_put_right(scenario: Scenario) -> None:
    # Given: two organizations without operators; one of them approves another version by hand
    scenario.serve()
    first, second, third = scenario.members
    await scenario.propose()
    second.operator.kill()
    third.operator.kill()
    wrong = oracle.expected_definition(scenario, version="0.9")
    await second.reader.lifecycle.approve(scenario.channel, wrong, None)

    # When: agreed to past the operator
    shown = (scenario.seen_by(first) or {})["status"]["contentHash"]
    assert not await refusal_of(third, "Vote", "Org1MSP", scenario.ref.id, shown, "Agree", "")

    # Then
    def tells(body: Body | None) -> bool:
        told = (body or {}).get("status", {}).get("organizations", ())
        return {each["mspID"]: each.get("mismatches", []) for each in told} == {
            "Org1MSP": [],
            "Org2MSP": ["EndorsementInfo"],
            "Org3MSP": ["ChaincodeParameters"],
        }

    await first.until(Kind.CHAINCODE_PROPOSAL, scenario.ref.id, tells, "mismatches", seconds=60.0)
    await scenario.until(ConditionType.COMMIT_READY, "False", "AwaitingOrganizations", first)

    # And: the operators, when they are back, carry out what was decided
    second.operator.start()
    third.operator.start()
    await scenario.until_true(ConditionType.READY)
    await oracle.assert_definition_everywhere(scenario)
    await oracle.assert_carried_out(scenario)

"""AC-12: every organization chooses for its own nodes: another package, none, or to stay out of it and join later."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from e2e import localchoice, oracle

from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_tools.environment import manifests
from opssc_tools.environment.consortium import ASSET_MODULE
from opssc_tools.environment.objects import condition

if TYPE_CHECKING:
    from collections.abc import Callable

    from e2e.scenario import Scenario

    from opssc_tools.environment import Member
    from opssc_tools.environment.manifests import Manifest


def vote(scenario: Scenario, member: Member, *, decision: str = "Agree", local: Manifest | None = None) -> Manifest:
    """A Vote on what a member was shown, with its choice of package."""
    shown = (scenario.seen_by(member) or {})["status"]["contentHash"]
    built = manifests.build_vote("Org1MSP", scenario.ref.id, decision=decision, content_hash=shown)
    if local is not None:
        built["spec"]["local"] = {"package": local}
    return built


async def approved_by(scenario: Scenario, member: Member) -> str | None:
    approved = await member.reader.lifecycle.query_approved(scenario.channel, scenario.chaincode, 1)
    assert approved is not None, f"{member.name} approved nothing"
    return approved.package_id


async def test_one_definition_runs_from_other_packages_and_from_none(new_scenario: Callable[..., Scenario]) -> None:
    # Given: organization 2 has a package of its own, organization 3 wants none, organization 4 does not vote
    scenario, own = new_scenario("quad"), new_scenario().package
    scenario.serve()
    first, second, third, fourth = scenario.members
    second.serve(ASSET_MODULE, own)
    await scenario.propose()

    # When
    await third.apply(vote(scenario, third, local={"type": "None"}))
    await second.apply(vote(scenario, second, local=own.manifest))

    # Then
    await scenario.until_true(ConditionType.READY)
    await oracle.assert_definition_everywhere(scenario)
    assert await approved_by(scenario, first) == scenario.package.package_id
    assert await approved_by(scenario, second) == own.package_id
    assert await approved_by(scenario, third) is None
    assert await approved_by(scenario, fourth) == scenario.package.package_id
    assert scenario.package.package_id not in await second.reader.installed()
    assert not {own.package_id, scenario.package.package_id} & set(await third.reader.installed())
    assert (scenario.seen_by(second) or {})["status"]["packageID"] == own.package_id
    assert condition(scenario.seen_by(third), ConditionType.INSTALLED)["reason"] == "SkippedByVote"
    await oracle.assert_usable(scenario)

    # When: organization 3 thinks better of it, and another chaincode uses the same package
    await third.apply(vote(scenario, third, local={"type": "Proposed"}))
    sharing = replace(new_scenario(), package=scenario.package)
    await sharing.propose()
    await sharing.agree()

    # Then
    name = scenario.object_name(third)
    await third.until_reason(Kind.CHAINCODE_PROPOSAL, name, ConditionType.INSTALLED, "Installed", seconds=60.0)
    await scenario.until_true(ConditionType.READY, third)
    assert await approved_by(scenario, third) == scenario.package.package_id
    await oracle.assert_usable(scenario)
    await sharing.until_true(ConditionType.READY)
    await oracle.assert_usable(sharing)
    await oracle.assert_decided_and_committed_once(scenario, voters={"Org1MSP", "Org2MSP", "Org3MSP"})


async def test_who_disagreed_is_left_alone_and_joins_by_its_own_consent(scenario: Scenario) -> None:
    # Given: the others committed what organization 3 is against
    scenario.serve()
    second, third = scenario.members[1:]
    await scenario.propose()
    against = vote(scenario, third, decision="Disagree")
    await third.apply(against)
    await third.until_true(Kind.VOTE, scenario.ref.id, ConditionType.COUNTED)
    await scenario.vote(second)
    await scenario.until_true(ConditionType.READY)
    assert scenario.package.package_id not in await third.reader.installed()
    assert await third.reader.lifecycle.query_approved(scenario.channel, scenario.chaincode) is None
    assert condition(scenario.seen_by(third), ConditionType.INSTALLED)["reason"] == "Disagreed"

    # When: it gives in, on its own nodes alone
    against["spec"]["local"] = {"package": {"type": "Proposed"}}
    await third.apply(against)

    # Then
    await scenario.until(ConditionType.APPROVED, "True", "Approved", third)
    await oracle.assert_carried_out(scenario)
    await oracle.assert_usable(scenario)
    record = await oracle.read_record(scenario)
    assert record.votes == ("Org1MSP", "Org2MSP", "Org3MSP")


async def test_an_organization_that_acts_on_its_own_vote_only_waits_for_it(scenario: Scenario) -> None:
    # Given
    scenario.serve()
    second, third = scenario.members[1:]
    await third.kubectl("patch", "forg", third.name, "--type=merge", "-p", '{"spec":{"execution":"OwnVoteOnly"}}')
    await scenario.propose()
    await scenario.vote(second)
    await scenario.until_true(ConditionType.READY)
    assert condition(scenario.seen_by(third), ConditionType.INSTALLED)["reason"] == "AwaitingOwnVote"
    assert await third.reader.lifecycle.query_approved(scenario.channel, scenario.chaincode) is None

    # When: too late to count, and its consent all the same
    await third.apply(vote(scenario, third))

    # Then
    try:
        await scenario.until(ConditionType.APPROVED, "True", "Approved", third)
    finally:
        await third.kubectl(
            "patch", "forg", third.name, "--type=merge", "-p", '{"spec":{"execution":"FollowDecision"}}'
        )
    await oracle.assert_carried_out(scenario)
    assert condition(third.objects.get(Kind.VOTE, scenario.ref.id), ConditionType.COUNTED)["reason"] == "VotingClosed"
    await oracle.assert_decided_and_committed_once(scenario, voters={"Org1MSP", "Org2MSP"})


async def test_a_package_of_its_own_that_binds_other_code_is_said_in_the_vote_that_asks_for_it(
    new_scenario: Callable[..., Scenario],
) -> None:
    # Given: a label that belongs to another image
    scenario, own = new_scenario(), new_scenario().package
    wrong = own.manifest
    wrong["ccaas"]["image"]["digest"] = scenario.package.digest
    second = scenario.members[1]
    scenario.serve()
    await scenario.propose()

    # When
    asked = vote(scenario, second, local=wrong)
    await second.apply(asked)

    # Then: its vote counts, its nodes are left alone, the others are not held up
    words = "local.package.ccaas: label must end in -"
    await localchoice.assert_refused(scenario, second, "InvalidSpec", words)

    # And: it joins once the choice is a good one
    asked["spec"]["local"] = {"package": {"type": "Proposed"}}
    await second.apply(asked)
    await scenario.until_true(ConditionType.READY)
    await oracle.assert_carried_out(scenario)

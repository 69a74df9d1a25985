"""AC-19: manifests applied again, restored, shared and mirrored propose nothing twice."""

from __future__ import annotations

import asyncio
import copy
import json
from typing import TYPE_CHECKING

from e2e import oracle

from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_tools.environment import manifests
from opssc_tools.environment.objects import is_true

if TYPE_CHECKING:
    from collections.abc import Callable

    from e2e.scenario import Scenario


async def test_a_manifest_applied_again_after_the_commit_proposes_nothing(scenario: Scenario) -> None:
    # Given
    await scenario.deploy()
    before = await oracle.read_record(scenario)

    # When: deleted, as a prune does, and applied again
    await scenario.creator.delete(Kind.CHAINCODE_PROPOSAL, scenario.ref.id)
    await scenario.creator.apply(scenario.manifest())

    # Then
    await scenario.until_true(ConditionType.READY)
    assert await oracle.read_record(scenario) == before
    await oracle.assert_definition_everywhere(scenario)


async def test_an_object_restored_from_a_backup_proposes_nothing(scenario: Scenario) -> None:
    # Given: a backup with everything the API server said, status included
    await scenario.deploy()
    before = await oracle.read_record(scenario)
    backup = json.loads(await scenario.creator.kubectl("get", "ccp", scenario.ref.id, "-o", "json"))
    await scenario.creator.delete(Kind.CHAINCODE_PROPOSAL, scenario.ref.id)

    # When
    restored = copy.deepcopy(backup)
    for name in ("uid", "resourceVersion", "creationTimestamp", "generation"):
        del restored["metadata"][name]
    await scenario.creator.kubectl("create", "--filename", "-", stdin=json.dumps(restored))

    # Then
    await scenario.until_true(ConditionType.READY)
    assert await oracle.read_record(scenario) == before


async def test_one_manifest_in_every_organization_is_one_proposal(new_scenario: Callable[..., Scenario]) -> None:
    # Given: the same file everywhere, with votes beside it that name no hash: the manifest binds the content
    scenario = new_scenario()
    scenario.serve()
    shared = scenario.manifest(creator="Org1MSP", proposalID=scenario.ref.id)
    vote = manifests.build_vote("Org1MSP", scenario.ref.id)

    # When
    await asyncio.gather(
        scenario.members[0].apply(shared),
        scenario.members[1].apply(shared, vote),
        scenario.members[2].apply(shared),
    )

    # Then: Ready under its own name everywhere, and no mirror beside it in the end
    for member in scenario.members:
        await member.until_true(Kind.CHAINCODE_PROPOSAL, scenario.ref.id, ConditionType.READY)
    for member in scenario.members[1:]:
        mirror = scenario.object_name(member)
        await member.until(Kind.CHAINCODE_PROPOSAL, mirror, lambda body: body is None, "gone", seconds=30.0)
    await scenario.members[1].until_true(Kind.VOTE, scenario.ref.id, ConditionType.COUNTED)
    await oracle.assert_decided_and_committed_once(scenario, voters={"Org1MSP", "Org2MSP"})
    await oracle.assert_definition_everywhere(scenario)


async def test_a_manifest_of_a_mirrored_proposal_takes_the_mirrors_place(scenario: Scenario) -> None:
    # Given
    await scenario.propose()
    member = scenario.members[1]
    assert scenario.seen_by(member) is not None

    # When
    await member.apply(scenario.manifest(creator="Org1MSP", proposalID=scenario.ref.id))

    # Then, and when it is deleted the mirror is back
    mirror = scenario.object_name(member)
    await member.until(Kind.CHAINCODE_PROPOSAL, mirror, lambda body: body is None, "gone", seconds=30.0)
    await member.until_true(Kind.CHAINCODE_PROPOSAL, scenario.ref.id, ConditionType.VERIFIED)
    await member.delete(Kind.CHAINCODE_PROPOSAL, scenario.ref.id)
    await member.until(
        Kind.CHAINCODE_PROPOSAL, mirror, lambda body: is_true(body, ConditionType.VERIFIED), "back", seconds=30.0
    )
    record = await oracle.read_record(scenario)
    assert (record.proposals, record.votes) == (1, ("Org1MSP",))

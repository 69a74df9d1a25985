"""Chaincode servers on Kubernetes: the operator makes, follows and removes them, and Ready says whether they serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e2e import servers
from e2e.scenario import Scenario

from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_operator.api.refs import ProposalRef
from opssc_tools.environment import manifests
from opssc_tools.environment.manifests import ServicePackage, made_up_digest
from opssc_tools.environment.objects import condition

if TYPE_CHECKING:
    from collections.abc import Callable

RUNTIME = ConditionType.RUNTIME_READY


def upgrade_of(scenario: Scenario) -> Scenario:
    """The next version of a scenario's chaincode, from another image at another port."""
    package = ServicePackage(scenario.chaincode, made_up_digest(f"{scenario.chaincode}-2"), scenario.package.port + 500)
    ref = ProposalRef(scenario.ref.creator, f"{scenario.chaincode}-2")
    return Scenario(scenario.consortium, scenario.chaincode, scenario.channel, package, ref)


async def test_servers_follow_one_chaincode_through_its_life(new_scenario: Callable[[str], Scenario]) -> None:
    # Given: the proposer deploys by its manifest, the other organization by its Vote
    scenario = new_scenario("pair")
    first, second = scenario.members
    package_id = scenario.package.package_id
    scenario.serve()
    await first.apply(scenario.manifest(server={"deploy": True, "env": [{"name": "LOG_LEVEL", "value": "debug"}]}))
    await scenario.until_true(ConditionType.VERIFIED)
    assert await servers.parts_of(first, package_id) == {}
    shown = scenario.seen_by(second)
    assert shown is not None
    vote = manifests.build_vote("Org1MSP", scenario.ref.id, content_hash=shown["status"]["contentHash"])
    vote["spec"]["local"] = {"server": {"deploy": True, "replicas": 2}}

    # When
    await second.apply(vote)

    # Then: committed in both organizations, and Ready in neither before its server serves
    await scenario.until(RUNTIME, "False", "ServerNotReady")
    await scenario.until_true(ConditionType.COMMITTED)
    await scenario.until(ConditionType.READY, "False", "ServerNotReady")
    for member in (first, second):
        found = await servers.until_parts(member, package_id, lambda parts: len(parts) == 4, "complete")
        assert set(found) == servers.expected_parts(package_id)

    # When: pods fail in one organization and run in the other
    await servers.report(first, package_id, ready=0, trouble="ProgressDeadlineExceeded")
    await servers.report(second, package_id, ready=2, desired=2)

    # Then
    await scenario.until_true(ConditionType.READY, second)
    await first.until(
        Kind.CHAINCODE_PROPOSAL,
        scenario.object_name(first),
        lambda body: "ProgressDeadlineExceeded" in condition(body, RUNTIME).get("message", ""),
        "the Deployment's own reason",
    )
    await servers.report(first, package_id, ready=1)
    await scenario.until(ConditionType.READY, "True", "Ready")
    assert (scenario.seen_by(first) or {})["status"]["runtime"] == {"ready": 1, "desired": 1}
    assert (scenario.seen_by(second) or {})["status"]["runtime"] == {"ready": 2, "desired": 2}

    # When: somebody deletes a part, and the operator is restarted meanwhile
    await first.operator.stop()
    await first.kubectl("delete", "service", scenario.package.label)
    first.operator.start()

    # Then: only what was missing is made anew
    before = await servers.parts_of(first, package_id)
    after = await servers.until_parts(first, package_id, lambda parts: len(parts) == 4, "healed")
    assert {name: after[name]["metadata"]["uid"] for name in before} == {
        name: body["metadata"]["uid"] for name, body in before.items()
    }

    # When: the next version is agreed on
    upgrade = upgrade_of(scenario)
    upgrade.serve()
    await first.apply(
        upgrade.manifest(server={"deploy": True}, chaincode={"name": scenario.chaincode, "version": "2.0"})
    )
    await upgrade.until_true(ConditionType.VERIFIED)
    assert len(await servers.parts_of(first, package_id)) == 4
    await upgrade.vote(second)

    # Then: the old servers go once it is committed, also where the new one is not deployed
    await upgrade.until_true(ConditionType.COMMITTED)
    await upgrade.until(RUNTIME, "Unknown", "ServerNotManaged", second)
    for member in (first, second):
        await servers.until_parts(member, package_id, lambda parts: not parts, "removed")
    found = await servers.until_parts(first, upgrade.package.package_id, lambda parts: len(parts) == 4, "complete")
    assert set(found) == servers.expected_parts(upgrade.package.package_id)
    await servers.report(first, upgrade.package.package_id, ready=1)
    await upgrade.until_true(ConditionType.READY)
    await scenario.until(ConditionType.READY, "True", "Superseded")
    await upgrade.stop_servers()

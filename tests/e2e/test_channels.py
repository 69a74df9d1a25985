"""FabricChannel: what an organization is shown of the channels its peers have joined."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_tools.environment.objects import condition

if TYPE_CHECKING:
    from e2e.scenario import Scenario

    from opssc_tools.environment import Member
    from opssc_tools.environment.objects import Body

SHOWN_SECONDS = 60.0


def chaincode(body: Body | None, name: str) -> Body:
    """What the object says of one chaincode; empty while it does not know it."""
    found = (body or {}).get("status", {}).get("chaincodes", ())
    return next((entry for entry in found if entry["name"] == name), {})


async def until_shown(member: Member, scenario: Scenario, **expected: object) -> Body:
    """Wait until the channel's object says all this of the scenario's chaincode."""

    def holds(body: Body | None) -> bool:
        entry = chaincode(body, scenario.chaincode)
        return bool(entry) and all(entry.get(name) == value for name, value in expected.items())

    return await member.until(Kind.FABRIC_CHANNEL, scenario.channel, holds, str(expected), seconds=SHOWN_SECONDS)


async def test_every_member_is_shown_what_is_committed_and_what_it_has_of_it(scenario: Scenario) -> None:
    # When
    await scenario.deploy()

    # Then
    for member in scenario.members:
        body = await until_shown(
            member,
            scenario,
            sequence=1,
            version="1.0",
            origin="Proposal",
            proposal=str(scenario.ref),
            approvals=[each.msp_id for each in scenario.members],
            packageID=scenario.package.package_id,
            installedOn=[reader.name for reader in member.readers],
            endorsementPolicy="/Channel/Application/Endorsement",
        )
        status = body["status"]
        assert [each["mspID"] for each in status["members"]] == [each.msp_id for each in scenario.members]
        assert all(each["onGovernanceChannel"] for each in status["members"])
        info = await member.reader.system.chain_info(scenario.channel)
        assert 0 < status["height"] <= info.height
        config = await member.reader.system.channel_config(scenario.channel)
        assert status["configSequence"] == config.sequence
        assert condition(body, ConditionType.READY)["status"] == "True"


async def test_an_object_of_a_channel_comes_back_and_a_foreign_one_is_told_so(scenario: Scenario) -> None:
    member = scenario.creator
    before = await member.until_true(Kind.FABRIC_CHANNEL, scenario.channel, ConditionType.READY)

    # When: somebody deletes the operator's object, and makes one beside it
    await member.kubectl("delete", Kind.FABRIC_CHANNEL.plural, scenario.channel)
    foreign = {
        "apiVersion": "opssc.dev/v1alpha1",
        "kind": "FabricChannel",
        "metadata": {"name": "mine"},
        "spec": {"channel": scenario.channel},
    }
    await member.kubectl("apply", "--filename", "-", stdin=json.dumps(foreign))

    # Then
    def is_another(body: Body | None) -> bool:
        return body is not None and body["metadata"]["uid"] != before["metadata"]["uid"]

    await member.until(Kind.FABRIC_CHANNEL, scenario.channel, is_another, "made again", seconds=SHOWN_SECONDS)
    await member.until_true(Kind.FABRIC_CHANNEL, scenario.channel, ConditionType.READY)
    told = await member.until(
        Kind.FABRIC_CHANNEL, "mine", lambda body: bool(condition(body, "Stalled")), "refused", seconds=SHOWN_SECONDS
    )
    assert "only the operator makes FabricChannels" in condition(told, "Ready")["message"]
    await member.delete(Kind.FABRIC_CHANNEL, "mine")

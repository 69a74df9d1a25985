"""AC-04: a chaincode that asks for an Init call gets it once, from one organization, and is usable then."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from e2e import oracle

from fabric_admin.errors import GatewayError
from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_tools.environment.objects import condition, is_true

if TYPE_CHECKING:
    from e2e.scenario import Scenario

    from opssc_tools.environment import Member
    from opssc_tools.environment.objects import Body

INITIALIZED_KEY = "\x00\U0010ffffinitialized"
INIT = {"function": "Init", "args": ["blue"]}


async def initializations(scenario: Scenario) -> list[tuple[str, str, bool]]:
    """Who tried to initialize the chaincode, by the blocks: MSP ID, transaction ID, whether it was valid."""
    found = await scenario.creator.reader.transactions(scenario.channel)
    return [
        (view.creator_msp_id, view.tx_id, view.valid)
        for view in found
        if any(write.namespace == scenario.chaincode and write.key == INITIALIZED_KEY for write in view.writes)
    ]


async def test_init_is_called_once_by_one_organization_after_the_commit(scenario: Scenario) -> None:
    # Given
    scenario.serve()
    chaincode = {"name": scenario.chaincode, "version": "1.0", "initRequired": True}
    await scenario.creator.apply(scenario.manifest(chaincode={**chaincode, "init": INIT}))
    await scenario.until_true(ConditionType.VERIFIED)

    # When
    await scenario.agree()

    # Then: every organization says it is ready once it is initialized, and knows by whom
    await scenario.until_true(ConditionType.READY)
    ((caller, transaction, valid),) = await initializations(scenario)
    assert valid

    def names_the_call(body: Body | None) -> bool:
        return bool((body or {})["status"].get("initialization") == {"by": caller, "txID": transaction})

    for member in scenario.members:
        name = scenario.object_name(member)
        body = await member.until(Kind.CHAINCODE_PROPOSAL, name, names_the_call, "names the Init call", seconds=30.0)
        assert condition(body, ConditionType.INITIALIZED)["status"] == "True"
    assert await scenario.members[-1].reader.evaluate(scenario.channel, scenario.chaincode, "Get", "init") == b"blue"
    await oracle.assert_usable(scenario)

    # And: the peer refuses another one, and operators that start again make none
    with pytest.raises(GatewayError, match="already initialized but called as init"):
        await scenario.creator.reader.gateway.submit(
            scenario.channel, scenario.chaincode, [b"Init", b"red"], is_init=True
        )
    called = calls_told(scenario)
    await asyncio.gather(*(restarted(scenario, member) for member in scenario.members))
    assert calls_told(scenario) == called
    assert len(await initializations(scenario)) == 1


def calls_told(scenario: Scenario) -> int:
    """How often operators say that they made the Init call, also one that the peer refused as made before."""
    lines = (line for member in scenario.members for line in member.operator.log.read_text().splitlines())
    told = sum("initialized" in line and f"{scenario.ref}" in line for line in lines)
    assert told
    return told


async def restarted(scenario: Scenario, member: Member) -> None:
    """Start an organization's operator again without its object, and wait until another one says that it is Ready."""
    name = scenario.object_name(member)
    before = (scenario.seen_by(member) or {})["metadata"]["uid"]
    member.operator.kill()
    await member.delete(Kind.CHAINCODE_PROPOSAL, name)
    if member is scenario.creator:
        chaincode = {"name": scenario.chaincode, "version": "1.0", "initRequired": True}
        await member.apply(scenario.manifest(chaincode={**chaincode, "init": INIT}))
    member.operator.start()

    def looked_at(body: Body | None) -> bool:
        return body is not None and body["metadata"]["uid"] != before and is_true(body, ConditionType.READY)

    await member.until(Kind.CHAINCODE_PROPOSAL, name, looked_at, "it was looked at again")


async def test_a_proposal_without_an_init_call_is_ready_once_somebody_made_it_by_hand(scenario: Scenario) -> None:
    # Given: the definition asks for a call that the proposal leaves to people
    scenario.serve()
    chaincode = {"name": scenario.chaincode, "version": "1.0", "initRequired": True}
    await scenario.creator.apply(scenario.manifest(chaincode=chaincode))
    await scenario.until_true(ConditionType.VERIFIED)
    await scenario.agree()
    await scenario.until_true(ConditionType.COMMITTED)

    def says_what_to_do(body: Body | None) -> bool:
        ready = condition(body, ConditionType.READY)
        told = "the proposal names none: invoke it once with --isInit" in ready.get("message", "")
        return told and (ready["status"], ready["reason"]) == ("False", "AwaitingInit")

    creator, name = scenario.creator, scenario.object_name(scenario.creator)
    await creator.until(Kind.CHAINCODE_PROPOSAL, name, says_what_to_do, "says what to do", seconds=30.0)

    # When
    await oracle.submit_once_known(scenario.creator.reader, scenario, "Init", "red", is_init=True)

    # Then
    await scenario.until_true(ConditionType.READY)
    ((caller, _, _),) = await initializations(scenario)
    assert caller == "Org1MSP"
    await oracle.assert_usable(scenario)

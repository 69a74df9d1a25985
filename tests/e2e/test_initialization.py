"""AC-04: a chaincode that asks for an Init call gets it once, from one organization, and is usable then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from e2e import oracle

from fabric_admin.errors import GatewayError
from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_tools.environment.objects import condition

if TYPE_CHECKING:
    from e2e.scenario import Scenario

    from opssc_tools.environment import Member
    from opssc_tools.environment.objects import Body

INITIALIZED_KEY = "\x00\U0010ffffinitialized"


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
    init = {"function": "Init", "args": ["blue"]}
    await scenario.creator.apply(scenario.manifest(chaincode={**chaincode, "init": init}))
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
    await restarted(scenario.creator)
    await scenario.until_true(ConditionType.READY)
    assert len(await initializations(scenario)) == 1


async def restarted(member: Member) -> None:
    """Start an organization's operator again, and wait until it has looked at everything."""
    member.operator.kill()
    member.operator.start()
    await member.until_true(Kind.FABRIC_ORGANIZATION, member.name, ConditionType.READY)


async def test_a_proposal_without_an_init_call_is_ready_once_somebody_made_it_by_hand(scenario: Scenario) -> None:
    # Given: the definition asks for a call that the proposal leaves to people
    scenario.serve()
    chaincode = {"name": scenario.chaincode, "version": "1.0", "initRequired": True}
    await scenario.creator.apply(scenario.manifest(chaincode=chaincode))
    await scenario.until_true(ConditionType.VERIFIED)
    await scenario.agree()
    await scenario.until_true(ConditionType.COMMITTED)
    await scenario.until(ConditionType.READY, "False", "AwaitingInit")
    ready = condition(scenario.seen_by(scenario.creator), ConditionType.READY)
    assert "the proposal names none: invoke it once with --isInit" in ready["message"]

    # When
    await oracle.submit_once_known(scenario.creator.reader, scenario, "Init", "red", is_init=True)

    # Then
    await scenario.until_true(ConditionType.READY)
    ((caller, _, _),) = await initializations(scenario)
    assert caller == "Org1MSP"
    await oracle.assert_usable(scenario)

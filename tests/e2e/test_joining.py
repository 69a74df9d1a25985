"""AC-21: an organization is let in by its members' votes, and its own operator does everything else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from e2e.channel_story import ChannelStory, read_config
from e2e.conftest import FOUNDERS
from e2e.guide import Guide, orderer_secret, steps
from e2e.scenario import WITHIN_SECONDS, Scenario

from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_operator.api.refs import mirror_name
from opssc_tools.environment import Consortium, manifests
from opssc_tools.environment.consortium import ASSET_MODULE, CONTRACT_MODULE
from opssc_tools.environment.objects import condition

if TYPE_CHECKING:
    from opssc_tools.environment import Member

OPS, CHANNEL = "ops-channel", "mychannel"
PAUSE_SECONDS = 0.2
HEADINGS = ["You: say who you are", "You: run your operator", "The members: let it in", "You: nothing"]


def admission(consortium: Consortium, channel: str, proposal_id: str) -> ChannelStory:
    """A proposal of the guide; what it says stands in its sample."""
    return ChannelStory(consortium, (consortium.member(1), consortium.member(2)), channel, proposal_id, {})


async def height_at(member: Member) -> int:
    """How many blocks of the channel the member's own peer has."""
    return (await member.reader.system.chain_info(CHANNEL)).height


async def until_says(member: Member, kind: Kind, name: str, type_: ConditionType, reason: str) -> str:
    """Wait until a condition has this reason; returns its message."""
    body = await member.until_reason(kind, name, type_, reason, seconds=WITHIN_SECONDS)
    message: str = condition(body, type_)["message"]
    return message


async def test_an_organization_that_is_let_in_joins_catches_up_and_votes_by_its_operator_alone(
    founded: Consortium,
) -> None:
    # Given: a deployed chaincode, and an organization that has nothing but its manifest and an orderer's address
    before, newcomer = Scenario.fresh(founded, 1, CHANNEL), founded.member(3)
    await before.deploy()
    newcomer.serve(ASSET_MODULE, before.package)
    newcomer.serve(CONTRACT_MODULE, manifests.contract_package())
    secrets = manifests.build_secrets(newcomer.organization)
    await newcomer.apply(*secrets, orderer_secret(founded.network.orderers[0].admin_tls_ca))
    newcomer.operator.start()
    guide = Guide(founded, newcomer)
    written = dict(steps("join-a-consortium.md"))
    assert [heading.partition(". ")[2] for heading in written] == HEADINGS
    said, running, admitted, joined = written.values()
    await guide.run(newcomer, *said, *running)
    told = await until_says(
        newcomer, Kind.FABRIC_ORGANIZATION, newcomer.name, ConditionType.GOVERNANCE_READY, "NotAMember"
    )
    assert told == f"Org3MSP is not a member of channel {OPS}; to be let in, ask a member to propose addOrganization"
    assert not await newcomer.reader.system.channels()

    # When: the members let it into the governance channel, and into another one
    await guide.run(founded.member(1), *admitted)
    admissions = [admission(founded, OPS, "welcome-org3-ops"), admission(founded, CHANNEL, "welcome-org3")]
    for story in admissions:
        await story.until_true(ConditionType.VERIFIED)
        await story.vote(founded.member(2))
        await story.until_true(ConditionType.READY)

    # Then: its peers join both, the contract is deployed there, and what is committed is caught up with
    await guide.run(newcomer, *joined)
    for story in admissions:
        name = mirror_name(story.ref)
        await newcomer.until_true(Kind.CHANNEL_PROPOSAL, name, ConditionType.READY, seconds=WITHIN_SECONDS)
    assert set(await newcomer.reader.system.channels()) == {OPS, CHANNEL}
    await newcomer.until_true(
        Kind.CHAINCODE_PROPOSAL, mirror_name(before.ref), ConditionType.READY, seconds=WITHIN_SECONDS
    )
    assert newcomer.msp_id in (await read_config(founded, CHANNEL)).members

    # And: a deploy cycle in which its vote decides
    after = Scenario.fresh(founded, 2, CHANNEL)
    after = Scenario(founded, after.chaincode, CHANNEL, after.package, after.ref, (*FOUNDERS, newcomer.msp_id))
    after.serve()
    await after.propose()
    await after.vote(newcomer)
    await after.until_true(ConditionType.READY)
    for member in founded.members:
        assert await member.reader.definition(CHANNEL, after.chaincode) is not None
    await newcomer.reader.submit(CHANNEL, after.chaincode, "Set", "colour", "blue")
    async with asyncio.timeout(WITHIN_SECONDS):
        while len({await height_at(member) for member in founded.members}) > 1:  # noqa: ASYNC110 - peers tell nobody
            await asyncio.sleep(PAUSE_SECONDS)

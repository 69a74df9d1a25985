"""AC-11: an organization joins a consortium that has deployed chaincodes, with and without OpsSC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from e2e.conftest import FOUNDERS
from e2e.scenario import WITHIN_SECONDS, Scenario
from e2e.test_channels import chaincode

from fabric_admin.definition import Definition
from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_operator.api.refs import mirror_name
from opssc_tools.environment import Consortium, manifests
from opssc_tools.environment.consortium import ASSET_MODULE
from opssc_tools.environment.objects import condition
from opssc_tools.environment.readback import facts_of

if TYPE_CHECKING:
    from opssc_tools.environment import Member
    from opssc_tools.environment.objects import Body

CHANNEL = "mychannel"


async def deploy_without_opssc(scenario: Scenario) -> None:
    """Install, approve and commit by hand, as people do with the peer program."""
    definition = Definition(scenario.chaincode, "1.0", 1)
    scenario.serve()
    for member in scenario.members:
        await member.reader.lifecycle.install(scenario.package.data)
        await member.reader.lifecycle.approve(scenario.channel, definition, scenario.package.package_id)
    committer = scenario.members[0].reader.lifecycle
    await committer.commit(scenario.channel, definition, [member.msp_id for member in scenario.members])


async def until_ready(newcomer: Member, scenario: Scenario) -> Body:
    return await newcomer.until_true(
        Kind.CHAINCODE_PROPOSAL, mirror_name(scenario.ref), ConditionType.READY, seconds=WITHIN_SECONDS
    )


async def until_hesitant(newcomer: Member, scenario: Scenario, reason: str) -> Body:
    """Wait until the newcomer's object says that it leaves its nodes alone for this reason; returns the condition."""
    name = mirror_name(scenario.ref)
    body = await newcomer.until_reason(
        Kind.CHAINCODE_PROPOSAL, name, ConditionType.READY, reason, seconds=WITHIN_SECONDS
    )
    return condition(body, ConditionType.READY)


async def until_channel_shows(newcomer: Member, name: str, **expected: Any) -> None:
    def holds(body: Body | None) -> bool:
        entry = chaincode(body, name)
        return bool(entry) and all(entry.get(field) == value for field, value in expected.items())

    await newcomer.until(Kind.FABRIC_CHANNEL, CHANNEL, holds, f"{name} {expected}", seconds=WITHIN_SECONDS)


async def assert_installed_and_approved(newcomer: Member, scenario: Scenario, sequence: int = 1) -> None:
    reader = newcomer.reader
    assert scenario.package.package_id in await reader.installed()
    approved = await reader.lifecycle.query_approved(CHANNEL, scenario.chaincode, sequence)
    assert approved is not None
    assert approved.package_id == scenario.package.package_id
    committed = await reader.lifecycle.query_committed(CHANNEL, scenario.chaincode)
    assert committed is not None
    assert committed.approvals[newcomer.msp_id]


async def assert_untouched(newcomer: Member, scenario: Scenario) -> None:
    assert scenario.package.package_id not in await newcomer.reader.installed()
    for sequence in (1, 2):
        assert await newcomer.reader.lifecycle.query_approved(CHANNEL, scenario.chaincode, sequence) is None


async def test_a_new_organization_catches_up_with_what_it_trusts_and_adopts_the_rest_with_the_others(
    founded: Consortium,
) -> None:
    # Given: three deployed chaincodes, of which one kept its package since, and one never was a proposal
    trusted, doubtful, foreign = (Scenario.fresh(founded, number, CHANNEL) for number in (1, 2, 3))
    await trusted.deploy()
    await doubtful.deploy()
    kept = doubtful.following(2)
    await kept.propose(package={"type": "unchanged"}, chaincode={"name": kept.chaincode, "version": "1.1"})
    await kept.agree()
    await kept.until_true(ConditionType.READY)
    await deploy_without_opssc(foreign)

    # When: a third organization joins both channels, and trusts one of the images
    newcomer = founded.member(3)
    newcomer.serve(ASSET_MODULE, trusted.package)
    trust = {"imageRegistries": [f"ghcr.io/opssc/{trusted.package.name}"]}
    await founded.admit(newcomer, CHANNEL, spec={"trust": trust, "catchUp": "Trusted"})

    # Then: it carries that one out for itself, and says why not the other
    await until_ready(newcomer, trusted)
    await assert_installed_and_approved(newcomer, trusted)
    told = await until_hesitant(newcomer, kept, "UntrustedSource")
    assert f"ghcr.io/opssc/{doubtful.package.name} is not in trust.imageRegistries" in told["message"]
    await trusted.creator.reader.submit(CHANNEL, trusted.chaincode, "Set", "colour", "blue")
    await until_read(newcomer, trusted, "colour", b"blue")

    # and its view of the channel names the foreign one, which nobody touches
    everybody = [member.msp_id for member in founded.members]
    await until_channel_shows(newcomer, trusted.chaincode, origin="Proposal", approvals=everybody)
    await until_channel_shows(newcomer, doubtful.chaincode, origin="Proposal", approvals=list(FOUNDERS))
    await until_channel_shows(newcomer, foreign.chaincode, origin="Foreign", approvals=list(FOUNDERS))
    await assert_untouched(newcomer, doubtful)
    await assert_untouched(newcomer, foreign)

    # and it says nothing on the ledger about proposals it had no part in
    facts = await newcomer.reader.transactions("ops-channel")
    for scenario in (trusted, doubtful, kept):
        assert not [fact for fact in facts_of(facts, "Org1MSP", scenario.ref.id) if newcomer.msp_id in fact]

    # When: it consents to the other one for itself
    consent = manifests.build_vote("Org1MSP", kept.ref.id)
    consent["spec"]["local"] = {"package": {"type": "Proposed"}}
    await newcomer.apply(consent)

    # Then
    await until_ready(newcomer, kept)
    await assert_installed_and_approved(newcomer, kept, 2)

    # When: the foreign one is proposed at its next sequence, and the newcomer's vote decides
    await foreign.creator.apply(foreign.manifest(chaincode={"name": foreign.chaincode, "version": "2.0"}))
    shown = await newcomer.until_true(Kind.CHAINCODE_PROPOSAL, mirror_name(foreign.ref), ConditionType.VERIFIED)
    content_hash = shown["status"]["contentHash"]
    await newcomer.apply(manifests.build_vote("Org1MSP", foreign.ref.id, content_hash=content_hash))

    # Then: it is one of ours
    await foreign.until_true(ConditionType.READY)
    await until_ready(newcomer, foreign)
    for member in founded.members:
        definition = await member.reader.definition(CHANNEL, foreign.chaincode)
        assert definition is not None
        assert (definition.sequence, definition.version) == (2, "2.0")
    await until_channel_shows(newcomer, foreign.chaincode, origin="Proposal", proposal=str(foreign.ref), sequence=2)


async def until_read(newcomer: Member, scenario: Scenario, name: str, value: bytes) -> None:
    """Read on the newcomer's own peer, which learns of the block on its own."""
    height = (await scenario.creator.reader.system.chain_info(CHANNEL)).height
    reader = newcomer.reader
    async for block in reader.deliver.blocks(CHANNEL, start=height - 1, stop=height - 1):
        assert block.header.number == height - 1
    assert await reader.evaluate(CHANNEL, scenario.chaincode, "Get", name) == value

"""From a package to an invoked chaincode, as an administrator does it, on every backend."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from conformance.consortium import eventually

from fabric_admin.channelconfig import ChannelConfig
from fabric_admin.definition import policy_text, signature_policy_parameter
from fabric_admin.deliver import Deliver
from fabric_admin.errors import CommitFailed, DeliverError, FabricError, GatewayError, NotOffered
from fabric_admin.lifecycle import Definition
from fabric_admin.package import build_ccaas
from fabric_devnet.release import FABRIC_3_0

if TYPE_CHECKING:
    from conformance.consortium import Consortium

pytestmark = pytest.mark.asyncio(loop_scope="session")
EVERYBODY = {"Org1MSP", "Org2MSP", "Org3MSP"}


async def test_a_package_gets_the_same_id_on_every_peer_and_can_be_read_back(
    consortium: Consortium, name: str
) -> None:  # 1
    package = build_ccaas(name, "{{.chaincode_host}}:9999")

    package_id = await consortium.install(package)

    for member in consortium.members:
        installed = {chaincode.package_id: chaincode for chaincode in await member.lifecycle.query_installed()}
        assert installed[package_id].label == name
        assert installed[package_id].references == {}
        assert await member.lifecycle.get_installed_package(package_id) == package


async def test_readiness_says_who_approved_and_in_what_the_others_differ(
    consortium: Consortium, name: str
) -> None:  # 12, 13
    first, second, _ = consortium.members
    definition = Definition(name, "1.0", 1)
    before = await first.lifecycle.check_commit_readiness(consortium.channel, definition)

    await first.lifecycle.approve(consortium.channel, definition, None)
    await second.lifecycle.approve(consortium.channel, Definition(name, "2.0", 1), None)
    await consortium.approvals_seen(definition, {"Org1MSP"})

    after = await second.lifecycle.check_commit_readiness(consortium.channel, definition)
    assert before.approvals == dict.fromkeys(EVERYBODY, False)
    assert after.approvals == {"Org1MSP": True, "Org2MSP": False, "Org3MSP": False}
    if consortium.network.release >= FABRIC_3_0:
        assert before.mismatches == dict.fromkeys(EVERYBODY, ("ChaincodeParameters",))
        assert after.mismatches == {"Org2MSP": ("EndorsementInfo",), "Org3MSP": ("ChaincodeParameters",)}
    else:
        assert before.mismatches == after.mismatches == {}


async def test_a_committed_definition_is_read_back_from_every_peer(consortium: Consortium, name: str) -> None:  # 17
    definition = Definition(name, "1.0", 1)

    await consortium.approve(definition, None)
    await consortium.approvals_seen(definition, EVERYBODY)
    submitted = await consortium.first.lifecycle.commit(consortium.channel, definition)
    await consortium.committed_everywhere(name)

    for member in consortium.members:
        committed = await member.lifecycle.query_committed(consortium.channel, name)
        assert committed is not None
        assert committed.definition.version == "1.0"
        assert (committed.definition.endorsement_plugin, committed.definition.validation_plugin) == ("escc", "vscc")
        assert policy_text(committed.definition.validation_parameter) == "/Channel/Application/Endorsement"
        assert committed.approvals == dict.fromkeys(EVERYBODY, True)
        listed = await member.lifecycle.query_committed_all(consortium.channel)
        assert name in [each.definition.name for each in listed]
    transaction = await consortium.first.system.transaction(consortium.channel, submitted.transaction_id)
    assert transaction.validationCode == 0


async def test_an_explicit_endorsement_policy_survives_the_round_trip(consortium: Consortium, name: str) -> None:
    parameter = signature_policy_parameter("OutOf(2, 'Org1MSP.peer', 'Org2MSP.peer', 'Org3MSP.peer')")
    definition = Definition(name, "1.0", 1, validation_parameter=parameter)

    await consortium.first.lifecycle.approve(consortium.channel, definition, f"{name}:{'0' * 64}")
    approved = await consortium.first.lifecycle.query_approved(consortium.channel, name)

    assert approved is not None
    assert approved.definition == definition
    assert approved.package_id == f"{name}:{'0' * 64}"


async def test_all_approvals_are_listed_where_peers_can(consortium: Consortium, name: str) -> None:
    lifecycle = consortium.first.lifecycle
    await lifecycle.approve(consortium.channel, Definition(name, "1.0", 1), None)

    if consortium.network.release >= FABRIC_3_0:
        listed = await lifecycle.query_approved_all(consortium.channel)
        assert [each.definition.version for each in listed if each.definition.name == name] == ["1.0"]
    else:
        with pytest.raises(NotOffered, match="does not offer QueryApprovedChaincodeDefinitions"):
            await lifecycle.query_approved_all(consortium.channel)


async def test_a_late_organization_approves_what_is_committed_and_is_then_counted(
    consortium: Consortium, name: str
) -> None:  # 22
    first, second, third = consortium.members
    definition = Definition(name, "1.0", 1)
    for member in (first, second):
        await member.lifecycle.approve(consortium.channel, definition, None)
    await consortium.approvals_seen(definition, {"Org1MSP", "Org2MSP"})
    await first.lifecycle.commit(consortium.channel, definition, ("Org1MSP", "Org2MSP"))
    await consortium.committed_everywhere(name)

    await third.lifecycle.approve(consortium.channel, definition, None)

    committed = await third.lifecycle.query_committed(consortium.channel, name)
    assert committed is not None
    assert committed.approvals == dict.fromkeys(EVERYBODY, True)


async def test_what_one_organization_writes_another_reads(consortium: Consortium, name: str) -> None:
    async with consortium.running_asset(name) as package_id:
        first, _, third = consortium.members

        async def written() -> bool:
            try:
                await first.client.submit(consortium.channel, name, (b"Set", b"colour", b"green"))
            except GatewayError as exc:
                if exc.code in {"FAILED_PRECONDITION", "ABORTED"}:
                    # Official peers announce a new definition to each other within a second.
                    return False
                raise
            return True

        async def read() -> bool:
            with contextlib.suppress(GatewayError):
                return await third.client.evaluate(consortium.channel, name, (b"Get", b"colour")) == b"green"
            return False

        await eventually(written)
        await eventually(read)

        installed = {each.package_id: each for each in await first.lifecycle.query_installed()}
        assert [each.name for each in installed[package_id].references[consortium.channel]] == [name]
        with pytest.raises(GatewayError) as refusal:
            await first.client.evaluate(consortium.channel, name, (b"Get", b"size"))
        assert refusal.value.code == "UNKNOWN"
        assert refusal.value.message == (
            "evaluate call to endorser returned error: chaincode response 404, asset size does not exist"
        )


async def test_the_transaction_id_is_known_before_anything_is_sent(consortium: Consortium, name: str) -> None:
    first = consortium.first
    definition = Definition(name, "1.0", 1)
    await consortium.approve(definition, None)
    await consortium.approvals_seen(definition, EVERYBODY)

    prepared = await first.lifecycle.endorse_commit(consortium.channel, definition)
    await first.gateway.submit_prepared(prepared)
    await first.gateway.submit_prepared(prepared)
    status = await first.gateway.commit_status(consortium.channel, prepared.transaction_id)

    assert status.code == "VALID"
    block = await first.system.block_by_transaction(consortium.channel, prepared.transaction_id)
    assert block.header.number == status.block_number


async def test_streams_show_commits_filtered_and_in_full(consortium: Consortium, name: str) -> None:
    first = consortium.first
    deliver = Deliver(first.connection, first.organization.client)
    height = (await first.system.chain_info(consortium.channel)).height
    full = deliver.blocks(consortium.channel, start=height)
    filtered = deliver.filtered(consortium.channel, start=height)

    submitted = await first.lifecycle.approve(consortium.channel, Definition(name, "1.0", 1), None)

    async with contextlib.aclosing(full), contextlib.aclosing(filtered):
        block, short = await anext(full), await anext(filtered)
        assert block.header.number == short.number == submitted.block_number == height
        transactions = [(each.txid, each.tx_validation_code) for each in short.filtered_transactions]
        assert transactions == [(submitted.transaction_id, 0)]


async def test_a_stream_of_past_blocks_ends_after_the_last_one_asked_for(consortium: Consortium) -> None:
    deliver = Deliver(consortium.first.connection, consortium.first.organization.client)

    numbers = [block.header.number async for block in deliver.blocks("ops-channel", start=0, stop=0)]

    assert numbers == [0]


@pytest.mark.parametrize(
    ("channel", "start", "status"),
    [
        pytest.param("nosuch", 0, "NOT_FOUND", id="unknown-channel"),
        pytest.param("ops-channel", 4711, "NOT_FOUND", id="beyond-the-chain"),
    ],
)
async def test_a_stream_that_cannot_go_on_ends_with_its_status(
    consortium: Consortium, channel: str, start: int, status: str
) -> None:
    deliver = Deliver(consortium.first.connection, consortium.first.organization.client)

    with pytest.raises(DeliverError) as refusal:
        _ = [block async for block in deliver.blocks(channel, start=start)]

    assert refusal.value.status == status


async def test_a_stream_whose_start_lies_after_its_stop_is_refused(consortium: Consortium, name: str) -> None:
    first = consortium.first
    submitted = await first.lifecycle.approve(consortium.channel, Definition(name, "1.0", 1), None)
    last = submitted.block_number
    deliver = Deliver(first.connection, first.organization.client)

    with pytest.raises(DeliverError) as refusal:
        _ = [block async for block in deliver.blocks(consortium.channel, start=last, stop=last - 1)]

    assert refusal.value.status == "BAD_REQUEST"


async def test_every_peer_proves_the_channels_members_and_lifecycle_rule(consortium: Consortium) -> None:
    for member in consortium.members:
        config = ChannelConfig.from_block(await member.system.config_block(consortium.channel))
        same = ChannelConfig.from_config(await member.system.channel_config(consortium.channel), consortium.channel)

        assert {"mychannel", "ops-channel"} <= set(await member.system.channels())
        assert config.members == same.members == ("Org1MSP", "Org2MSP", "Org3MSP")
        rule = config.organization_rule("/Channel/Application/LifecycleEndorsement")
        assert rule.n == 2


async def test_a_peer_that_was_stopped_comes_back_with_its_ledgers(consortium: Consortium, name: str) -> None:
    third = consortium.members[2]
    peer = third.organization.peers[0]
    before = await third.system.chain_info(consortium.channel)

    await peer.stop()
    assert not peer.running
    with pytest.raises(FabricError):
        await third.system.chain_info(consortium.channel)
    await consortium.first.lifecycle.approve(consortium.channel, Definition(name, "1.0", 1), None)
    await peer.start()
    await third.connection.ready()

    async def caught_up() -> bool:
        return (await third.system.chain_info(consortium.channel)).height > before.height

    await eventually(caught_up)


async def test_a_commit_endorsed_by_too_few_organizations_is_flagged_and_changes_nothing(
    consortium: Consortium, name: str
) -> None:
    definition = Definition(name, "1.0", 1)
    await consortium.approve(definition, None)

    with pytest.raises(CommitFailed) as failure:
        await consortium.first.lifecycle.commit(consortium.channel, definition, ("Org1MSP",))

    assert failure.value.code == "ENDORSEMENT_POLICY_FAILURE"
    assert not failure.value.retryable
    assert await consortium.first.lifecycle.query_committed(consortium.channel, name) is None

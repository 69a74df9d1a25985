"""AC-25, 26, 27: changes of a channel are recomputed by every voter, signed, submitted once, and proved."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

from e2e.channel_story import ChannelStory, read_config
from e2e.contract_call import CONTRACT, GOVERNANCE, refusal_of

from fabric_admin import channelconfig
from opssc_chaincode import canonical
from opssc_chaincode.model import ChannelContent, Facts
from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_operator.api.refs import ProposalRef, mirror_name
from opssc_operator.domain.channels.signatures import encode_signature
from opssc_tools.environment import manifests
from opssc_tools.environment.manifests import build_change
from opssc_tools.environment.objects import condition

if TYPE_CHECKING:
    from collections.abc import Callable

    from opssc_tools.environment import Consortium, Member
    from opssc_tools.environment.objects import Body

CHANNEL = "changing"
ACL = build_change("setACL", resource="qscc/GetChainInfo", policy="/Channel/Application/Writers")
POLICY = build_change("setPolicy", path="/Channel/Application/Endorsement", rule="ANY Endorsement")


def members_of(consortium: Consortium, *msp_ids: str) -> tuple[Member, ...]:
    return tuple(member for member in consortium.members if member.msp_id in msp_ids)


async def test_a_change_of_the_application_is_agreed_to_by_a_majority_and_applied_once(
    consortium: Consortium, numbers: Callable[[], int]
) -> None:
    # Given
    members = members_of(consortium, "Org1MSP", "Org2MSP", "Org3MSP")
    before = await read_config(consortium, CHANNEL)
    story = ChannelStory(consortium, members, CHANNEL, f"acl-{numbers()}", {"changes": [ACL, POLICY]})

    # When
    await story.propose()
    shown = story.seen_by(members[1]) or {}
    assert any("qscc/GetChainInfo" in line for line in shown["status"]["diff"])
    await story.vote(members[2])
    await story.until_true(ConditionType.READY)

    # Then
    after = await read_config(consortium, CHANNEL)
    assert after.sequence == before.sequence + 1
    assert after.acls["qscc/GetChainInfo"] == "/Channel/Application/Writers"
    assert after.policy_text("/Channel/Application/Endorsement") == "ANY Endorsement"
    for member in members:
        status = (story.seen_by(member) or {})["status"]
        assert status["phase"] == "Applied"
        assert status["submission"]["by"] in {"Org1MSP", "Org3MSP"}


async def facts_of(member: Member, ref: ProposalRef) -> Facts:
    return Facts.from_state(await member.reader.evaluate(GOVERNANCE, CONTRACT, "GetProposal", ref.creator, ref.id))


async def test_a_delta_that_is_not_its_changes_gets_no_vote_and_no_signature(
    consortium: Consortium, numbers: Callable[[], int]
) -> None:
    # Given: what organization 1 would honestly propose, seen in a dry run, and another delta
    members = members_of(consortium, "Org1MSP", "Org2MSP", "Org3MSP")
    honest = ChannelStory(consortium, members, CHANNEL, f"honest-{numbers()}", {"changes": [OTHER_ACL]})
    await honest.propose()
    document = (await facts_of(members[0], honest.ref)).proposal.to_json()
    forged = {name: document[name] for name in ("schema", "kind", "content", "snapshot", "deadline")}
    config = await read_config(consortium, CHANNEL)
    robbed = channelconfig.edits.remove_organization(config.config, "Org3MSP")
    update = channelconfig.compute_update(CHANNEL, config.config, robbed)
    forged["content"] = {**document["content"], "configUpdate": base64_of(update.SerializeToString())}
    forged["id"] = f"forged-{numbers()}"

    # When
    assert await refusal_of(members[0], "Propose", canonical.dumps(forged).decode()) == ""
    ref = ProposalRef("Org1MSP", forged["id"])

    # Then
    verified, mirror = ConditionType.VERIFIED, mirror_name(ref)
    await asyncio.gather(
        *(other.until_reason(Kind.CHANNEL_PROPOSAL, mirror, verified, "DeltaMismatch") for other in members[1:])
    )
    shown = members[1].objects.get(Kind.CHANNEL_PROPOSAL, mirror_name(ref)) or {}
    vote = manifests.build_vote(ref.creator, ref.id, content_hash=shown["status"]["contentHash"])
    await members[1].apply(vote)
    await members[1].until_reason(Kind.VOTE, vote["metadata"]["name"], ConditionType.COUNTED, "DeltaMismatch")
    facts = await facts_of(members[2], ref)
    assert [each.msp_id for each in facts.votes] == ["Org1MSP"]
    assert not facts.reports

    # And: nobody can report another's signature
    content = facts.proposal.content
    assert isinstance(content, ChannelContent)
    stolen = encode_signature(channelconfig.sign(members[1].organization.admin, content.update_bytes))
    evidence = json.dumps({"configSignature": stolen}, separators=(",", ":"))
    answer = await refusal_of(members[0], "Report", ref.creator, ref.id, "Signed", "Done", evidence, "")
    assert "BAD_SIGNATURE: " in answer
    await members[0].apply(honest.manifest(withdraw=True))
    await honest.until(ConditionType.READY, "False", "Withdrawn")


async def test_what_another_change_overtook_is_proposed_anew_and_applied_once(
    consortium: Consortium, numbers: Callable[[], int]
) -> None:
    # Given: two changes of the same element, computed on the same configuration
    members = members_of(consortium, "Org1MSP", "Org2MSP", "Org3MSP")
    first = ChannelStory(consortium, members, CHANNEL, f"first-{numbers()}", {"changes": [acl("cscc/GetChannels")]})
    second = ChannelStory(
        consortium, members, CHANNEL, f"second-{numbers()}", {"changes": [acl("lscc/ChaincodeExists")]}
    )
    await first.propose()
    await second.propose()

    # When
    await first.vote(members[1])
    await first.until_true(ConditionType.READY)

    # Then: the second is stale, and its creator asks anew
    revision = ProposalRef("Org1MSP", f"{second.proposal_id}-r2")
    name = mirror_name(revision)

    def overtaken(body: Body | None) -> bool:
        return ((body or {}).get("status") or {}).get("successor") == str(revision)

    await asyncio.gather(
        *(member.until(Kind.CHANNEL_PROPOSAL, second.object_name(member), overtaken, "overtaken") for member in members)
    )
    for member in members:
        shown = second.seen_by(member)
        applied = condition(shown, ConditionType.APPLIED)
        assert (applied["status"], applied["reason"]) == ("False", "Stale")
        assert "/Channel/Application/ACLs" in applied["message"]
        assert condition(shown, ConditionType.READY)["reason"] == "Stale"
        assert not condition(shown, ConditionType.STALLED)

    def verified(body: Body | None) -> bool:
        return condition(body, ConditionType.VERIFIED).get("status") == "True"

    await asyncio.gather(*(each.until(Kind.CHANNEL_PROPOSAL, name, verified, "verified") for each in members))
    revised = members[2].objects.get(Kind.CHANNEL_PROPOSAL, name) or {}
    vote = manifests.build_vote(revision.creator, revision.id, content_hash=revised["status"]["contentHash"])
    await members[2].apply(vote)
    await asyncio.gather(*(each.until_true(Kind.CHANNEL_PROPOSAL, name, ConditionType.READY) for each in members))
    config = await read_config(consortium, CHANNEL)
    assert {"cscc/GetChannels", "lscc/ChaincodeExists"} <= config.acls.keys()


async def test_a_dry_run_shows_the_difference_and_leaves_the_ledger_alone(
    consortium: Consortium, numbers: Callable[[], int]
) -> None:
    # Given
    creator = members_of(consortium, "Org1MSP")[0]
    name = f"look-{numbers()}"
    manifest = manifests.build_channel_proposal(name, CHANNEL, dryRun=True, changes=[acl("qscc/GetBlockByHash")])

    # When
    await creator.apply(manifest)
    body = await creator.until_true(Kind.CHANNEL_PROPOSAL, name, ConditionType.READY)

    # Then
    assert condition(body, ConditionType.READY)["reason"] == "DryRun"
    assert any("qscc/GetBlockByHash" in line for line in body["status"]["diff"])
    (policy,) = body["status"]["policies"]
    assert (policy["modPolicy"], policy["satisfied"]) == ("/Channel/Application/Admins", False)
    assert policy["missing"] == ["Org1MSP", "Org2MSP", "Org3MSP"]
    assert "NOT_FOUND" in await refusal_of(creator, "Close", "Org1MSP", name, "Withdrawn", "")


def acl(resource: str) -> dict[str, Any]:
    return build_change("setACL", resource=resource, policy="/Channel/Application/Writers")


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


OTHER_ACL = acl("qscc/GetTransactionByID")

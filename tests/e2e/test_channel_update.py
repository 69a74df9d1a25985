"""AC-20, 24: changes of a channel are proposed, recomputed by every voter, signed, submitted once, and proved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e2e.channel_story import ChannelStory, read_config

from opssc_operator.api.conditions import ConditionType
from opssc_tools.environment.manifests import build_change

if TYPE_CHECKING:
    from collections.abc import Callable

    from opssc_tools.environment import Consortium, Member

CHANNEL = "changing"
ACL = build_change("setACL", resource="qscc/GetChainInfo", policy="/Channel/Application/Admins")
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
    assert after.acls["qscc/GetChainInfo"] == "/Channel/Application/Admins"
    assert after.policy_text("/Channel/Application/Endorsement") == "ANY Endorsement"
    for member in members:
        status = (story.seen_by(member) or {})["status"]
        assert status["phase"] == "Applied"
        assert status["submission"]["by"] in {"Org1MSP", "Org3MSP"}

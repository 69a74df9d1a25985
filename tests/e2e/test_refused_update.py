"""AC-28: what an orderer refuses is Failed with the orderer's words, everywhere, and never recorded as applied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from e2e.channel_story import ChannelStory, read_config
from e2e.test_channel_update import facts_of

from opssc_chaincode.model import Outcome, Step
from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_tools.environment.founding import split
from opssc_tools.environment.manifests import build_change
from opssc_tools.environment.objects import condition

if TYPE_CHECKING:
    from opssc_tools.environment import Consortium
    from opssc_tools.environment.objects import Body

CHANNEL: Final = "refused"
WORDS: Final = "nodes are alive, configuration will result in quorum loss"


async def test_an_update_that_the_orderer_refuses_is_failed_with_its_words(owners: Consortium) -> None:
    # Given: one of three consenters is down, which no operator can see
    first, second, third = owners.members
    down = first.organization.orderers[-1]
    (other,) = second.organization.orderers
    before = await read_config(owners, CHANNEL)
    await down.stop()

    # When: another one is to be removed
    try:
        change = build_change("removeConsenter", **split(other.address))
        story = ChannelStory(owners, (first, second, third), CHANNEL, "one-too-many", {"changes": [change]})
        await story.propose()
        await story.vote(second)

        # Then: who submitted it has the orderer's words, and the others read them
        def told(body: Body | None) -> bool:
            steps = (body or {}).get("status", {}).get("organizations", [])
            return any(WORDS in each.get("message", "") for each in steps)

        for member in owners.members:
            await member.until(Kind.CHANNEL_PROPOSAL, story.object_name(member), told, "the orderer's words")
        shown = [(story.seen_by(member) or {})["status"] for member in (first, second)]
        failed = [status for status in shown if status["phase"] == "Failed"]
        assert failed
        for status in failed:
            found = condition({"status": status}, ConditionType.APPLIED)
            assert (found["status"], found["reason"]) == ("False", "SubmissionRefused")
            assert WORDS in found["message"]

        # And: nothing is applied, on the ledger or by anybody's word
        assert (await read_config(owners, CHANNEL)).sequence == before.sequence
        reports = (await facts_of(first, story.ref)).reports
        assert {each.outcome for each in reports if each.step is Step.APPLIED} == {Outcome.FAILED}
    finally:
        await down.start()

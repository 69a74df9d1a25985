"""AC-24: the channel's own policies decide, whatever their form, and status says who is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest
from e2e.channel_story import ChannelStory, read_config
from e2e.contract_call import refusal_of

from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_tools.environment.manifests import build_change
from opssc_tools.environment.objects import condition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opssc_tools.environment import Consortium
    from opssc_tools.environment.objects import Body

CHANNEL: Final = "ruled"
APPLICATION: Final = "/Channel/Application"
NESTED: Final = "OutOf(2, 'Org1MSP.admin', OutOf(1, 'Org2MSP.admin', 'Org3MSP.admin'))"
RULES: Final[Mapping[str, str]] = {"Any": "ANY Admins", "All": "ALL Admins", "Nested": NESTED}


@dataclass(frozen=True, slots=True)
class Case:
    """Who proposes, who agrees in which order, and who is missing before each agreement, by `status.policies`."""

    rule: str
    creator: int
    voters: tuple[int, ...]
    awaited: tuple[str, ...] = ()


CASES: Final = (
    pytest.param(Case("Any", 3, ()), id="any"),
    pytest.param(Case("All", 1, (2, 3), ("Org2MSP, Org3MSP (1/3)", "Org3MSP (2/3)")), id="all"),
    pytest.param(Case("Nested", 2, (3, 1), ("Org1MSP, Org3MSP (1/2)", "Org1MSP (2/3)")), id="signatures-nested"),
)


def changing(name: str, rule: str) -> dict[str, Any]:
    return build_change("setPolicy", path=f"{APPLICATION}/{name}", rule=rule)


@pytest.fixture(scope="module")
def introduced() -> set[str]:
    """Channels that have the policies of this scenario."""
    return set()


async def introduce(consortium: Consortium, introduced: set[str]) -> None:
    """Give the channel an element under each kind of policy."""
    if CHANNEL in introduced:
        return
    first, second, third = consortium.members
    changes = []
    for name, rule in RULES.items():
        changes += [
            changing(f"Decides{name}", rule),
            changing(name, "ANY Readers"),
            build_change("setModPolicy", path=f"{APPLICATION}/{name}", modPolicy=f"Decides{name}"),
        ]
    story = ChannelStory(consortium, (first, second, third), CHANNEL, "introduce", {"changes": changes})
    await story.carry_out(second)
    introduced.add(CHANNEL)


@pytest.mark.parametrize("case", CASES)
async def test_an_update_is_submitted_exactly_when_its_policy_is_satisfied(
    owners: Consortium, introduced: set[str], case: Case
) -> None:
    # Given
    await introduce(owners, introduced)
    before = await read_config(owners, CHANNEL)
    creator = owners.member(case.creator)
    members = (creator, *(member for member in owners.members if member is not creator))
    change = changing(case.rule, "ANY Writers")
    story = ChannelStory(owners, members, CHANNEL, f"under-{case.rule.lower()}", {"changes": [change]})

    # When: one after the other agrees
    await story.propose()
    for number, awaited in zip(case.voters, case.awaited, strict=True):

        def waits(body: Body | None, awaited: str = awaited) -> bool:
            return condition(body, ConditionType.ACCEPTED).get("message") == f"waiting for {awaited}"

        shown = await creator.until(Kind.CHANNEL_PROPOSAL, story.proposal_id, waits, awaited)
        (policy,) = shown["status"]["policies"]
        assert (policy["modPolicy"], policy["satisfied"]) == (f"{APPLICATION}/Decides{case.rule}", False)
        assert set(awaited.partition(" (")[0].split(", ")) <= set(policy["missing"])
        assert not shown["status"]["signatures"]
        assert (await read_config(owners, CHANNEL)).sequence == before.sequence
        await story.vote(owners.member(number))

    # Then
    await story.until_true(ConditionType.READY)
    after = await read_config(owners, CHANNEL)
    assert after.sequence == before.sequence + 1
    assert after.policy_text(f"{APPLICATION}/{case.rule}") == "ANY Writers"


async def test_who_agreed_and_does_not_sign_is_named_until_it_does(owners: Consortium, introduced: set[str]) -> None:
    # Given: all have to sign, and the operator of organization 3 is down
    await introduce(owners, introduced)
    first, second, third = owners.members
    before = await read_config(owners, CHANNEL)
    story = ChannelStory(
        owners, (first, second, third), CHANNEL, "silent", {"changes": [changing("All", "ANY Admins")]}
    )
    await story.propose()
    await story.vote(second)
    await third.operator.stop()

    # When: its administrator agrees all the same
    try:
        shown = story.seen_by(first) or {}
        hash_ = shown["status"]["contentHash"]
        assert not await refusal_of(third, "Vote", story.ref.creator, story.ref.id, hash_, "Agree", "")

        # Then: it is accepted, signed by the others, named, and not submitted
        def waits(body: Body | None) -> bool:
            found = condition(body, ConditionType.APPLIED)
            return found.get("message") == "waiting for the signature of Org3MSP"

        shown = await first.until(Kind.CHANNEL_PROPOSAL, story.proposal_id, waits, "Org3MSP is waited for")
        assert condition(shown, ConditionType.APPLIED)["reason"] == "AwaitingSignatures"
        assert [each["mspID"] for each in shown["status"]["signatures"]] == ["Org1MSP", "Org2MSP"]
        (policy,) = shown["status"]["policies"]
        assert (policy["satisfied"], policy["missing"]) == (False, ["Org3MSP"])
        assert (await read_config(owners, CHANNEL)).sequence == before.sequence
    finally:
        third.operator.start()

    # And: when it is back, it signs, and the update is applied
    await story.until_true(ConditionType.READY)
    assert (await read_config(owners, CHANNEL)).sequence == before.sequence + 1

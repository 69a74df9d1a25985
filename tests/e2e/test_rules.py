"""Votes by rule: sent for what a rule names and nothing else, and everybody reads what a vote came from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from e2e import oracle

from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from e2e.scenario import Scenario

    from opssc_tools.environment.objects import Body


def tells(source: str, reason: str) -> Callable[[Body | None], bool]:
    """Whether status says of the vote of organization 2 where it came from and why it was given."""

    def holds(body: Body | None) -> bool:
        votes = (body or {}).get("status", {}).get("votes", ())
        return any(
            (vote["mspID"], vote.get("source", ""), vote.get("reason", "")) == ("Org2MSP", source, reason)
            for vote in votes
        )

    return holds


async def test_a_rule_agrees_to_what_it_names_from_sources_that_are_trusted(
    new_scenario: Callable[..., Scenario],
) -> None:
    # Given: organization 2 agrees by itself to one of two chaincodes
    named, other = new_scenario(), new_scenario()
    second, third = named.members[1:]
    rules = [{"chaincodes": ["nothing"]}, {"chaincodes": [named.chaincode], "imagePrefixes": ["ghcr.io/opssc/"]}]
    trust = {"imageRegistries": ["ghcr.io/opssc/"]}
    patch = {"spec": {"voting": {"mode": "Rules", "rules": rules}, "trust": trust}}
    before = json.loads(await second.kubectl("get", "forg", second.name, "-o", "json"))["spec"]
    await second.kubectl("patch", "forg", second.name, "--type=merge", "-p", json.dumps(patch))
    named.serve()
    other.serve()

    # When
    try:
        await named.propose()
        await other.propose()
        await named.until_true(ConditionType.READY)
    finally:
        back = {"spec": {"voting": {"rules": None, **before["voting"]}, "trust": before["trust"]}}
        await second.kubectl("patch", "forg", second.name, "--type=merge", "-p", json.dumps(back))

    # Then: it was the rule, which the others read as a reason
    kind, name = Kind.CHAINCODE_PROPOSAL, named.object_name(second)
    await second.until(
        kind, name, tells("rule 2 of FabricOrganization org2", "agreed by rule 2"), "the rule", seconds=30
    )
    await third.until(kind, name, tells("", "agreed by rule 2"), "the reason", seconds=30)
    await oracle.assert_decided_and_committed_once(named, voters={"Org1MSP", "Org2MSP"})

    # And: the other chaincode waits for a person, and says then that it was one
    await other.until(ConditionType.ACCEPTED, "False", "AwaitingOwnVote", second)
    await other.vote(second)
    await second.until(kind, other.object_name(second), tells(f"Vote {other.ref.id}", ""), "the Vote", seconds=30)

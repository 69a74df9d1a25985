"""AC-29b and bad input: what would hurt a channel is refused before it is proposed, and nothing is on the ledger."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from e2e.channel_story import read_config
from e2e.contract_call import refusal_of
from unit.fabric.authority import Authority

from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_tools.environment.founding import definition_of
from opssc_tools.environment.manifests import build_change, build_channel_proposal
from opssc_tools.environment.objects import condition

if TYPE_CHECKING:
    from collections.abc import Callable

    from opssc_tools.environment import Consortium
    from opssc_tools.environment.objects import Body

CHANNEL = "changing"
UNREADABLE = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "org4"}, "data": {"definition.json": "{}"}}
OLD = Authority("Org4MSP", end=datetime(2025, 6, 1, tzinfo=UTC))
FOREIGN = Authority("Org9MSP").issue("orderer").certificate_pem.decode()


def adding(source: dict[str, Any]) -> dict[str, Any]:
    return build_change("addOrganization", mspID="Org4MSP", definitionFrom=source)


async def test_what_would_hurt_is_refused_before_it_is_proposed(
    consortium: Consortium, numbers: Callable[[], int]
) -> None:
    # Given
    creator, newcomer = consortium.members[0], consortium.members[3]
    before = await read_config(consortium, CHANNEL)
    known = definition_of(newcomer.organization)
    consenters = [
        build_change("removeConsenter", host=each.address.host, port=each.address.port) for each in before.consenters
    ]
    harmful: dict[str, tuple[list[dict[str, Any]], str, str]] = {
        "unreadable": ([adding({"configMapRef": {"name": "org4"}})], "DefinitionInvalid", "key definition.json"),
        "expired": (
            [adding({"inline": {**known, "rootCerts": [*known["rootCerts"], OLD.pem.decode()]}})],
            "InvalidSpec",
            "/Channel/Application/Org4MSP/MSP",
        ),
        "twice": ([adding({"inline": known})] * 2, "InvalidSpec", "changes[1].addOrganization: Org4MSP is a member"),
        "foreign": (
            [build_change("addConsenter", host="orderer9", port=7050, clientTlsCert=FOREIGN, serverTlsCert=FOREIGN)],
            "InvalidSpec",
            "/Channel/Orderer/ConsensusType",
        ),
        "last": (consenters, "InvalidSpec", "is the last consenter"),
        "capability": ([build_change("setCapability", section="Application", level="V9_9")], "InvalidSpec", "V9_9"),
        "policy": (
            [build_change("setPolicy", path="/Channel/Application/Admins", rule="MAJORITY Nobodies")],
            "InvalidSpec",
            "/Channel/Application/Admins",
        ),
        "stranger": ([build_change("removeOrganization", mspID="Org9MSP")], "InvalidSpec", "Org9MSP"),
    }
    names = {case: f"{case}-{numbers()}" for case in harmful}

    # When
    asked = [build_channel_proposal(names[case], CHANNEL, changes=changes) for case, (changes, _, _) in harmful.items()]
    await creator.kubectl("delete", "configmap", "org4", "--ignore-not-found")
    await creator.apply(UNREADABLE, *asked)

    # Then
    async def refused(case: str) -> None:
        _, reason, said = harmful[case]

        def named(body: Body | None) -> bool:
            # Whoever mends a ConfigMap tells nobody, so it is read again.
            where = ConditionType.RECONCILING if reason == "DefinitionInvalid" else ConditionType.STALLED
            found = condition(body, where)
            return (found.get("status"), found.get("reason")) == ("True", reason) and said in found["message"]

        await creator.until(Kind.CHANNEL_PROPOSAL, names[case], named, f"{case}: refused, naming {said}")
        assert "NOT_FOUND" in await refusal_of(creator, "Close", "Org1MSP", names[case], "Withdrawn", "")

    await asyncio.gather(*(refused(case) for case in harmful))
    assert (await read_config(consortium, CHANNEL)).sequence == before.sequence

"""AC-29: an orderer becomes a consenter, gets another certificate and leaves, each time with its owner's operator."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import pytest_asyncio
from e2e.channel_story import ChannelStory, read_config, read_part

from fabric_devnet.material import issue_tls
from fabric_devnet.release import FABRIC_3_0
from fabric_devnet.spec import ChannelSpec
from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_tools.bench.exposition import parse_samples, served_port
from opssc_tools.environment import Consortium, EnvironmentSpec
from opssc_tools.environment.founding import split
from opssc_tools.environment.manifests import build_change, build_channel_proposal
from opssc_tools.environment.objects import condition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fabric_devnet.network import Orderer
    from opssc_tools.environment import Member
    from opssc_tools.environment.objects import Body

CHANNEL = "ordered"
MEMBERS = ("Org1MSP", "Org2MSP", "Org3MSP")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def with_spare(ground: EnvironmentSpec) -> AsyncIterator[Consortium]:
    """Organizations 1 and 2 run an orderer each; organization 1 has another one, which is in no channel yet.

    In the consortium of `owners` every orderer is a consenter of every channel, so nobody can be added there.
    """
    spec = replace(
        ground,
        channels=(ChannelSpec("ops-channel"), ChannelSpec(CHANNEL, members=MEMBERS)),
        orderers=3,
        orderer_owners=("Org1MSP", "Org2MSP"),
        spare_orderers=1,
        channel_capability="V2_0",
    )
    async with Consortium.start(spec) as running:
        yield running


def spare_of(consortium: Consortium) -> Orderer:
    return next(each for each in consortium.network.orderers if each.node.spare)


def certificate_of(orderer: Orderer) -> str:
    return (orderer.node.directory / "tls" / "server.crt").read_text()


def addition_of(orderer: Orderer) -> dict[str, Any]:
    pem = certificate_of(orderer)
    return build_change("addConsenter", **split(orderer.address), clientTlsCert=pem, serverTlsCert=pem)


def certificates(owner: Member, name: str, **given: timedelta) -> dict[str, str]:
    """TLS certificates of an orderer that does not run."""
    pem = issue_tls(owner.organization.directory, owner.organization.domain, name, **given).certificate_pem.decode()
    return {"clientTlsCert": pem, "serverTlsCert": pem}


def remove(orderer: Orderer) -> dict[str, Any]:
    return build_change("removeConsenter", **split(orderer.address))


async def addresses_in_force(consortium: Consortium) -> set[str]:
    return {str(each.address) for each in (await read_config(consortium, CHANNEL)).consenters}


async def until_consenters(consortium: Consortium, status: str, reason: str, words: str) -> None:
    """Wait until every organization's FabricChannel says this of the consenters' certificates."""

    def said(body: Body | None) -> bool:
        found = condition(body, ConditionType.CONSENTERS_VALID)
        return (found.get("status"), found.get("reason")) == (status, reason) and words in found["message"]

    await asyncio.gather(*(each.until(Kind.FABRIC_CHANNEL, CHANNEL, said, words) for each in consortium.members))


async def shown_ends(member: Member) -> dict[str, float]:
    """What the operator's metric says of the channel, by consenter."""
    port = served_port(member.logs / f"operator-{member.name}.log")
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as response:
        samples = parse_samples(await response.text(), "opssc_consenter_certificate_expiry_timestamp_seconds")
    return {each.labels["consenter"]: each.value for each in samples if each.labels["channel"] == CHANNEL}


def joined_of(body: Body | None, msp_id: str) -> str:
    steps = (body or {}).get("status", {}).get("organizations", [])
    return next((each["joined"] for each in steps if each["mspID"] == msp_id), "")


async def test_an_orderer_becomes_a_consenter_once_it_follows_the_channel(with_spare: Consortium) -> None:
    # Given: the certificate it has is good for ten more days
    first, second, third = with_spare.members
    spare, organization = spare_of(with_spare), first.organization
    short = issue_tls(organization.directory, organization.domain, spare.name, lifetime=timedelta(days=10))
    await spare.use_tls(short)
    endpoints = [each.address for each in first.organization.orderers]
    changes = [addition_of(spare), build_change("setOrdererEndpoints", mspID="Org1MSP", endpoints=endpoints)]
    story = ChannelStory(with_spare, (second, first, third), CHANNEL, "one-more-orderer", {"changes": changes})

    # When: those who run orderers agree
    await story.propose()
    await story.vote(first)
    await story.until_true(ConditionType.READY)

    # Then: the orderer takes part by its own word, and its owner told so
    info = await read_part(spare, CHANNEL)
    assert (info.relation, info.status) == ("consenter", "active")
    assert spare.address in await addresses_in_force(with_spare)
    told = await second.until(
        Kind.CHANNEL_PROPOSAL, story.proposal_id, lambda body: joined_of(body, "Org1MSP") == "Done", "told"
    )
    assert joined_of(told, "Org2MSP") == "Pending"

    # And: everybody is told when it will end
    date = f"{short.certificate.not_valid_after_utc:%Y-%m-%d}"
    words = f"{spare.address} is valid until {date} (client TLS, server TLS)"
    await until_consenters(with_spare, "False", "CertificateExpiring", words)
    for member in with_spare.members:
        assert (await shown_ends(member))[spare.address] == short.certificate.not_valid_after_utc.timestamp()


async def test_another_certificate_is_done_when_the_orderer_runs_with_it(with_spare: Consortium) -> None:
    # Given
    first, second, third = with_spare.members
    spare = spare_of(with_spare)
    organization = first.organization
    pair = issue_tls(organization.directory, organization.domain, spare.name)
    pem = pair.certificate_pem.decode()
    change = build_change("replaceConsenterCertificates", **split(spare.address), clientTlsCert=pem, serverTlsCert=pem)
    story = ChannelStory(with_spare, (first, second, third), CHANNEL, "new-certificate", {"changes": [change]})

    # When
    await story.propose()
    await story.vote(second)
    await story.until_true(ConditionType.READY, second, third)

    # Then: its owner waits for the person who has the files
    await story.until(ConditionType.READY, "False", "AwaitingOrderer", first)
    await story.until_true(ConditionType.APPLIED, first)
    message = condition(story.seen_by(first), ConditionType.READY)["message"]
    assert message.startswith(f"orderer {spare.address} has another TLS certificate than the change gives it")

    # When
    await spare.use_tls(pair)

    # Then
    await story.until_true(ConditionType.READY, first)
    info = await read_part(spare, CHANNEL)
    assert (info.relation, info.status) == ("consenter", "active")
    await until_consenters(with_spare, "True", "CertificatesValid", "no consenter's certificate expires within 30 days")


async def test_a_consenter_leaves_and_keeps_its_ledger(with_spare: Consortium) -> None:
    # Given
    first, second, third = with_spare.members
    spare = spare_of(with_spare)
    kept = [each.address for each in first.organization.orderers if each is not spare]
    changes = [
        remove(spare),
        build_change("setOrdererEndpoints", mspID="Org1MSP", endpoints=kept),
    ]
    story = ChannelStory(with_spare, (first, second, third), CHANNEL, "one-less-orderer", {"changes": changes})

    # When
    await story.carry_out(second)

    # Then
    assert spare.address not in await addresses_in_force(with_spare)
    assert (await read_part(spare, CHANNEL)).height > 0
    message = condition(story.seen_by(first), ConditionType.READY)["message"]
    assert message.endswith(f"own orderer {spare.address} keeps its ledger of the channel until a person removes it")


async def test_consenters_that_could_not_take_part_are_refused_by_name(with_spare: Consortium) -> None:
    # Given
    creator, second, third = with_spare.members
    spare = spare_of(with_spare)
    standing, other = (each for each in with_spare.network.orderers if each is not spare)
    addition = {**split(spare.address), **certificates(third, "orderer9")}
    another = build_change("addConsenter", host="orderer8", port=7050, **certificates(second, "orderer8"))
    # Valid since five minutes ago, for one of them.
    expired = {**split(spare.address), **certificates(second, "orderer9", lifetime=timedelta(minutes=1))}
    bad = {
        "expired": ([build_change("addConsenter", **expired)], f"consenter {spare.address} has invalid certificates"),
        "all-leave": ([remove(standing), remove(other)], "is the last consenter"),
        "twice": ([build_change("addConsenter", **{**addition, **split(other.address)})], f"{other.address} exists"),
        "foreign": ([build_change("addConsenter", **addition)], f"consenter {spare.address} has invalid certificate"),
        "two": ([addition_of(spare), another], "more than one consenter at a time"),
    }

    # When
    for name, (changes, _) in bad.items():
        await creator.apply(build_channel_proposal(name, CHANNEL, changes=changes))

    # Then
    for name, (_, words) in bad.items():

        def named(body: Body | None, words: str = words) -> bool:
            found = condition(body, ConditionType.STALLED)
            return found.get("reason") == "InvalidSpec" and words in found["message"]

        await creator.until(Kind.CHANNEL_PROPOSAL, name, named, words)


async def test_a_capability_is_raised(with_spare: Consortium) -> None:
    if with_spare.network.release < FABRIC_3_0:
        pytest.skip(f"Fabric {with_spare.network.release} knows no level above V2_0")
    # Given
    first, second, third = with_spare.members
    change = build_change("setCapability", section="Channel", level="V3_0")
    story = ChannelStory(with_spare, (third, first, second), CHANNEL, "fabric-three", {"changes": [change]})

    # When
    await story.carry_out(first, second)

    # Then
    assert (await read_config(with_spare, CHANNEL)).capabilities.channel == frozenset({"V3_0"})

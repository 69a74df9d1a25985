"""What the library says of a config update before anybody sends it is what the orderer then does."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from conformance.changing import ChangingChannel
from conformance.consortium import eventually
from hypothesis import HealthCheck, Phase, given, seed, settings
from unit.fabric.config_updates import Drawn, World, config_updates

from fabric_admin.errors import ConfigUpdateRefused, OrdererRefused, TransportError
from fabric_admin.identity import SigningIdentity
from fabric_admin.orderer import Orderer

if TYPE_CHECKING:
    from fabric_protos.common import configtx_pb2

    from fabric_admin.capabilities import Line
    from fabric_admin.channelconfig import ChannelConfig
    from fabric_devnet.network import Network

pytestmark = pytest.mark.asyncio(loop_scope="session")
# Fabric goes through elements, sections and capabilities in no order: what follows may be about another one.
SEVERAL = ("error validating DeltaSet: ", "initializing channelconfig failed: ", " capabilities: ")
ACCEPTED = ("SUCCESS", "")
# Updates that are accepted may forbid what others would change: a channel is left before nothing goes any more.
CHANNELS, UPDATES_PER_CHANNEL, DRAWN_AT_ONCE = 6, 52, 12


def world(channel: ChangingChannel, config: ChannelConfig) -> World:
    """The channel as it stands, every administrator, a client, and somebody whose certificate is not his MSP's."""
    organizations = channel.network.organizations
    client = organizations["Org1MSP"].client
    stranger = SigningIdentity("Org2MSP", client.certificate, client.private_key)
    signers = (*(each.admin for each in organizations.values()), channel.network.orderer_admin, client, stranger)
    submitters = (client, organizations["Org2MSP"].admin, channel.network.orderer_admin, stranger)
    return World(config, signers, submitters)


def draw(world: World, number: int) -> list[Drawn]:
    """Draw some updates, the same ones for the same number and channel."""
    drawn: list[Drawn] = []

    @seed(number)
    @settings(
        max_examples=DRAWN_AT_ONCE,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(config_updates(world))
    def collect(one: Drawn) -> None:
        drawn.append(one)

    collect()
    return drawn


def predict(config: ChannelConfig, one: Drawn, line: Line) -> tuple[tuple[str, str], configtx_pb2.Config | None]:
    try:
        return ACCEPTED, config.propose(one.envelope, line=line)
    except ConfigUpdateRefused as exc:
        return (exc.status, str(exc)), None


async def submit(channel: ChangingChannel, one: Drawn) -> tuple[str, str]:
    try:
        await Orderer(channel.connection, channel.network.orderer_admin).broadcast(one.envelope)
    except OrdererRefused as exc:
        return exc.status, exc.info.replace("\u00a0", " ")
    except TransportError:
        return "", ""
    return ACCEPTED


def same(predicted: tuple[str, str], actual: tuple[str, str]) -> bool:
    """Compare answers; of several violations Fabric names any one, so texts may differ behind the step that failed."""
    if predicted == actual or predicted[0] == actual[0] == "":
        return True
    return predicted[0] == actual[0] and any(
        several in predicted[1] and predicted[1].partition(several)[:2] == actual[1].partition(several)[:2]
        for several in SEVERAL
    )


@pytest.mark.timeout(600)
async def test_forecast_and_orderer_agree_on_generated_updates(network: Network) -> None:
    tried: Counter[str] = Counter()
    for number in range(CHANNELS):
        async with ChangingChannel.create(network, f"forecast{number}") as channel:
            tried += await compare(channel, number * UPDATES_PER_CHANNEL)

    assert tried.total() >= 300
    assert tried["SUCCESS"] >= 10, tried
    assert tried["BAD_REQUEST"] >= 50, tried
    assert tried["FORBIDDEN"] >= 10, tried


async def compare(channel: ChangingChannel, first: int) -> Counter[str]:
    """Send updates one after the other, each judged before; drawn anew whenever one changed the channel."""
    tried: Counter[str] = Counter()
    number, line = first, channel.network.release.line
    while tried.total() < UPDATES_PER_CHANNEL:
        number += 1
        config = await channel.config()
        for one in await asyncio.to_thread(draw, world(channel, config), number):
            predicted, result = predict(config, one, line)
            actual = await submit(channel, one)
            assert same(predicted, actual), (predicted, actual)
            if predicted[0] != "FORBIDDEN":  # which is about who submits, and a forecast supposes a writer
                assert config.forecast(one.update, one.signatures, line=line).accepted is (predicted == ACCEPTED)
            tried[actual[0]] += 1
            if result is not None:
                await arrived(channel, result)
                break
    return tried


async def arrived(channel: ChangingChannel, result: configtx_pb2.Config) -> None:
    """Wait for a config that was accepted and compare it with the predicted one."""

    async def changed() -> bool:
        return (await channel.config()).sequence == result.sequence

    await eventually(changed)
    assert (await channel.config()).config.channel_group == result.channel_group

"""What the library says an orderer will do with a config update, against what the orderer then does."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from conformance.changing import ChangingChannel, set_batch_timeout
from conformance.consortium import eventually
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from unit.fabric.config_updates import World, config_updates

from fabric_admin.channelconfig import diff
from fabric_admin.errors import ConfigUpdateRefused, OrdererRefused
from fabric_admin.orderer import Orderer
from fabric_devnet.spec import BackendName

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fabric_protos.common import common_pb2

    from fabric_admin.channelconfig import ChannelConfig
    from fabric_devnet.network import Network

pytestmark = pytest.mark.asyncio(loop_scope="session")

UPDATES = 300
SECONDS = 900
# The channel changes from one update to the next, so a failure cannot be replayed or made smaller.
drawn_updates = settings(
    max_examples=UPDATES, phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck)
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def channel(network: Network) -> AsyncIterator[ChangingChannel]:
    async with ChangingChannel.create(network, "drawn") as channel:
        yield channel


def _world(channel: ChangingChannel, config: ChannelConfig) -> World:
    members = [channel.network.organizations[msp_id] for msp_id in sorted(channel.network.organizations)]
    signers = (*(each.admin for each in members), channel.network.orderer_admin, members[0].client)
    return World(config, signers, (members[0].client, members[1].admin, channel.network.orderer_admin))


@pytest.fixture(scope="module")
def outcomes(backend: BackendName) -> Counter[str]:
    """How often each thing happened; `accepted`, or the stage that refused."""
    return Counter()


@pytest.mark.timeout(SECONDS)
@drawn_updates
@given(st.data())
async def test_the_orderer_decides_as_forecast(
    channel: ChangingChannel, backend: BackendName, outcomes: Counter[str], data: st.DataObject
) -> None:
    config = await channel.config()
    drawn = data.draw(config_updates(_world(channel, config)))
    forecast = config.forecast(drawn.update, drawn.signatures)

    refusal = await _answer(channel, drawn.envelope)

    outcomes["accepted" if forecast.refusal is None else forecast.refusal.stage] += 1
    assert forecast.accepted == (refusal is None), refusal or forecast.refusal
    if refusal is None:
        assert forecast.config is not None
        assert diff(forecast.config, (await _next(channel, config)).config) == ()
        return
    assert forecast.refusal is not None
    assert forecast.refusal.status == refusal.status
    if backend is BackendName.EMBEDDED:  # where several things are wrong, Fabric names any one of them
        assert str(forecast.refusal) == refusal.info


async def _answer(channel: ChangingChannel, envelope: common_pb2.Envelope) -> OrdererRefused | None:
    try:
        await Orderer(channel.connection, channel.network.orderer_admin).broadcast(envelope)
    except OrdererRefused as exc:
        return exc
    return None


async def _next(channel: ChangingChannel, before: ChannelConfig) -> ChannelConfig:
    async def changed() -> bool:
        return (await channel.config()).sequence == before.sequence + 1

    await eventually(changed)
    return await channel.config()


async def test_the_drawn_updates_were_of_every_kind(outcomes: Counter[str]) -> None:
    assert outcomes.total() >= UPDATES
    assert outcomes["accepted"] >= UPDATES // 20
    assert {"authorize", "new_config", "compatible", "consensus_metadata"} <= outcomes.keys()


async def test_the_whole_answer_is_forecast_when_the_sender_may_not_submit(channel: ChangingChannel) -> None:
    config = await channel.config()
    client = channel.network.organizations["Org2MSP"].client
    update = await channel.update(set_batch_timeout("7s"))
    envelope = channel.envelope(update, [], client)
    envelope.signature = envelope.signature[:-1] + bytes([envelope.signature[-1] ^ 1])

    with pytest.raises(ConfigUpdateRefused) as forecast:
        config.propose(envelope)
    refusal = await _answer(channel, envelope)

    assert refusal is not None
    assert (refusal.status, refusal.info) == (forecast.value.status, str(forecast.value))

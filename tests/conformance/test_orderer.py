"""An orderer's own interfaces, channel participation and broadcast, on every backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from conformance.consortium import eventually
from fabric_protos.common import common_pb2

from fabric_admin.blocks import header_hash
from fabric_admin.clock import new_moment
from fabric_admin.errors import DeliverError, IdentityError, OrdererRefused, ParticipationError, TransportError
from fabric_admin.orderer import Orderer
from fabric_admin.participation import ChannelInfo, Participation
from fabric_admin.proposal import build_envelope
from fabric_admin.transport import Connection
from fabric_devnet.profile import build_genesis_block
from fabric_devnet.release import FABRIC_3_0
from fabric_devnet.spec import ChannelSpec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conformance.consortium import Consortium

    from fabric_devnet.network import Network

pytestmark = pytest.mark.asyncio(loop_scope="session")
NO_SYSTEM_CHANNEL = "channel creation request not allowed because the orderer system channel is not defined"


@pytest_asyncio.fixture(loop_scope="session")
async def participation(network: Network) -> AsyncIterator[Participation]:
    orderer = network.orderers[0]
    async with orderer.participation() as participation:
        yield participation


@pytest_asyncio.fixture(loop_scope="session")
async def orderer(network: Network) -> AsyncIterator[Orderer]:
    async with Connection(network.orderers[0].endpoint) as connection:
        yield Orderer(connection, network.orderer_admin)


async def test_a_channel_is_joined_described_and_removed_again(network: Network, participation: Participation) -> None:
    block = build_genesis_block(network.plan, ChannelSpec("passing"))
    before = await participation.list()

    joined = await participation.join(block)

    assert joined == ChannelInfo("passing", "consenter", "active", 1)
    assert set(await participation.list()) == {*before, "passing"}
    await participation.remove("passing")

    async def gone() -> bool:
        try:
            await participation.info("passing")
        except ParticipationError as exc:
            return (exc.status, exc.message) == (404, "channel does not exist")
        return False

    await eventually(gone)


async def test_joining_an_orderer_twice_is_refused(consortium: Consortium, participation: Participation) -> None:
    block = await consortium.first.system.block_by_number(consortium.channel, 0)

    with pytest.raises(ParticipationError) as refusal:
        await participation.join(block)

    assert (refusal.value.status, refusal.value.message) == (405, "cannot join: channel already exists")


async def test_what_is_no_config_block_cannot_be_joined(participation: Participation) -> None:
    with pytest.raises(ParticipationError) as refusal:
        await participation.join(common_pb2.Block())

    assert refusal.value.status == 400
    assert refusal.value.message.startswith("invalid join block: ")


async def test_removing_an_unknown_channel_is_refused(participation: Participation) -> None:
    with pytest.raises(ParticipationError) as refusal:
        await participation.remove("nosuch")

    assert (refusal.value.status, refusal.value.message) == (404, "cannot remove: channel does not exist")


async def test_a_certificate_of_another_authority_does_not_reach_the_admin_endpoint(network: Network) -> None:
    orderer = network.orderers[0]
    user = network.organizations["Org1MSP"].directory / "users" / "Admin@org1.example.com" / "tls"
    stranger = Participation(
        orderer.admin_url,
        orderer.admin_tls_ca.read_bytes(),
        (user / "client.crt").read_bytes(),
        (user / "client.key").read_bytes(),
    )

    async with stranger:
        with pytest.raises(TransportError):
            await stranger.list()


async def test_unreadable_tls_material_is_said_at_once(network: Network) -> None:
    orderer = network.orderers[0]

    with pytest.raises(IdentityError):
        Participation(orderer.admin_url, orderer.admin_tls_ca.read_bytes(), b"no certificate", b"no key")


async def test_an_orderer_serves_the_blocks_peers_have(consortium: Consortium, orderer: Orderer) -> None:
    newest = await orderer.fetch(consortium.channel, "newest")
    first = await orderer.fetch(consortium.channel, 0)

    own = await consortium.first.system.block_by_number(consortium.channel, newest.header.number)
    assert header_hash(newest.header) == header_hash(own.header)
    assert first.header.number == 0


@pytest.mark.parametrize(
    ("channel", "number"),
    [pytest.param("nosuch", 0, id="unknown-channel"), pytest.param("ops-channel", 4711, id="block-to-come")],
)
async def test_a_block_that_is_not_there_is_not_found(orderer: Orderer, channel: str, number: int) -> None:
    with pytest.raises(DeliverError) as refusal:
        await orderer.fetch(channel, number)

    assert refusal.value.status == "NOT_FOUND"


@pytest.mark.parametrize(
    ("header_type", "channel", "infos"),
    [
        pytest.param(
            common_pb2.ENDORSER_TRANSACTION,
            "nosuch",
            ("channel does not exist", NO_SYSTEM_CHANNEL),
            id="unknown-channel",
        ),
        pytest.param(
            common_pb2.CONFIG,
            "ops-channel",
            ("message is of type that cannot be processed directly",) * 2,
            id="ready-made-config",
        ),
    ],
)
async def test_an_envelope_the_orderer_cannot_take_is_a_bad_request(
    network: Network,
    orderer: Orderer,
    header_type: common_pb2.HeaderType.ValueType,
    channel: str,
    infos: tuple[str, str],
) -> None:  # 58
    envelope = build_envelope(network.orderer_admin, header_type, channel, b"", new_moment())

    with pytest.raises(OrdererRefused) as refusal:
        await orderer.broadcast(envelope)

    since_3_0, before = infos
    expected = since_3_0 if network.release >= FABRIC_3_0 else before
    assert (refusal.value.status, refusal.value.info) == ("BAD_REQUEST", expected)

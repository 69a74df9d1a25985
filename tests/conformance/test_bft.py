"""AC-29 with BFT: consenters join, leave and get other certificates, and a quorum of them signs what follows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from conformance.changing import ChangingChannel
from conformance.consortium import eventually
from fabric_protos.common import configuration_pb2

from fabric_admin.blocks import last_config_index, verify_signed
from fabric_admin.channelconfig import edits
from fabric_admin.transport import Connection
from fabric_devnet.material import issue_tls
from fabric_devnet.network import Network, load_backend
from fabric_devnet.profile import build_consenter
from fabric_devnet.release import FABRIC_3_0
from fabric_devnet.spec import ChannelSpec, NetworkSpec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from fabric_protos.common import configtx_pb2

    from fabric_admin.channelconfig import ChannelConfig
    from fabric_admin.participation import ChannelInfo
    from fabric_devnet.network import Orderer
    from fabric_devnet.spec import BackendName

pytestmark = pytest.mark.asyncio(loop_scope="session")
ORDERER = "OrdererMSP"
NAME = "byzantine"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def channel(backend: BackendName, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ChangingChannel]:
    """Four BFT consenters, and an orderer that is none."""
    release = load_backend(backend).read_release()
    if release < FABRIC_3_0:
        pytest.skip(f"Fabric {release} knows no BFT")
    spec = NetworkSpec(
        directory=tmp_path_factory.mktemp("bft"),
        organizations=1,
        orderers=5,
        spare_orderers=1,
        channels=(ChannelSpec(NAME, consensus="BFT"),),
        backend=backend,
    )
    async with Network.start(spec) as network, Connection(network.orderers[0].endpoint) as connection:
        yield ChangingChannel(network, NAME, connection)


async def edited(channel: ChangingChannel, edit: Callable[[configtx_pb2.Config], configtx_pb2.Config]) -> ChannelConfig:
    """Carry out one of the library's edits, and see the block that holds it signed by a quorum."""
    before = await channel.config()
    changed = edit(before.config).channel_group
    after = await channel.change(lambda root: root.CopyFrom(changed), ORDERER)
    newest = await channel.orderer.fetch(channel.name, "newest")
    assert last_config_index(newest) == newest.header.number
    verify_signed(newest, before)
    return after


async def part_of(orderer: Orderer) -> ChannelInfo:
    async with orderer.participation() as participation:
        return await participation.info(NAME)


async def test_a_follower_becomes_a_consenter_gets_other_certificates_and_leaves(channel: ChangingChannel) -> None:
    # Given: the fifth orderer follows the channel
    spare = channel.network.orderers[-1]
    assert spare.node.spare
    newest = await channel.orderer.fetch(NAME, "newest")
    async with spare.participation() as participation:
        joined = await participation.join(await channel.orderer.fetch(NAME, last_config_index(newest)))
    assert joined.relation == "follower"

    async def follows() -> bool:
        return (await part_of(spare)).status == "active"

    await eventually(follows)

    # When it is added
    fifth = build_consenter(spare.node)
    after = await edited(channel, lambda config: edits.add_consenter(config, fifth))

    # Then it takes part
    assert [each.id for each in after.consenters] == [1, 2, 3, 4, 5]

    async def takes_part() -> bool:
        info = await part_of(spare)
        return (info.relation, info.status) == ("consenter", "active")

    await eventually(takes_part)

    # When its TLS certificate is replaced
    owner = channel.network.plan.orderer_organization
    pair = issue_tls(owner.directory, owner.domain, spare.name)
    pem = pair.certificate_pem
    after = await edited(
        channel,
        lambda config: edits.replace_consenter_certificates(
            config, fifth.address, client_tls_cert=pem, server_tls_cert=pem
        ),
    )

    # Then it takes part with the new one
    assert after.consenters[4] == replace(fifth, id=5, client_tls_cert=pem, server_tls_cert=pem)
    await spare.use_tls(pair)
    await eventually(takes_part)

    # When it is removed, then four are left
    after = await edited(channel, lambda config: edits.remove_consenter(config, fifth.address))
    assert [each.id for each in after.consenters] == [1, 2, 3, 4]


async def test_a_mapping_without_its_block_validation_policy_is_refused(channel: ChangingChannel) -> None:
    def forget_one(root: configtx_pb2.ConfigGroup) -> None:
        value = root.groups["Orderer"].values["Orderers"]
        mapping = configuration_pb2.Orderers.FromString(value.value)
        del mapping.consenter_mapping[-1]
        value.value = mapping.SerializeToString()

    refusal = await channel.refusal(await channel.update(forget_one), ORDERER)

    assert refusal.status == "SERVICE_UNAVAILABLE"
    assert "block validation policy should be a signature policy" in refusal.text

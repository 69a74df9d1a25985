"""AC-29 with BFT: the consenter mapping and the quorum that validates blocks change together, by proposal."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from e2e.channel_story import ChannelStory, read_config, read_part

from fabric_admin.channelconfig.bft import block_validation_policy
from fabric_devnet.material import issue_tls
from fabric_devnet.network import load_backend
from fabric_devnet.profile import build_consenter
from fabric_devnet.release import FABRIC_3_0
from fabric_devnet.spec import ChannelSpec
from opssc_operator.api.conditions import ConditionType
from opssc_tools.environment import Consortium, EnvironmentSpec
from opssc_tools.environment.manifests import build_change

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fabric_devnet.network import Orderer

CHANNEL = "byzantine"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def generals(ground: EnvironmentSpec) -> AsyncIterator[Consortium]:
    """Two organizations with two BFT consenters each; organization 1 has an orderer that is in no channel yet."""
    release = load_backend(ground.backend).read_release()
    if release < FABRIC_3_0:
        pytest.skip(f"Fabric {release} knows no BFT")
    spec = replace(
        ground,
        organizations=2,
        channels=(ChannelSpec("ops-channel"), ChannelSpec(CHANNEL, consensus="BFT")),
        orderers=5,
        orderer_owners=("Org1MSP", "Org2MSP"),
        spare_orderers=1,
    )
    async with Consortium.start(spec) as running:
        yield running


def describe(orderer: Orderer) -> dict[str, Any]:
    """The orderer as `addConsenter` has it."""
    consenter = build_consenter(orderer.node)
    return {
        "host": consenter.address.host,
        "port": consenter.address.port,
        "clientTlsCert": consenter.client_tls_cert.decode(),
        "serverTlsCert": consenter.server_tls_cert.decode(),
        "mspID": consenter.msp_id,
        "identity": consenter.identity.decode(),
    }


async def test_a_fifth_general_comes_gets_new_certificates_and_goes(generals: Consortium) -> None:
    # Given
    first, second = generals.members
    spare = next(each for each in generals.network.orderers if each.node.spare)
    added = describe(spare)
    addition = build_change("addConsenter", **added)
    story = ChannelStory(generals, (second, first), CHANNEL, "fifth-comes", {"changes": [addition]})

    # When
    await story.carry_out(first)

    # Then: five, of whom four sign, and the orderer says that it is one of them
    config = await read_config(generals, CHANNEL)
    assert [each.id for each in config.consenters] == [1, 2, 3, 4, 5]
    policy = config.config.channel_group.groups["Orderer"].policies["BlockValidation"].policy
    assert policy == block_validation_policy(config.consenters)
    info = await read_part(spare, CHANNEL)
    assert (info.relation, info.status) == ("consenter", "active")

    # When
    pair = issue_tls(first.organization.directory, first.organization.domain, spare.name)
    pem = pair.certificate_pem.decode()
    place = {"host": added["host"], "port": added["port"]}
    change = build_change("replaceConsenterCertificates", **place, clientTlsCert=pem, serverTlsCert=pem)
    story = ChannelStory(generals, (second, first), CHANNEL, "fifth-renewed", {"changes": [change]})
    await story.propose()
    await story.vote(first)
    await story.until_true(ConditionType.READY, second)

    # Then: its owner waits for the person who has the files, and for nothing more
    await story.until(ConditionType.READY, "False", "AwaitingOrderer", first)
    await spare.use_tls(pair)
    await story.until_true(ConditionType.READY, first)
    config = await read_config(generals, CHANNEL)
    fifth = config.consenters[-1]
    assert (fifth.id, fifth.client_tls_cert, fifth.server_tls_cert) == (5, pair.certificate_pem, pair.certificate_pem)
    assert fifth.identity == added["identity"].encode()
    info = await read_part(spare, CHANNEL)
    assert (info.relation, info.status) == ("consenter", "active")

    # When
    removal = build_change("removeConsenter", **place)
    story = ChannelStory(generals, (first, second), CHANNEL, "fifth-goes", {"changes": [removal]})
    await story.carry_out(second)

    # Then
    assert [each.id for each in (await read_config(generals, CHANNEL)).consenters] == [1, 2, 3, 4]

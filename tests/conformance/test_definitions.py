"""From package to running chaincode, and a node's first channel: rows 6, 8, 23, 24 and 41 to 45 of the checklist."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import aiohttp
import pytest
from component.rawdeployment import RawDeployment
from conformance.consortium import eventually

from fabric_admin.blocks import transactions
from fabric_admin.errors import ChaincodeError, GatewayError, ParticipationError
from fabric_admin.lifecycle import Definition
from fabric_admin.package import build_ccaas, parse
from fabric_admin.participation import ChannelInfo
from fabric_admin.system import System
from fabric_admin.transport import Connection
from fabric_devnet.network import Network
from fabric_devnet.profile import build_genesis_block
from fabric_devnet.spec import BackendName, ChannelSpec, NetworkSpec

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

    from conformance.consortium import Consortium

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_installed_package_is_referenced_once_committed(consortium: Consortium, name: str) -> None:  # 6
    first = consortium.first
    package_id = await consortium.install(build_ccaas(name, "{{.chaincode_host}}:9999"))

    async def references() -> dict[str, object]:
        installed = {each.package_id: each for each in await first.lifecycle.query_installed()}
        return dict(installed[package_id].references)

    before = await references()
    await consortium.deploy(name, package_id)
    after = await references()

    assert before == {}
    assert set(after) == {consortium.channel}
    assert name in str(after[consortium.channel])


async def test_an_approval_writes_nothing_but_hashes_of_its_organization(
    consortium: Consortium, name: str
) -> None:  # 8
    first = consortium.first
    submitted = await first.lifecycle.approve(consortium.channel, Definition(name, "1.0", 1), None)

    block = await first.system.block_by_transaction(consortium.channel, submitted.transaction_id)
    (view,) = (each for each in transactions(block) if each.tx_id == submitted.transaction_id)

    assert view.valid
    assert view.chaincode == "_lifecycle"
    assert view.writes == ()


async def test_what_is_approved_but_not_installed_runs_once_it_is(consortium: Consortium, name: str) -> None:  # 23, 24
    # Given a definition whose package nobody has
    deployment = RawDeployment(consortium, name)
    package = deployment.package()
    package_id = parse(package).package_id
    await consortium.deploy(name, package_id)

    # Then nothing runs it
    with pytest.raises(ChaincodeError) as direct:
        await consortium.first.endorser.call(name, [b"f"], channel=consortium.channel)
    with pytest.raises(GatewayError) as evaluated:
        await consortium.first.client.evaluate(consortium.channel, name, [b"f"])
    with pytest.raises(GatewayError) as endorsed:
        await consortium.first.client.endorse(consortium.channel, name, [b"f"])
    assert direct.value.message.endswith(f"chaincode definition for '{name}' exists, but chaincode is not installed")
    assert evaluated.value.message == f"no peers available to evaluate chaincode {name} in channel mychannel"
    assert endorsed.value.code == "FAILED_PRECONDITION"
    assert endorsed.value.message == (
        "no combination of peers can be derived which satisfy the endorsement policy: "
        "required chaincodes are not installed on sufficient peers"
    )

    # When everybody installs it, then it runs without a new approval
    deployment.package_id = await consortium.install(package)
    try:
        for member in consortium.members:
            await deployment.start_server(member.msp_id)
        await eventually(deployment.usable)
        assert (await deployment.submit("f")).block_number
    finally:
        for member in consortium.members:
            await deployment.stop_server(member.msp_id)


async def test_the_first_channel_of_new_nodes_comes_and_goes(backend: BackendName, tmp_path: Path) -> None:  # 41-45
    spec = NetworkSpec(directory=tmp_path, organizations=1, channels=(), backend=backend)
    async with Network.start(spec) as network:
        orderer, organization = network.orderers[0], network.organizations["Org1MSP"]
        async with orderer.participation() as participation:
            assert await participation.list() == ()
            assert await listed(network) == '{"systemChannel":null,"channels":null}\n'

            # The orderer joins once
            block = build_genesis_block(network.plan, ChannelSpec("first"))
            assert await participation.join(block) == ChannelInfo("first", "consenter", "active", 1)
            with pytest.raises(ParticipationError) as again:
                await participation.join(block)
            assert (again.value.status, again.value.message) == (405, "cannot join: channel already exists")

            # The peer joins and says so
            async with Connection(organization.peers[0].endpoint) as connection:
                system = System(connection, organization.admin)
                assert await system.channels() == ()
                await system.join(block)
                assert await system.channels() == ("first",)

            # The channel is pending removal until it is gone, which an empty one may be before the next request comes
            await participation.remove("first")
            assert await answer(participation.remove("first")) in (
                "409 cannot remove: channel pending removal",
                "404 cannot remove: channel does not exist",
            )
            again_joined = await answer(participation.join(block))
            assert again_joined in ("409 cannot join: channel pending removal", "joined again")

            async def gone() -> bool:
                try:
                    info = await participation.info("first")
                except ParticipationError as exc:
                    return (exc.status, exc.message) == (404, "channel does not exist")
                assert info == ChannelInfo("first", "consenter", "inactive", 0)
                return False

            if again_joined != "joined again":
                await eventually(gone)
                await participation.join(block)
            assert await participation.info("first") == ChannelInfo("first", "consenter", "active", 1)


async def answer(request: Awaitable[ChannelInfo | None]) -> str:
    """Return how an orderer refuses a request, `joined again` for one it carries out."""
    try:
        await request
    except ParticipationError as exc:
        return f"{exc.status} {exc.message}"
    return "joined again"


async def listed(network: Network) -> str:
    """Return the list of channels as the orderer's admin endpoint sends it."""
    orderer = network.orderers[0]
    url, context = f"{orderer.admin_url}/participation/v1/channels", client_context(network)
    async with aiohttp.ClientSession() as session, session.get(url, ssl=context) as response:
        assert response.headers["Cache-Control"] == "no-store"
        return await response.text()


def client_context(network: Network) -> ssl.SSLContext:
    orderer = network.orderers[0]
    context = ssl.create_default_context(cafile=str(orderer.admin_tls_ca))
    context.load_cert_chain(orderer.admin_certificate, orderer.admin_key)
    return context

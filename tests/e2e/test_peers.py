"""AC-14, AC-18: two peers per organization, listed or found, one of them down, coming later, or losing what it had."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from conformance.consortium import eventually
from e2e import oracle

from fabric_admin.errors import FabricError
from fabric_admin.snapshots import Snapshots
from fabric_admin.system import System
from fabric_admin.transport import Connection
from fabric_devnet.spec import ChannelSpec
from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_tools.environment import Consortium, EnvironmentSpec, manifests
from opssc_tools.environment.manifests import made_up_digest
from opssc_tools.environment.objects import condition
from opssc_tools.environment.spec import GOVERNANCE_CHANNEL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Any

    from e2e.scenario import Scenario

    from opssc_tools.environment import Member
    from opssc_tools.environment.objects import Body

RESYNC = "10s"
WITHIN_SECONDS = 60.0
LATE = "peer1.org1.example.com"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def consortium(ground: EnvironmentSpec) -> AsyncIterator[Consortium]:
    """Two organizations with two peers each; one peer of the first has not joined channel partial."""
    channels = (ChannelSpec("ops-channel"), ChannelSpec("mychannel"), ChannelSpec("partial", absent=frozenset({LATE})))
    spec = replace(ground, organizations=2, api_servers=2, peers=2, channels=channels, resync_period=RESYNC)
    async with Consortium.start(spec) as running:
        yield running


def organization_with(member: Member, *names: str) -> dict[str, Any]:
    """The member's FabricOrganization with these peers, in this order."""
    built = manifests.build_organization(
        member.organization, governance_channel=GOVERNANCE_CHANNEL, resync_period=RESYNC
    )
    listed = {peer["name"]: peer for peer in built["spec"]["peers"]["explicit"]}
    built["spec"]["peers"]["explicit"] = [copy.deepcopy(listed[name]) for name in names]
    return built


def peer_states(body: Body | None) -> dict[str, str]:
    return {peer["name"]: peer["state"] for peer in (body or {}).get("status", {}).get("peers", ())}


async def until_peers(scenario: Scenario, member: Member, **states: str) -> None:
    """Wait for the states of the member's peers, by the first part of their names."""

    def holds(body: Body | None) -> bool:
        return {name.partition(".")[0]: state for name, state in peer_states(body).items()} == states

    await member.until(
        Kind.CHAINCODE_PROPOSAL, scenario.object_name(member), holds, f"peers {states}", seconds=WITHIN_SECONDS
    )


async def until_installed(scenario: Scenario, member: Member, number: int) -> None:
    """Wait until a peer itself shows the package; it may still be starting."""
    reader = member.readers[number]

    async def installed() -> bool:
        try:
            return scenario.package.package_id in await reader.installed()
        except FabricError:
            return False

    await eventually(installed, timeout_seconds=WITHIN_SECONDS)


@pytest_asyncio.fixture(loop_scope="session")
async def unlisted(consortium: Consortium) -> AsyncIterator[None]:
    """No operator runs and no peer is listed, until the end of the scenario."""
    for member in consortium.members:
        await member.operator.stop()
        body = organization_with(member)
        body["spec"]["peers"] = {"tlsCA": {"secretRef": {"name": f"{member.name}-tls-ca", "key": "ca.crt"}}}
        await member.apply(body)
    yield
    for member in consortium.members:
        await member.apply(organization_with(member, *(peer.name for peer in member.organization.peers)))
        await until_found(member, peer0="Explicit", peer1="Explicit")
        await member.kubectl("delete", "services,pods", "--all", "--wait=false")


def service_of(member: Member, number: int, *, labelled: bool) -> dict[str, Any]:
    """The Service of a peer; the network of the cluster leads nowhere, so an annotation says where it is."""
    peer = member.organization.peers[number]
    said = {"opssc.dev/peer-name": peer.name, "opssc.dev/peer-address": peer.address}
    metadata = {"name": f"peer{number}", "labels": {"opssc.dev/peer": str(labelled).lower()}, "annotations": said}
    spec = {"selector": {"app": f"peer{number}"}, "ports": [{"name": "grpc", "port": 7051}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def pod_of(member: Member, number: int) -> dict[str, Any]:
    """The pod of a peer, which no node runs here."""
    variable = {"name": "CORE_PEER_LOCALMSPID", "value": member.msp_id}
    metadata = {"name": f"peer{number}-0", "labels": {"app": f"peer{number}"}}
    spec = {"containers": [{"name": "peer", "image": "hyperledger/fabric-peer", "env": [variable]}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


async def until_found(member: Member, **sources: str) -> None:
    """Wait until the organization is ready with these peers, by the first part of their names, from these sources."""

    def holds(body: Body | None) -> bool:
        peers = (body or {}).get("status", {}).get("peers", ())
        found = {peer["name"].partition(".")[0]: peer["source"] for peer in peers if peer["reachable"]}
        return found == sources and condition(body, ConditionType.READY).get("status") == "True"

    await member.until(Kind.FABRIC_ORGANIZATION, member.name, holds, f"peers {sources}", seconds=WITHIN_SECONDS)


@pytest.mark.usefixtures("unlisted")
async def test_peers_that_nobody_listed_are_found_and_work(new_scenario: Callable[..., Scenario]) -> None:
    # Given: one organization labels the Service of a peer, the other one's pods say whose peers they are
    scenario = new_scenario("mychannel")
    first, second = scenario.members
    await first.apply(service_of(first, 0, labelled=True), service_of(first, 1, labelled=False))
    await second.kubectl("create", "serviceaccount", "default")
    for number in range(2):
        await second.apply(service_of(second, number, labelled=False), pod_of(second, number))

    # When
    for member in scenario.members:
        member.operator.start()

    # Then
    await until_found(first, peer0="Service")
    await until_found(second, peer0="Pod", peer1="Pod")
    await scenario.deploy()
    await until_peers(scenario, first, peer0="Installed")
    await until_peers(scenario, second, peer0="Installed", peer1="Installed")
    assert scenario.package.package_id not in await first.readers[1].installed()

    # When another Service is labelled
    await first.apply(service_of(first, 1, labelled=True))

    # Then
    await until_found(first, peer0="Service", peer1="Service")
    await until_peers(scenario, first, peer0="Installed", peer1="Installed")
    await scenario.until_true(ConditionType.READY)
    await oracle.assert_definition_everywhere(scenario)
    await oracle.assert_usable(scenario)


async def test_every_peer_gets_the_package_in_the_end(new_scenario: Callable[..., Scenario]) -> None:  # AC-14
    # Given a peer that is down, and one that the organization does not list yet
    scenario = new_scenario("mychannel")
    first, second = scenario.members
    down, unlisted = first.organization.peers[1], second.organization.peers[1]
    await second.apply(organization_with(second, second.organization.peers[0].name))
    await down.stop()

    # When
    scenario.serve()
    await scenario.propose()
    await scenario.agree()

    # Then nobody waits for them
    await scenario.until_true(ConditionType.COMMITTED)
    await scenario.until_true(ConditionType.READY, second)
    await until_peers(scenario, first, peer0="Installed", peer1="Unreachable")
    shown = scenario.seen_by(first)
    assert condition(shown, ConditionType.APPROVED)["status"] == "True"
    assert condition(shown, ConditionType.READY)["reason"] == "PeerUnreachable"
    await until_peers(scenario, second, peer0="Installed")
    assert scenario.package.package_id not in await second.readers[1].installed()

    # When they come
    await down.start()
    await second.apply(organization_with(second, second.organization.peers[0].name, unlisted.name))

    # Then they get it, too
    await scenario.until_true(ConditionType.READY)
    await until_peers(scenario, first, peer0="Installed", peer1="Installed")
    await until_peers(scenario, second, peer0="Installed", peer1="Installed")
    await oracle.assert_definition_everywhere(scenario)
    for member in scenario.members:
        for number in range(2):
            await until_installed(scenario, member, number)

    # When a package is gone behind the operator's back
    await down.stop()
    await down.lose_package(scenario.package.package_id)
    await down.start()

    # Then it is installed again
    await until_installed(scenario, first, 1)
    await scenario.until_true(ConditionType.READY, first)
    await oracle.assert_usable(scenario)


async def test_a_peer_that_lost_the_approvals_text_is_reported_and_stops_nothing(
    new_scenario: Callable[..., Scenario],
) -> None:  # AC-18
    # Given a chaincode that is deployed where one peer has not joined the channel
    scenario = new_scenario("partial")
    first = scenario.members[0]
    old, late = first.organization.peers
    scenario.serve()
    await first.apply(organization_with(first, late.name, old.name))
    await scenario.propose()
    await scenario.agree()
    await scenario.until_true(ConditionType.READY)
    await until_peers(scenario, first, peer0="Installed", peer1="Skipped")

    # When it joins from a snapshot, which holds no private data
    await join_from_snapshot(first, scenario.channel)

    # Then it gets the package, and another own peer shows the approval that it lacks
    await until_installed(scenario, first, 1)
    await until_peers(scenario, first, peer0="Installed", peer1="Installed")
    await scenario.until_true(ConditionType.READY, first)

    # When it is the only peer left
    await old.stop()

    # Then what it knows by hash alone still counts, and the peer to bring back is named
    await until_peers(scenario, first, peer0="Unreachable", peer1="Installed")
    await scenario.until(ConditionType.READY, "False", "PeerUnreachable", first)
    shown = scenario.seen_by(first)
    assert old.name in condition(shown, ConditionType.READY)["message"]
    assert condition(shown, ConditionType.APPROVED)["status"] == "True"
    assert condition(shown, ConditionType.COMMITTED)["status"] == "True"

    # and all is well when it is back
    await old.start()
    await scenario.until_true(ConditionType.READY, first)
    await oracle.assert_definition_everywhere(scenario)


async def test_a_chaincode_server_that_peers_do_not_reach_is_named_and_stops_nothing(
    new_scenario: Callable[..., Scenario],
) -> None:
    # Given
    scenario = new_scenario("mychannel")
    first, second = scenario.members
    await scenario.deploy()
    await scenario.until(ConditionType.RUNTIME_READY, "True", "ServerReached")

    # When
    await first.servers[scenario.package.package_id].stop()

    # Then
    await scenario.until(ConditionType.RUNTIME_READY, "False", "ServerUnreachable", first)
    shown = scenario.seen_by(first)
    address = f"{first.organization.chaincode_host}:{scenario.package.port}"
    assert address in condition(shown, ConditionType.RUNTIME_READY)["message"]
    assert condition(shown, ConditionType.READY)["status"] == "True"
    assert condition(scenario.seen_by(second), ConditionType.RUNTIME_READY)["status"] == "True"

    # and a server that is started is noticed
    scenario.serve()
    await scenario.until(ConditionType.RUNTIME_READY, "True", "ServerReached", first)


async def test_peers_are_not_sent_to_a_server_that_runs_another_package(new_scenario: Callable[..., Scenario]) -> None:
    # Given
    scenario = new_scenario("mychannel")
    await scenario.deploy()
    package = replace(scenario.package, name="newer", digest=made_up_digest("newer"))
    following = scenario.following(2, package)

    # When the next version says that its server is where that of the first one still runs
    await following.propose()
    await following.agree()

    # Then
    await following.until(ConditionType.RUNTIME_READY, "Unknown", "ServerNotAsked")
    message = condition(following.seen_by(following.creator), ConditionType.RUNTIME_READY)["message"]
    assert scenario.package.label in message

    # and blocks of the channel go on being committed, which a peer that waits for a server does not do
    other = new_scenario("mychannel")
    await other.deploy()
    await oracle.assert_usable(other)


async def join_from_snapshot(member: Member, channel: str) -> None:
    """Join the member's second peer to a channel from a snapshot of its first."""
    old, late = member.organization.peers
    async with Connection(old.endpoint) as source, Connection(late.endpoint) as newcomer:
        admin = member.organization.admin
        height = (await System(source, admin).chain_info(channel)).height
        await Snapshots(source, admin).generate(channel)
        directory = old.node.data_directory / "snapshots" / "completed" / channel / str(height - 1)

        async def written() -> bool:
            return (directory / "_snapshot_additional_metadata.json").exists()

        await eventually(written)
        snapshots = Snapshots(newcomer, admin)
        await snapshots.join(str(directory))

        async def over() -> bool:
            return not (await snapshots.join_status()).in_progress

        await eventually(over)

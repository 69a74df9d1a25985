"""Chaincode servers on Kubernetes: made, followed and removed, with TLS or without; Ready says whether they serve."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest_asyncio
from e2e import oracle, servers
from e2e.scenario import Scenario

from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.serverset import owner_labels, tls_secret_name
from opssc_operator.reconcile.servercertificates import AUTHORITY_KEY
from opssc_operator.reconcile.serversecrets import authority_secret_name
from opssc_tools.environment import manifests
from opssc_tools.environment.manifests import ServicePackage, made_up_digest
from opssc_tools.environment.objects import condition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from opssc_operator.reconcile.servercertificates import Authority
    from opssc_tools.environment import Consortium, Member

RUNTIME = ConditionType.RUNTIME_READY


def upgrade_of(scenario: Scenario) -> Scenario:
    """The next version of a scenario's chaincode, from another image at another port."""
    package = ServicePackage(scenario.chaincode, made_up_digest(f"{scenario.chaincode}-2"), scenario.package.port + 500)
    ref = ProposalRef(scenario.ref.creator, f"{scenario.chaincode}-2")
    return Scenario(scenario.consortium, scenario.chaincode, scenario.channel, package, ref)


async def test_servers_follow_one_chaincode_through_its_life(new_scenario: Callable[[str], Scenario]) -> None:
    # Given: the proposer deploys by its manifest, the other organization by its Vote
    scenario = new_scenario("pair")
    first, second = scenario.members
    package_id = scenario.package.package_id
    scenario.serve()
    await first.apply(scenario.manifest(server={"deploy": True, "env": [{"name": "LOG_LEVEL", "value": "debug"}]}))
    await scenario.until_true(ConditionType.VERIFIED)
    assert await servers.parts_of(first, package_id) == {}
    shown = scenario.seen_by(second)
    assert shown is not None
    vote = manifests.build_vote("Org1MSP", scenario.ref.id, content_hash=shown["status"]["contentHash"])
    vote["spec"]["local"] = {"server": {"deploy": True, "replicas": 2}}

    # When
    await second.apply(vote)

    # Then: committed in both organizations, and Ready in neither before its server serves
    await scenario.until(RUNTIME, "False", "ServerNotReady")
    await scenario.until_true(ConditionType.COMMITTED)
    await scenario.until(ConditionType.READY, "False", "ServerNotReady")
    for member in (first, second):
        found = await servers.until_parts(member, package_id, lambda parts: len(parts) == 4, "complete")
        assert set(found) == servers.expected_parts(package_id)

    # When: pods fail in one organization and run in the other
    await servers.report(first, package_id, ready=0, trouble="ProgressDeadlineExceeded")
    await servers.report(second, package_id, ready=2, desired=2)

    # Then
    await scenario.until_true(ConditionType.READY, second)
    await first.until(
        Kind.CHAINCODE_PROPOSAL,
        scenario.object_name(first),
        lambda body: "ProgressDeadlineExceeded" in condition(body, RUNTIME).get("message", ""),
        "the Deployment's own reason",
    )
    await servers.report(first, package_id, ready=1)
    await scenario.until(ConditionType.READY, "True", "Ready")
    assert (scenario.seen_by(first) or {})["status"]["runtime"] == {"ready": 1, "desired": 1}
    assert (scenario.seen_by(second) or {})["status"]["runtime"] == {"ready": 2, "desired": 2}

    # When: somebody deletes a part, and the operator is restarted meanwhile
    await first.operator.stop()
    await first.kubectl("delete", "service", scenario.package.label)
    first.operator.start()

    # Then: only what was missing is made anew
    before = await servers.parts_of(first, package_id)
    after = await servers.until_parts(first, package_id, lambda parts: len(parts) == 4, "healed")
    assert {name: after[name]["metadata"]["uid"] for name in before} == {
        name: body["metadata"]["uid"] for name, body in before.items()
    }

    # When: the next version is agreed on
    upgrade = upgrade_of(scenario)
    upgrade.serve()
    await first.apply(
        upgrade.manifest(server={"deploy": True}, chaincode={"name": scenario.chaincode, "version": "2.0"})
    )
    await upgrade.until_true(ConditionType.VERIFIED)
    assert len(await servers.parts_of(first, package_id)) == 4
    await upgrade.vote(second)

    # Then: the old servers go once it is committed, also where somebody else runs the new one
    await upgrade.until_true(ConditionType.COMMITTED)
    await upgrade.until(RUNTIME, "True", "ServerReached", second)
    for member in (first, second):
        await servers.until_parts(member, package_id, lambda parts: not parts, "removed")
    found = await servers.until_parts(first, upgrade.package.package_id, lambda parts: len(parts) == 4, "complete")
    assert set(found) == servers.expected_parts(upgrade.package.package_id)
    await servers.report(first, upgrade.package.package_id, ready=1)
    await upgrade.until_true(ConditionType.READY)
    await scenario.until(ConditionType.READY, "True", "Superseded")
    await upgrade.stop_servers()


@pytest_asyncio.fixture(loop_scope="session")
async def own_authorities(consortium: Consortium, authorities: dict[str, Authority]) -> AsyncIterator[None]:
    """Organizations 1 and 2 bring the CAs that their peers know, and name where their servers are reached."""
    members = consortium.members[:2]
    for member in members:
        data = authorities[member.msp_id].to_data()
        metadata = {"name": authority_secret_name(member.name), "labels": owner_labels(member.namespace)}
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        secret = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata}
        await member.apply({**secret, "data": encoded})
        await _set_servers(member, {"names": [member.organization.chaincode_host]})
    yield
    for member in members:
        await _set_servers(member, None)


async def _set_servers(member: Member, settings: dict[str, Any] | None) -> None:
    patch = json.dumps({"spec": {"chaincodeServers": settings}})
    await member.kubectl("patch", "forg", member.name, "--type=merge", "--patch", patch)


async def test_servers_with_tls_are_reached_by_peers_that_know_the_ca_of_their_own_organization(
    new_scenario: Callable[[str], Scenario], own_authorities: None, authorities: dict[str, Authority], tmp_path: Path
) -> None:
    # Given: one package for all, with a template in place of a certificate
    del own_authorities
    scenario = new_scenario("pair")
    scenario = replace(scenario, package=replace(scenario.package, tls=True))
    first, second = scenario.members
    await first.apply(scenario.manifest(server={"deploy": True}))
    await scenario.until_true(ConditionType.VERIFIED)
    shown = scenario.seen_by(second) or {}
    vote = manifests.build_vote("Org1MSP", scenario.ref.id, content_hash=shown["status"]["contentHash"])
    vote["spec"]["local"] = {"server": {"deploy": True}}

    # When: pods run as the Deployments say
    await second.apply(vote)
    for member in scenario.members:
        await servers.until_parts(
            member, scenario.package.package_id, lambda parts: len(parts) == 4, "a complete server"
        )
        await servers.run_pod(member, scenario.package, tmp_path / member.name)
        await servers.report(member, scenario.package.package_id, ready=1)

    # Then: the same package everywhere, below another CA in each organization, and peers reach their own server
    await scenario.until(ConditionType.READY, "True", "Ready")
    await oracle.assert_definition_everywhere(scenario)
    assert {(scenario.seen_by(member) or {})["status"]["packageID"] for member in scenario.members} == {
        scenario.package.package_id
    }
    held = [await servers.read_secret(each, tls_secret_name(scenario.package.package_id)) for each in (first, second)]
    assert [data[AUTHORITY_KEY] for data in held] == [
        authorities[member.msp_id].to_data()[AUTHORITY_KEY] for member in scenario.members
    ]
    await oracle.assert_usable(scenario)

"""AC-13, AC-33, AC-02: packages from an archive and a repository, from nobody trusted, and one that stays."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest_asyncio
from component.fileserver import FileServer
from e2e import oracle

from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_operator.api.refs import ProposalRef
from opssc_tools.environment.manifests import REGISTRIES
from opssc_tools.environment.objects import condition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from e2e.scenario import Scenario

    from opssc_tools.environment import Consortium

GO = {
    "asset/go.mod": (b"module example.com/consortium/asset\n\ngo 1.20\n", 0o100644),
    "asset/main.go": (b"package main\n\nfunc main() {}\n", 0o100644),
    "asset/META-INF/statedb/couchdb/indexes/owner.json": (b'{"index":{"fields":["owner"]}}', 0o100644),
}


@pytest_asyncio.fixture(loop_scope="session")
async def server(consortium: Consortium, tmp_path: Path) -> AsyncIterator[FileServer]:
    """A server that organizations 1 to 3 trust while the scenario runs."""
    async with FileServer.run(tmp_path) as running:
        trust = {
            "imageRegistries": list(REGISTRIES),
            "archiveHosts": [running.host],
            "repositories": [running.url("/git/")],
            "authorities": [{"host": running.host, "tlsCA": {"pem": running.ca.decode()}}],
        }
        await _trust(consortium, trust)
        yield running
        await _trust(consortium, {"imageRegistries": list(REGISTRIES)})


async def _trust(consortium: Consortium, trust: Mapping[str, Any]) -> None:
    nothing = dict.fromkeys(("archiveHosts", "repositories", "authorities"))
    patch = json.dumps({"spec": {"trust": {**nothing, **trust}}})
    for member in consortium.members[:3]:
        kind = Kind.FABRIC_ORGANIZATION
        await member.cluster.kubectl(
            "patch", kind.plural, member.name, "--namespace", member.namespace, "--type=merge", f"--patch={patch}"
        )
        await member.until(
            kind,
            member.name,
            lambda body: (
                (body or {}).get("status", {}).get("observedGeneration")
                == (body or {}).get("metadata", {}).get("generation")
            ),
            "the trust is seen",
        )


def _archive(scenario: Scenario, server: FileServer, data: bytes) -> Mapping[str, Any]:
    path = f"/{scenario.chaincode}.tgz"
    server.files[path] = data
    sha256 = hashlib.sha256(scenario.package.data).hexdigest()
    return {
        "type": "archive",
        "archive": {"label": scenario.package.label, "sha256": sha256, "urls": [server.url(path)]},
    }


async def test_an_archive_is_deployed_everywhere_and_then_stays_through_a_change_of_policy(
    scenario: Scenario, server: FileServer
) -> None:
    # When: an archive is proposed and agreed to
    scenario.serve()
    package = _archive(scenario, server, scenario.package.data)
    await scenario.creator.apply(scenario.manifest(package=package))
    await scenario.until_true(ConditionType.VERIFIED)
    await scenario.agree()
    await scenario.until_true(ConditionType.READY)

    # Then: the same package everywhere, and it works
    await oracle.assert_definition_everywhere(scenario)
    await oracle.assert_carried_out(scenario)
    await oracle.assert_usable(scenario)

    # When: only the policy changes
    installed = {reader.name: await reader.installed() for m in scenario.members for reader in m.readers}
    upgrade = replace(scenario, ref=ProposalRef(scenario.ref.creator, f"{scenario.chaincode}-2"))
    signature = "OutOf(2, 'Org1MSP.peer', 'Org2MSP.peer', 'Org3MSP.peer')"
    await upgrade.creator.apply(
        upgrade.manifest(package={"type": "unchanged"}, endorsementPolicy={"signature": signature})
    )
    await upgrade.until_true(ConditionType.VERIFIED)
    await upgrade.agree()
    await upgrade.until_true(ConditionType.READY)

    # Then: every organization approved what it had, and nothing else is on its peers
    for member in upgrade.members:
        for reader in member.readers:
            approved = await reader.lifecycle.query_approved(upgrade.channel, upgrade.chaincode, 2)
            assert approved is not None
            assert approved.package_id == upgrade.package.package_id
            assert set(await reader.installed()) >= set(installed[reader.name])
    await oracle.assert_usable(upgrade)


async def test_a_repository_gives_one_package_id_and_peers_without_a_builder_say_so(
    scenario: Scenario, server: FileServer
) -> None:
    # Given
    commit = server.commit(GO)
    source = {
        "label": f"{scenario.chaincode}_1.0",
        "repository": server.url("/git/repo.git"),
        "commit": commit,
        "path": "asset",
        "language": "golang",
    }

    # When
    await scenario.creator.apply(scenario.manifest(package={"type": "git", "git": source}))
    await scenario.until_true(ConditionType.VERIFIED)
    await scenario.agree()

    # Then: each organization built it for itself, to the same ID, and says what its peers lack
    await scenario.until(ConditionType.INSTALLED, "False", "ExternalBuilderMissing")
    shown = [scenario.seen_by(member) for member in scenario.members]
    assert len({(body or {})["status"]["packageID"] for body in shown}) == 1
    fetches = [asked for asked in server.requests if asked == "POST /git/repo.git/git-upload-pack"]
    assert len(fetches) == len(scenario.members)


async def test_a_tampered_byte_is_noticed_and_nobody_votes_for_it(scenario: Scenario, server: FileServer) -> None:
    # Given: a creator that was served the right file, before it was changed
    package = _archive(scenario, server, scenario.package.data)
    path = f"/{scenario.chaincode}.tgz"
    others = scenario.members[1:]
    for member in others:
        await member.operator.stop()
    await scenario.creator.apply(scenario.manifest(package=package))
    await scenario.until_true(ConditionType.VERIFIED, scenario.creator)
    server.files[path] = scenario.package.data[:-1] + b"x"
    for member in others:
        member.operator.start()

    # When
    await scenario.until(ConditionType.VERIFIED, "False", "PackageIDMismatch", *others)

    # Then
    record = await oracle.read_record(scenario)
    assert record.votes == ("Org1MSP",)
    await oracle.assert_nothing_done(scenario)


async def test_a_host_nobody_trusts_is_never_asked(scenario: Scenario, consortium: Consortium, tmp_path: Path) -> None:
    # Given
    async with FileServer.run(tmp_path) as stranger:
        package = _archive(scenario, stranger, scenario.package.data)

        # When
        await scenario.creator.apply(scenario.manifest(package=package))
        body = await scenario.creator.until(
            Kind.CHAINCODE_PROPOSAL,
            scenario.ref.id,
            lambda known: condition(known, ConditionType.READY).get("reason") == "UntrustedSource",
            "it is not trusted",
        )

        # Then
        assert "trust.archiveHosts" in condition(body, ConditionType.READY)["message"]
        assert stranger.requests == []
        record = await oracle.read_record(scenario)
        assert record.proposals == 0

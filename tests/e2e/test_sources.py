"""AC-13, AC-33, AC-02, AC-12: from an archive, from a repository, of an organization's own, and one that stays."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from component.fileserver import FileServer
from e2e import localchoice, oracle

from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_operator.api.refs import ProposalRef
from opssc_operator.sources.reach import Credential
from opssc_tools.environment import manifests
from opssc_tools.environment.consortium import ASSET_MODULE
from opssc_tools.environment.manifests import REGISTRIES
from opssc_tools.environment.objects import condition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from e2e.scenario import Scenario

    from opssc_tools.environment import Consortium, Member
    from opssc_tools.environment.objects import Body

PASSWORD = "correct horse battery staple"
GO = {
    "asset/go.mod": (b"module example.com/consortium/asset\n\ngo 1.20\n", 0o100644),
    "asset/main.go": (b"package main\n\nfunc main() {}\n", 0o100644),
    "asset/META-INF/statedb/couchdb/indexes/owner.json": (b'{"index":{"fields":["owner"]}}', 0o100644),
}


@pytest_asyncio.fixture(loop_scope="session")
async def server(consortium: Consortium, tmp_path: Path) -> AsyncIterator[FileServer]:
    """A server that organizations 1 to 3 trust while the scenario runs, and that asks for their password."""
    async with FileServer.run(tmp_path) as running:
        running.password = Credential("reader", PASSWORD).header
        trust = {
            "credentials": [{"host": running.host, "secretRef": {"name": "sources"}}],
            "imageRegistries": list(REGISTRIES),
            "archiveHosts": [running.host],
            "repositories": [running.url("/git/")],
            "authorities": [{"host": running.host, "tlsCA": {"pem": running.ca.decode()}}],
        }
        members = consortium.members[:3]
        await asyncio.gather(*(_trust(member, trust) for member in members))
        yield running
        await asyncio.gather(*(_trust(member, {"imageRegistries": list(REGISTRIES)}) for member in members))
        assert not [member.name for member in members if PASSWORD in member.operator.log.read_text()]


async def _trust(member: Member, trust: Mapping[str, Any]) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "sources"}}
    await member.apply({**secret, "stringData": {"username": "reader", "password": PASSWORD}})
    nothing = dict.fromkeys(("archiveHosts", "repositories", "authorities", "credentials"))
    patch = json.dumps({"spec": {"trust": {**nothing, **trust}}})
    kind = Kind.FABRIC_ORGANIZATION
    await member.kubectl("patch", kind.plural, member.name, "--type=merge", f"--patch={patch}")
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


def _commit(scenario: Scenario, server: FileServer) -> Mapping[str, Any]:
    source = {
        "label": f"{scenario.chaincode}_1.0",
        "repository": server.url("/git/repo.git"),
        "commit": server.commit(GO),
        "path": "asset",
        "language": "golang",
    }
    return {"type": "git", "git": source}


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
            assert set(await reader.installed()) == set(installed[reader.name])
    await oracle.assert_usable(upgrade)


async def test_a_repository_gives_one_package_id_and_peers_without_a_builder_say_so(
    scenario: Scenario, server: FileServer
) -> None:
    # When
    await scenario.creator.apply(scenario.manifest(package=_commit(scenario, server)))
    await scenario.until_true(ConditionType.VERIFIED)
    await scenario.agree()

    # Then: each organization built it for itself, to the same ID, and says what its peers lack
    await scenario.until(ConditionType.INSTALLED, "False", "ExternalBuilderMissing")
    shown = [scenario.seen_by(member) for member in scenario.members]
    assert len({(body or {})["status"]["packageID"] for body in shown}) == 1
    fetches = [asked for asked in server.requests if asked == "POST /git/repo.git/git-upload-pack"]
    assert len(fetches) == len(scenario.members)


async def test_one_organization_installs_an_archive_of_its_own_from_where_it_trusts(
    new_scenario: Callable[..., Scenario], server: FileServer
) -> None:
    # Given: organization 2 wants its own archive, from a host that it does not trust
    scenario, own = new_scenario(), new_scenario()
    scenario.serve()
    second = scenario.members[1]
    second.serve(ASSET_MODULE, own.package)
    local = {**_archive(own, server, own.package.data)}
    local["archive"] = {**local["archive"], "urls": ["https://elsewhere.example.com/own.tgz"]}
    await scenario.propose()

    # When
    shown = (scenario.seen_by(second) or {})["status"]["contentHash"]
    vote = manifests.build_vote(scenario.ref.creator, scenario.ref.id, content_hash=shown)
    vote["spec"]["local"] = {"package": local}
    await second.apply(vote)

    # Then: its vote counts and says what is wrong, its nodes are left alone, the others are not held up
    words = "elsewhere.example.com is not in trust.archiveHosts"
    await localchoice.assert_refused(scenario, second, "UntrustedSource", words)

    # When
    vote["spec"]["local"] = {"package": _archive(own, server, own.package.data)}
    await second.apply(vote)

    # Then
    await scenario.until_true(ConditionType.READY)
    await oracle.assert_definition_everywhere(scenario)
    for member in scenario.members:
        expected = own.package.package_id if member is second else scenario.package.package_id
        approved = await member.reader.lifecycle.query_approved(scenario.channel, scenario.chaincode, 1)
        assert approved is not None
        assert approved.package_id == expected
        assert {own.package.package_id, scenario.package.package_id} & set(await member.reader.installed()) == {
            expected
        }
    assert server.requests == [f"GET /{own.chaincode}.tgz"]
    await second.until_true(Kind.VOTE, scenario.ref.id, ConditionType.READY)
    await oracle.assert_usable(scenario)


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
    voter = others[0]
    shown = (scenario.seen_by(voter) or {})["status"]["contentHash"]
    await voter.apply(manifests.build_vote(scenario.ref.creator, scenario.ref.id, content_hash=shown))

    # Then: also a vote for this very content is not sent, and says why
    def not_sent(body: Body | None) -> bool:
        found = condition(body, ConditionType.COUNTED)
        return (found.get("status"), found.get("reason")) == ("False", "PackageIDMismatch")

    vote = await voter.until(Kind.VOTE, scenario.ref.id, not_sent, "it is not sent", seconds=30.0)
    assert vote["status"]["submitted"] is False
    record = await oracle.read_record(scenario)
    assert record.votes == ("Org1MSP",)
    await oracle.assert_nothing_done(scenario)


@pytest.mark.parametrize(("kind", "listed_in"), [("archive", "trust.archiveHosts"), ("git", "trust.repositories")])
async def test_a_host_nobody_trusts_is_never_asked(
    scenario: Scenario, tmp_path: Path, kind: str, listed_in: str
) -> None:
    # Given
    async with FileServer.run(tmp_path) as stranger:
        packages = {"archive": _archive(scenario, stranger, scenario.package.data), "git": _commit(scenario, stranger)}

        # When
        await scenario.creator.apply(scenario.manifest(package=packages[kind]))
        body = await scenario.creator.until(
            Kind.CHAINCODE_PROPOSAL,
            scenario.ref.id,
            lambda known: condition(known, ConditionType.READY).get("reason") == "UntrustedSource",
            "it is not trusted",
        )

        # Then
        assert listed_in in condition(body, ConditionType.READY)["message"]
        assert stranger.requests == []
        record = await oracle.read_record(scenario)
        assert record.proposals == 0

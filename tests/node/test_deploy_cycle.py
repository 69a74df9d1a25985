"""Chaincode servers as pods: deployed by the operators, reached by peers, replaced by an upgrade."""

from __future__ import annotations

import json
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from e2e import oracle, servers
from e2e.scenario import Scenario

from fabric_devnet.spec import BackendName
from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.serverset import server_name
from opssc_tools.cluster.start import ClusterKind
from opssc_tools.environment import Consortium, EnvironmentSpec, manifests
from opssc_tools.environment.manifests import ServicePackage
from opssc_tools.node import assetimage
from opssc_tools.node.entrance import Service, open_entrance
from opssc_tools.node.real import RealNode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from opssc_tools.environment import Member
    from opssc_tools.node.oci import Image

BACKENDS = [pytest.param(BackendName.EMBEDDED, id="embedded")]
if os.environ.get("FABRIC_HOME"):
    BACKENDS.append(pytest.param(BackendName.FABRIC, id="fabric", marks=pytest.mark.fabric))
CHANNEL = "mychannel"
CHAINCODE = "asset"
FIRST_PORT = 9999
SERVER = {"deploy": True, "resources": {"limits": {"memory": "256Mi"}}}
PODS_SECONDS = 120.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def images(tmp_path_factory: pytest.TempPathFactory) -> tuple[Image, Image]:
    """Two versions of the asset chaincode's image: the digest tells them apart."""
    folder = tmp_path_factory.mktemp("images")
    return (
        await assetimage.pack(folder / "1.tar", "1.0"),
        await assetimage.pack(folder / "2.tar", "2.0"),
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=BACKENDS)
async def consortium(
    request: pytest.FixtureRequest, images: tuple[Image, Image], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Consortium]:
    """Three organizations, each a namespace of a cluster whose pods run; peers and operators are processes here."""
    spec = EnvironmentSpec(
        directory=tmp_path_factory.mktemp("consortium"),
        backend=request.param,
        cluster=ClusterKind.NODE,
        resync_period="10s",
    )
    async with Consortium.start(spec) as running:
        node = running.members[0].cluster
        assert isinstance(node, RealNode)
        for image in images:
            await node.import_image(image.archive)
        yield running


@dataclass(frozen=True, slots=True)
class Release:
    """One version of the chaincode, with the way in for each organization's peers."""

    scenario: Scenario
    version: str

    @classmethod
    def of(cls, consortium: Consortium, image: Image, number: int) -> Release:
        package = ServicePackage(assetimage.NAME, image.digest, FIRST_PORT + number - 1, assetimage.REPOSITORY)
        ref = ProposalRef("Org1MSP", f"{CHAINCODE}-{number}")
        return cls(Scenario(consortium, CHAINCODE, CHANNEL, package, ref), f"{number}.0")

    @property
    def package_id(self) -> str:
        return self.scenario.package.package_id

    async def open_entrances(self, stack: AsyncExitStack) -> None:
        package = self.scenario.package
        for member in self.scenario.members:
            service = Service(member.cluster, member.namespace, package.label, package.port)
            await stack.enter_async_context(open_entrance(member.organization.chaincode_host, package.port, service))

    async def deploy(self) -> None:
        """Propose in the first organization, agree in the others; each of them wants a server of its own."""
        scenario = self.scenario
        first, *others = scenario.members
        chaincode = {"name": CHAINCODE, "version": self.version}
        await first.apply(scenario.manifest(server=SERVER, chaincode=chaincode))
        await scenario.until_true(ConditionType.VERIFIED)
        for member in others:
            shown = scenario.seen_by(member)
            assert shown is not None
            vote = manifests.build_vote("Org1MSP", scenario.ref.id, content_hash=shown["status"]["contentHash"])
            vote["spec"]["local"] = {"server": SERVER}
            await member.apply(vote)
        await scenario.until_true(ConditionType.RUNTIME_READY, seconds=PODS_SECONDS)
        await scenario.until_true(ConditionType.READY)

    async def pods(self, member: Member) -> list[dict[str, Any]]:
        selector = f"opssc.dev/server={server_name(self.package_id)}"
        return list(json.loads(await member.kubectl("get", "pods", "-l", selector, "-o", "json"))["items"])

    async def assert_served_by_pods(self) -> None:
        """One pod of this release's image in each organization, to which its peers came, and no process of ours."""
        name = server_name(self.package_id)
        image = f"{assetimage.REPOSITORY}/{assetimage.NAME}@{self.scenario.package.digest}"
        for member in self.scenario.members:
            (pod,) = await self.pods(member)
            (container,) = pod["spec"]["containers"]
            (status,) = pod["status"]["containerStatuses"]
            assert (container["image"], status["ready"], status["restartCount"]) == (image, True, 0)
            assert "peer connected" in await member.kubectl("logs", f"deployment/{name}")
            assert self.package_id not in member.servers


async def read(member: Member, key: str) -> str:
    return (await member.reader.evaluate(CHANNEL, CHAINCODE, "Get", key)).decode()


async def test_chaincode_servers_are_pods_from_the_first_deployment_through_an_upgrade(
    consortium: Consortium, images: tuple[Image, Image]
) -> None:
    first, second = (Release.of(consortium, image, number) for number, image in enumerate(images, start=1))
    async with AsyncExitStack() as stack:
        # Given
        await first.open_entrances(stack)
        await second.open_entrances(stack)

        # When
        await first.deploy()

        # Then: the application works across organizations, and pods are what serves it
        await oracle.assert_definition_everywhere(first.scenario)
        await oracle.assert_usable(first.scenario)
        for member in consortium.members:
            assert await read(member, "colour") == "blue"
        await first.assert_served_by_pods()

        # When
        await second.deploy()

        # Then: the old set is gone with its pods, and the new pods serve what was written before
        for member in consortium.members:
            await servers.until_parts(member, first.package_id, lambda parts: not parts, "removed")
            old = f"opssc.dev/server={server_name(first.package_id)}"
            await member.kubectl("wait", "--for=delete", "pod", "--selector", old, "--timeout=50s")
            assert await first.pods(member) == []
        for member in consortium.members:
            assert await read(member, "colour") == "blue"
        await oracle.assert_usable(second.scenario)
        for member in consortium.members:
            await read(member, "colour")
        await second.assert_served_by_pods()

"""Peers found by Services and pods of a real API server, under the Roles that are shipped."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from opssc_operator.api.organization import FabricOrganization, PeerSource
from opssc_operator.domain.discovery import Discovery
from opssc_operator.kube.access import load_configuration
from opssc_operator.kube.client import KubeClient
from opssc_operator.kube.transport import Transport
from opssc_operator.reconcile.surroundings import Surroundings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from opssc_tools.cluster import LocalCluster

HOME, ELSEWHERE = "discovery-home", "discovery-elsewhere"
SECONDS = 20.0


class Finder:
    """Finds the peers of one organization again whenever there is news."""

    def __init__(self, kube: KubeClient) -> None:
        self._news = asyncio.Event()
        self.surroundings = Surroundings(kube.objects, lambda _: self._news.set())

    async def until(self, organization: FabricOrganization, names: list[str]) -> Discovery:
        """Wait until exactly these peers are found."""
        async with asyncio.timeout(SECONDS):
            while True:
                self._news.clear()
                found = await self.surroundings.find(organization)
                if [peer.name for peer in found.peers] == names:
                    return found
                await self._news.wait()


@pytest.fixture
async def finder(kubernetes: LocalCluster, project_root: Path) -> AsyncIterator[Finder]:
    await kubernetes.apply_crds(project_root / "crds")
    rules = project_root / "config/rbac/operator.yaml"
    kubeconfig = await kubernetes.create_operator_credentials(HOME, "opssc-operator", rules)
    kube = KubeClient(Transport(await load_configuration(kubeconfig)))
    finder = Finder(kube)
    yield finder
    await finder.surroundings.close()
    await kube.close()
    for kind in ("services", "pods"):
        await kubernetes.kubectl("delete", kind, "--all", "--namespace", HOME, "--wait=false")


def organization(**peers: Any) -> FabricOrganization:
    return FabricOrganization.model_validate(
        {
            "apiVersion": "opssc.dev/v1alpha1",
            "kind": "FabricOrganization",
            "metadata": {"name": "org1", "namespace": HOME, "uid": "1", "resourceVersion": "1", "generation": 1},
            "spec": {
                "mspID": "Org1MSP",
                "governance": {"channel": "ops-channel"},
                "identities": {"admin": {"secretRef": {"name": "admin"}}},
                "peers": peers,
            },
        }
    )


def service(name: str, *, labels: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"selector": {"app": name}, "ports": [{"name": "grpc", "port": 7051}]},
    }


def pod(name: str, msp_id: str) -> dict[str, Any]:
    container = {"name": "peer", "image": "peer", "env": [{"name": "CORE_PEER_LOCALMSPID", "value": msp_id}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{name}-0", "labels": {"app": name}},
        "spec": {"containers": [container]},
    }


async def apply(kubernetes: LocalCluster, *bodies: dict[str, Any]) -> None:
    for body in bodies:
        await kubernetes.kubectl("apply", "--namespace", HOME, "--filename", "-", stdin=json.dumps(body))


async def test_services_that_come_and_go_are_followed(kubernetes: LocalCluster, finder: Finder) -> None:
    # Given
    found = await finder.until(organization(), [])
    assert found == Discovery()

    # When
    await apply(kubernetes, service("peer0", labels={"opssc.dev/peer": "true"}), service("web"))
    one = await finder.until(organization(), ["peer0"])
    await apply(kubernetes, service("peer1", labels={"opssc.dev/peer": "true", "tier": "new"}))
    two = await finder.until(organization(), ["peer0", "peer1"])
    await kubernetes.kubectl("delete", "service", "peer0", "--namespace", HOME)

    # Then
    assert one.peers[0].address == f"peer0.{HOME}.svc:7051"
    assert {peer.source for peer in two.peers} == {PeerSource.SERVICE}
    await finder.until(organization(), ["peer1"])
    await finder.until(organization(selector={"matchLabels": {"tier": "old"}}), [])
    await finder.until(organization(selector={"matchLabels": {"tier": "new"}}), ["peer1"])


async def test_pods_say_whose_peers_they_are(kubernetes: LocalCluster, finder: Finder) -> None:
    # Given
    await kubernetes.kubectl("create", "serviceaccount", "default", "--namespace", HOME)

    # When
    await apply(kubernetes, pod("alpha", "Org1MSP"), pod("beta", "Org2MSP"), service("alpha"), service("beta"))

    # Then
    found = await finder.until(organization(), ["alpha"])
    assert (found.peers[0].source, found.problems) == (PeerSource.POD, ())


async def test_a_namespace_that_the_operator_may_not_see_is_said_with_the_way_out(
    kubernetes: LocalCluster, finder: Finder
) -> None:
    await kubernetes.create_namespace(ELSEWHERE)
    found = await finder.until(organization(namespaces=[ELSEWHERE]), [])
    assert any("add verb 'list' on 'services'" in problem and ELSEWHERE in problem for problem in found.problems)

"""Peers that were found: what makes them go, and what does not."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest

from opssc_operator.api.organization import FabricOrganization, PeerSource
from opssc_operator.errors import AccessDenied, OperatorError, TransientError
from opssc_operator.kube.objects import Listed, Seen
from opssc_operator.reconcile.surroundings import Surroundings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from opssc_operator.domain.discovery import Discovery
    from opssc_operator.kube.objects import ObjectClient
    from opssc_operator.kube.resources import Resource

    from .conftest import Manifests

HOME = "org1"
SECONDS = 10.0
DENIED = "add verb 'watch'"


def service(name: str = "peer0", *, labelled: bool = False) -> dict[str, Any]:
    labels = {"opssc.dev/peer": "true"} if labelled else {}
    return {
        "metadata": {"name": name, "namespace": HOME, "labels": labels},
        "spec": {"selector": {"app": name}, "ports": [{"name": "grpc", "port": 7051}]},
    }


def pod(name: str = "peer0", msp_id: str = "Org1MSP") -> dict[str, Any]:
    container = {"name": "peer", "env": [{"name": "CORE_PEER_LOCALMSPID", "value": msp_id}]}
    return {
        "metadata": {"name": f"{name}-0", "namespace": HOME, "labels": {"app": name}},
        "spec": {"containers": [container]},
    }


class Cluster:
    """An API server with some Services and pods, whose watches show what the test puts there, or fail with it."""

    def __init__(self, services: Sequence[dict[str, Any]], pods: Sequence[dict[str, Any]]) -> None:
        self.listed = {"services": services, "pods": pods}
        self.events: dict[str, asyncio.Queue[Seen | OperatorError]] = {kind: asyncio.Queue() for kind in self.listed}

    async def list_some(self, resource: Resource, namespace: str, selector: str, *, limit: int) -> Listed:
        del namespace, selector, limit
        return Listed("1", tuple(self.listed[resource.plural]))

    async def watch(self, resource: Resource, namespace: str, selector: str, version: str) -> AsyncIterator[Seen]:
        del namespace, selector, version
        events = self.events[resource.plural]
        while True:
            event = await events.get()
            if isinstance(event, OperatorError):
                events.task_done()
                raise event
            yield event
            events.task_done()

    async def show(self, kind: str, *events: Seen | OperatorError) -> None:
        """Let a watch show events, and wait until they were taken note of."""
        for event in events:
            self.events[kind].put_nowait(event)
        async with asyncio.timeout(SECONDS):
            await self.events[kind].join()


class Finder:
    """Looks for the peers of one organization whenever there is news."""

    def __init__(self, cluster: Cluster, organization: FabricOrganization, grace_seconds: float) -> None:
        self.news = asyncio.Event()
        self.organization = organization
        client = cast("ObjectClient", cluster)
        self.surroundings = Surroundings(client, lambda _: self.news.set(), pod_grace_seconds=grace_seconds)

    async def find(self) -> Discovery:
        self.news.clear()
        return await self.surroundings.find(self.organization)

    async def next(self) -> Discovery:
        async with asyncio.timeout(SECONDS):
            await self.news.wait()
        return await self.find()


@pytest.fixture
def organization(manifests: Manifests) -> FabricOrganization:
    body = manifests.organization()
    body["spec"]["peers"] = {}
    return FabricOrganization.model_validate(body)


@asynccontextmanager
async def looking(
    cluster: Cluster, organization: FabricOrganization, *, grace_seconds: float = 3600.0
) -> AsyncIterator[Finder]:
    finder = Finder(cluster, organization, grace_seconds)
    yield finder
    await finder.surroundings.close()


@pytest.mark.parametrize(
    ("kind", "labelled", "source"),
    [
        pytest.param("services", True, PeerSource.SERVICE, id="labelled-services"),
        pytest.param("services", False, PeerSource.POD, id="services"),
        pytest.param("pods", False, PeerSource.POD, id="pods"),
    ],
)
async def test_a_refusal_is_said_and_takes_no_peer_away(
    organization: FabricOrganization, kind: str, labelled: bool, source: PeerSource
) -> None:
    # Given
    cluster = Cluster([service(labelled=labelled)], [pod()])
    async with looking(cluster, organization) as finder:
        before = await finder.find()

        # When
        await cluster.show(kind, AccessDenied(DENIED))
        after = await finder.next()

        # Then
        assert [peer.source for peer in before.peers] == [source]
        assert after.peers == before.peers
        assert (before.problems, after.problems) == ((), (DENIED,))


async def test_a_pod_that_goes_takes_its_peer_away_only_after_a_while(organization: FabricOrganization) -> None:
    # Given
    cluster = Cluster([service()], [pod()])
    async with looking(cluster, organization) as finder:
        before = await finder.find()

        # When
        await cluster.show("pods", Seen(pod(), is_deleted=True))

        # Then
        assert await finder.find() == before
        assert len(before.peers) == 1


async def test_a_peer_whose_pod_stays_away_goes(organization: FabricOrganization) -> None:
    cluster = Cluster([service()], [pod()])
    async with looking(cluster, organization, grace_seconds=0.01) as finder:
        assert len((await finder.find()).peers) == 1
        await cluster.show("pods", Seen(pod(), is_deleted=True))
        assert (await finder.next()).peers == ()


async def test_what_went_while_nobody_watched_stays_as_long(organization: FabricOrganization) -> None:
    # Given
    cluster = Cluster([service()], [pod()])
    async with looking(cluster, organization) as finder:
        before = await finder.find()

        # When: a broken watch, and a listing without the pod
        cluster.listed["pods"] = ()
        await cluster.show("pods", TransientError("too old resource version"), Seen({}, is_bookmark=True))

        # Then
        assert await finder.find() == before


async def test_a_pod_that_came_back_stays(organization: FabricOrganization) -> None:
    # Given
    cluster = Cluster([service(), service("peer1")], [pod(), pod("peer1")])
    async with looking(cluster, organization, grace_seconds=0.05) as finder:
        assert len((await finder.find()).peers) == 2

        # When: one goes and comes back, and another one goes after it for good
        events = (Seen(pod(), is_deleted=True), Seen(pod()), Seen(pod("peer1"), is_deleted=True))
        await cluster.show("pods", *events)

        # Then
        assert [peer.name for peer in (await finder.next()).peers] == ["peer0"]


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        pytest.param("pods", Seen(pod(msp_id="Org2MSP")), id="the-pod-is-anothers-now"),
        pytest.param("services", Seen(service(), is_deleted=True), id="the-service-is-deleted"),
    ],
)
async def test_what_somebody_changed_counts_at_once(organization: FabricOrganization, kind: str, event: Seen) -> None:
    cluster = Cluster([service()], [pod()])
    async with looking(cluster, organization) as finder:
        assert len((await finder.find()).peers) == 1
        await cluster.show(kind, event)
        assert (await finder.next()).peers == ()

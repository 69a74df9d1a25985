"""The Services and pods around each organization's peers, as watches last showed them, and the peers they lead to.

Watches run only for organizations that list no peers. Reconciles read from here and never list the API server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Generic, TypeVar

from pydantic import ValidationError

from opssc_operator.api.organization import FabricOrganization, PeerSelector
from opssc_operator.api.surroundings import Pod, Service
from opssc_operator.domain.discovery import Discovery, PodSeen, ServiceSeen, discover_peers, read_pod, read_service
from opssc_operator.kube.objects import PODS, SERVICES, ObjectClient
from opssc_operator.kube.watch import Followed, follow_objects
from opssc_operator.ledger.streams import Streams

MAX_SERVICES: Final = 2000
MAX_PODS: Final = 5000
FIRST_LISTING_SECONDS: Final = 10.0
_Name = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Question:
    """Whose peers are looked for, and where."""

    msp_id: str
    own_namespace: str
    namespaces: tuple[str, ...]
    selector: PeerSelector | None

    @property
    def labels(self) -> str:
        """The selector as the API server takes it."""
        chosen = self.selector.match_labels if self.selector is not None else {}
        return ",".join(f"{name}={value}" for name, value in sorted(chosen.items()))


_SeenT = TypeVar("_SeenT")


@dataclass(slots=True)
class _Shelf(Generic[_SeenT]):
    """What one watch showed, read once; ``told`` is called whenever that changes."""

    read: Callable[[Mapping[str, Any]], _SeenT | None]
    told: Callable[[], None]
    listed: asyncio.Event = field(default_factory=asyncio.Event)
    seen: dict[_Name, _SeenT] = field(default_factory=dict)
    trouble: str = ""

    def replace(self, bodies: tuple[Mapping[str, Any], ...]) -> None:
        found = {_name_of(body): self.read(body) for body in bodies}
        self._settle({name: seen for name, seen in found.items() if seen is not None})

    def put(self, body: Mapping[str, Any]) -> None:
        seen = self.read(body)
        others = {name: known for name, known in self.seen.items() if name != _name_of(body)}
        self._settle(others if seen is None else {**others, _name_of(body): seen})

    def remove(self, body: Mapping[str, Any]) -> None:
        self._settle({name: seen for name, seen in self.seen.items() if name != _name_of(body)})

    def refused(self, message: str) -> None:
        self._settle({}, message)

    def _settle(self, seen: dict[_Name, _SeenT], trouble: str = "") -> None:
        is_news = (seen, trouble) != (self.seen, self.trouble) or not self.listed.is_set()
        self.seen, self.trouble = seen, trouble
        self.listed.set()
        if is_news:
            self.told()


class _Search:
    """The running watches of one organization."""

    def __init__(self, question: _Question, objects: ObjectClient, told: Callable[[], None]) -> None:
        self.question = question
        self.services: dict[str, _Shelf[ServiceSeen]] = {}
        self.pods: dict[str, _Shelf[PodSeen]] = {}
        self._streams = Streams(told)
        for namespace in question.namespaces:
            services: _Shelf[ServiceSeen] = _Shelf(_read_service, told)
            pods: _Shelf[PodSeen] = _Shelf(_read_pod, told)
            self.services[namespace], self.pods[namespace] = services, pods
            followed = Followed(SERVICES, namespace, question.labels, MAX_SERVICES)
            self._streams.ensure(f"services of {namespace}", partial(follow_objects, objects, followed, services))
            followed = Followed(PODS, namespace, limit=MAX_PODS)
            self._streams.ensure(f"pods of {namespace}", partial(follow_objects, objects, followed, pods))

    async def listed(self) -> None:
        """Wait until every watch has shown what there is, or why it cannot."""
        listed = [shelf.listed for shelf in self.services.values()] + [shelf.listed for shelf in self.pods.values()]
        await asyncio.gather(*(each.wait() for each in listed))

    def find(self) -> Discovery:
        """The peers that are to be seen now."""
        services = [seen for shelf in self.services.values() for seen in shelf.seen.values()]
        pods = [seen for shelf in self.pods.values() for seen in shelf.seen.values()]
        found = discover_peers(self.question.msp_id, self.question.own_namespace, services, pods)
        troubles = {shelf.trouble for shelf in self.services.values() if shelf.trouble}
        if not found.peers:
            # Pods are looked at only where no Service says by itself that it leads to a peer.
            troubles |= {shelf.trouble for shelf in self.pods.values() if shelf.trouble}
        return Discovery(found.peers, tuple(sorted(troubles)) + found.problems)

    async def close(self) -> None:
        await self._streams.close()


class Surroundings:
    """Finds the own peers of every organization that lists none; ``changed`` is told a namespace that has news."""

    def __init__(self, objects: ObjectClient, changed: Callable[[str], None]) -> None:
        self._objects = objects
        self._changed = changed
        self._searches: dict[str, _Search] = {}
        self._told: dict[str, Discovery] = {}

    async def find(self, organization: FabricOrganization) -> Discovery:
        """The peers of an organization, as far as watches have shown them."""
        spec, namespace = organization.spec, organization.metadata.namespace
        question = _Question(spec.msp_id, namespace, spec.peers.namespaces or (namespace,), spec.peers.selector)
        search = self._searches.get(namespace)
        if search is None or search.question != question:
            await self.drop(namespace)
            search = self._searches[namespace] = _Search(question, self._objects, partial(self._tell, namespace))
        try:
            async with asyncio.timeout(FIRST_LISTING_SECONDS):
                await search.listed()
        except TimeoutError:
            return Discovery(problems=("the API server has not shown Services and pods yet",))
        self._told[namespace] = search.find()
        return self._told[namespace]

    def _tell(self, namespace: str) -> None:
        search = self._searches.get(namespace)
        if search is not None and namespace in self._told and search.find() != self._told[namespace]:
            self._changed(namespace)

    async def drop(self, namespace: str) -> None:
        """End the watches of an organization, if any run."""
        self._told.pop(namespace, None)
        search = self._searches.pop(namespace, None)
        if search is not None:
            await search.close()

    async def close(self) -> None:
        """End all watches."""
        await asyncio.gather(*(self.drop(namespace) for namespace in tuple(self._searches)))


def _name_of(body: Mapping[str, Any]) -> _Name:
    metadata = body.get("metadata") or {}
    return str(metadata.get("namespace")), str(metadata.get("name"))


def _read_service(body: Mapping[str, Any]) -> ServiceSeen | None:
    try:
        return read_service(Service.model_validate(body))
    except ValidationError:
        # Larger than anything that stands for a peer.
        return None


def _read_pod(body: Mapping[str, Any]) -> PodSeen | None:
    try:
        return read_pod(Pod.model_validate(body))
    except ValidationError:
        return None

"""The Services and pods around each organization's peers, as watches last showed them, and the peers they lead to.

Watches run only for organizations that list no peers. Reconciles read from here and never list the API server. A peer
that is gone costs its organization the whole session, so neither a refusal nor a pod that restarts makes peers vanish.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Generic, TypeVar

from pydantic import ValidationError

from opssc_operator.api.organization import FabricOrganization, PeerSelector, PeerSource
from opssc_operator.api.surroundings import Pod, Service
from opssc_operator.domain.discovery import Discovery, PodSeen, ServiceSeen, discover_peers, read_pod, read_service
from opssc_operator.kube.objects import PODS, SERVICES, ObjectClient
from opssc_operator.kube.watch import Followed, follow_objects
from opssc_operator.ledger.streams import Streams

MAX_SERVICES: Final = 2000
MAX_PODS: Final = 5000
FIRST_LISTING_SECONDS: Final = 10.0
POD_GRACE_SECONDS: Final = 300.0
"""How long a peer's pod may be gone before its peer is: longer than a restart on another node takes."""
MAX_LEAVING: Final = 64
"""Pods that are remembered after they went; the number of peers that an organization may have."""
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
    """What one watch showed, read once; ``told`` is called whenever that changes.

    What is gone counts for ``grace_seconds`` more, unless it comes back before.
    """

    read: Callable[[Mapping[str, Any]], _SeenT | None]
    told: Callable[[], None]
    grace_seconds: float = 0.0
    leaving: dict[_Name, asyncio.TimerHandle] = field(default_factory=dict)
    listed: asyncio.Event = field(default_factory=asyncio.Event)
    seen: dict[_Name, _SeenT] = field(default_factory=dict)
    trouble: str = ""

    def replace(self, bodies: tuple[Mapping[str, Any], ...]) -> None:
        found = {_name_of(body): self.read(body) for body in bodies}
        for name in found:
            self._stays(name)
        kept = {name: seen for name, seen in self.seen.items() if name not in found and self._lingers(name)}
        self._settle(kept | {name: seen for name, seen in found.items() if seen is not None})

    def put(self, body: Mapping[str, Any]) -> None:
        name, seen = _name_of(body), self.read(body)
        self._stays(name)
        others = {other: known for other, known in self.seen.items() if other != name}
        self._settle(others if seen is None else {**others, name: seen})

    def remove(self, body: Mapping[str, Any]) -> None:
        name = _name_of(body)
        if name in self.seen and self._lingers(name):
            self.told()
        else:
            self._drop(name)

    def refused(self, message: str) -> None:
        """What cannot be seen is not gone."""
        self._settle(self.seen, message)

    def close(self) -> None:
        for timer in self.leaving.values():
            timer.cancel()
        self.leaving.clear()

    def staying(self) -> tuple[_SeenT, ...]:
        """What is there, without what is gone and still counts."""
        return tuple(seen for name, seen in self.seen.items() if name not in self.leaving)

    def _lingers(self, name: _Name) -> bool:
        """Let something that is gone count for a while; False when it does not."""
        if name not in self.leaving and (self.grace_seconds <= 0 or len(self.leaving) >= MAX_LEAVING):
            return False
        if name not in self.leaving:
            self.leaving[name] = asyncio.get_running_loop().call_later(self.grace_seconds, self._drop, name)
        return True

    def _stays(self, name: _Name) -> None:
        timer = self.leaving.pop(name, None)
        if timer is not None:
            timer.cancel()

    def _drop(self, name: _Name) -> None:
        self._stays(name)
        self._settle({other: seen for other, seen in self.seen.items() if other != name}, self.trouble)

    def _settle(self, seen: dict[_Name, _SeenT], trouble: str = "") -> None:
        is_news = (seen, trouble) != (self.seen, self.trouble) or not self.listed.is_set()
        self.seen, self.trouble = seen, trouble
        self.listed.set()
        if is_news:
            self.told()


class _Search:
    """The running watches of one organization."""

    def __init__(
        self, question: _Question, objects: ObjectClient, told: Callable[[], None], pod_grace_seconds: float
    ) -> None:
        self.question = question
        self.services: dict[str, _Shelf[ServiceSeen]] = {}
        self.pods: dict[str, _Shelf[PodSeen]] = {}
        self._streams = Streams(told)
        for namespace in question.namespaces:
            services: _Shelf[ServiceSeen] = _Shelf(_read_service, told)
            pods: _Shelf[PodSeen] = _Shelf(_read_pod, told, pod_grace_seconds)
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
        """The peers that are to be seen now, or were a moment ago."""
        services = [seen for shelf in self.services.values() for seen in shelf.seen.values()]
        lately = [seen for shelf in self.pods.values() for seen in shelf.seen.values()]
        now = [seen for shelf in self.pods.values() for seen in shelf.staying()]
        peers = self._discover(services, lately).peers
        troubles = {shelf.trouble for shelf in self.services.values() if shelf.trouble}
        if not any(peer.source is PeerSource.SERVICE for peer in peers):
            # Pods are looked at only where no Service says by itself that it leads to a peer.
            troubles |= {shelf.trouble for shelf in self.pods.values() if shelf.trouble}
        return Discovery(peers, tuple(sorted(troubles)) + self._discover(services, now).problems)

    def _discover(self, services: Sequence[ServiceSeen], pods: Sequence[PodSeen]) -> Discovery:
        return discover_peers(self.question.msp_id, self.question.own_namespace, services, pods)

    async def close(self) -> None:
        await self._streams.close()
        for shelf in self.pods.values():
            shelf.close()


class Surroundings:
    """Finds the own peers of every organization that lists none; ``changed`` is told a namespace that has news.

    A peer that is found by its pod stays for ``pod_grace_seconds`` when the pod goes.
    """

    def __init__(
        self,
        objects: ObjectClient,
        changed: Callable[[str], None],
        *,
        pod_grace_seconds: float = POD_GRACE_SECONDS,
    ) -> None:
        self._objects = objects
        self._changed = changed
        self._pod_grace_seconds = pod_grace_seconds
        self._searches: dict[str, _Search] = {}
        self._told: dict[str, Discovery] = {}

    async def find(self, organization: FabricOrganization) -> Discovery:
        """The peers of an organization, as far as watches have shown them."""
        spec, namespace = organization.spec, organization.metadata.namespace
        question = _Question(spec.msp_id, namespace, spec.peers.namespaces or (namespace,), spec.peers.selector)
        search = self._searches.get(namespace)
        if search is None or search.question != question:
            await self.drop(namespace)
            told = partial(self._tell, namespace)
            search = self._searches[namespace] = _Search(question, self._objects, told, self._pod_grace_seconds)
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

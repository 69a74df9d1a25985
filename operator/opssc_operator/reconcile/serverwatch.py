"""Watches the objects of chaincode servers, by label, and wakes what their changes concern.

Only objects with the operator's own labels are watched: a namespace may hold thousands of others. Every break is
followed by a new listing, so losing events costs time and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from opssc_operator.domain.serverset import owner_labels, package_of
from opssc_operator.errors import AccessDenied, TransientError
from opssc_operator.kube.objects import (
    DEPLOYMENTS,
    NETWORK_POLICIES,
    SERVICE_ACCOUNTS,
    SERVICES,
    ObjectClient,
    Seen,
)
from opssc_operator.kube.resources import Resource
from opssc_operator.reconcile.keys import server_key
from opssc_operator.reconcile.queue import WorkQueue
from opssc_operator.reconcile.serverbook import ServerBook
from opssc_operator.reconcile.servershelf import Shelf, Shelves

logger = logging.getLogger(__name__)

WATCHED: Final = (DEPLOYMENTS, SERVICES, SERVICE_ACCOUNTS, NETWORK_POLICIES)
RETRY_SECONDS: Final = 1.0
FIRST_LOOK_SECONDS: Final = 20.0


@dataclass(slots=True)
class _Watched:
    """The watches of one organization; ``missing`` are the kinds not listed yet, with what stood in the way.

    ``asked`` is set once somebody wants a server: before that a missing Role is nobody's business.
    """

    place: str
    tasks: tuple[asyncio.Task[None], ...] = ()
    missing: dict[Resource, TransientError | None] = field(default_factory=lambda: dict.fromkeys(WATCHED))
    told: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def problem(self) -> TransientError | None:
        """Why not everything is known; None while it is, or while the first answers are awaited."""
        return next((problem for problem in self.missing.values() if problem is not None), None)


class ServerWatches:
    """Keeps the shelf of every organization current."""

    def __init__(self, objects: ObjectClient, shelves: Shelves, book: ServerBook, queue: WorkQueue) -> None:
        self._objects = objects
        self._shelves = shelves
        self._book = book
        self._queue = queue
        self._watched: dict[str, _Watched] = {}

    async def ensure(self, namespace: str, place: str, *, asked: bool) -> None:
        """Watch the servers of the organization in ``namespace``, which run in ``place``; wait for the first listing.

        ``asked`` says that somebody wants one, so that rights that are missing are worth asking for again.

        Raises:
            TransientError: not everything could be listed, by the latest answer; AccessDenied when a right is missing.
        """
        watched = self._watched.get(namespace)
        if watched is None or watched.place != place:
            await self._stop(namespace)
            self._shelves.clear(namespace)
            watched = self._watched[namespace] = _Watched(place)
            watched.tasks = tuple(
                asyncio.create_task(self._follow(namespace, watched, resource), name=f"{resource.plural} in {place}")
                for resource in WATCHED
            )
        if asked:
            watched.asked.set()
        if watched.missing and watched.problem is None:
            try:
                async with asyncio.timeout(FIRST_LOOK_SECONDS):
                    await watched.told.wait()
            except TimeoutError as exc:
                raise TransientError("the API server does not list the chaincode servers' objects") from exc
        problem = watched.problem
        if problem is not None:
            kind = AccessDenied if isinstance(problem, AccessDenied) else TransientError
            raise kind(problem.message) from problem

    async def close(self) -> None:
        """Stop all watches."""
        await asyncio.gather(*(self._stop(namespace) for namespace in tuple(self._watched)))

    async def _stop(self, namespace: str) -> None:
        watched = self._watched.pop(namespace, None)
        if watched is None:
            return
        for task in watched.tasks:
            task.cancel()
        await asyncio.gather(*watched.tasks, return_exceptions=True)

    async def _follow(self, namespace: str, watched: _Watched, resource: Resource) -> None:
        """Keep one kind current for ever."""
        said = ""
        while True:
            try:
                await self._follow_once(namespace, watched, resource)
            except TransientError as exc:
                if resource in watched.missing:
                    watched.missing[resource] = exc
                    watched.told.set()
                if exc.message != said:
                    logger.info("a watch will be begun anew", extra={"resource": resource.plural, "error": exc.message})
                    said = exc.message
                if isinstance(exc, AccessDenied):
                    await watched.asked.wait()
                # Nothing tells when the API server answers again or a Role is granted; asking is the only way.
                await asyncio.sleep(RETRY_SECONDS if exc.retry_after is None else exc.retry_after)

    async def _follow_once(self, namespace: str, watched: _Watched, resource: Resource) -> None:
        selector = ",".join(f"{name}={value}" for name, value in owner_labels(namespace).items())
        listed = await self._objects.list(resource, watched.place, selector)
        shelf = self._shelves.of(namespace)
        before = shelf.deployments()
        shelf.replace(resource, listed.bodies)
        # Nothing else tells of what changed while nobody watched.
        for package_id, _ in before.items() ^ shelf.deployments().items():
            self._book.wake_claimants(namespace, package_id)
        watched.missing.pop(resource, None)
        if not watched.missing:
            watched.told.set()
            self._book.wake_servers(namespace)
        version = listed.resource_version
        while True:
            async for seen in self._objects.watch(resource, watched.place, selector, version):
                version = str(seen.body["metadata"]["resourceVersion"])
                if not seen.is_bookmark:
                    self._take(namespace, shelf, resource, seen)

    def _take(self, namespace: str, shelf: Shelf, resource: Resource, seen: Seen) -> None:
        package_id = package_of(seen.body)
        before = shelf.deployment(package_id)
        if seen.is_deleted:
            shelf.drop(resource, seen.body)
        else:
            shelf.put(resource, seen.body)
        if seen.is_deleted or not shelf.is_untouched(resource, _name(seen.body)):
            self._queue.add(server_key(namespace, package_id))
        if shelf.deployment(package_id) != before:
            self._book.wake_claimants(namespace, package_id)
        if seen.is_deleted and resource == SERVICES:
            # Another package of the same label may have waited for the name.
            self._book.wake_servers(namespace)


def _name(body: Mapping[str, Any]) -> str:
    return str(body["metadata"]["name"])

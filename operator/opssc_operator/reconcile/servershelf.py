"""The objects of chaincode servers as the watch shows them, and as the operator applied them last. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from opssc_operator.domain.servers import DeploymentState, read_deployment
from opssc_operator.domain.serverset import package_of
from opssc_operator.kube.objects import DEPLOYMENTS
from opssc_operator.kube.resources import Resource

Body = Mapping[str, Any]
Place = tuple[Resource, str]
"""Kind and name of an object in the servers' namespace."""

_SERVER_OWNED = frozenset({"managedFields", "resourceVersion", "generation"})


class Shelf:
    """What one organization's servers consist of; only objects that carry its labels ever get here."""

    def __init__(self) -> None:
        self._objects: dict[Place, Body] = {}
        self._applied: dict[Place, tuple[Body, Body]] = {}

    def put(self, resource: Resource, body: Body) -> None:
        """Take over an object unless a later state of it is known."""
        place = resource, str(body["metadata"]["name"])
        known = self._objects.get(place)
        if known is None or _version(known) < _version(body):
            self._objects[place] = body

    def drop(self, resource: Resource, body: Body) -> None:
        """Forget a deleted object, not its successor."""
        place = resource, str(body["metadata"]["name"])
        known = self._objects.get(place)
        if known is not None and known["metadata"]["uid"] == body["metadata"]["uid"]:
            self._objects.pop(place)
            self._applied.pop(place, None)

    def replace(self, resource: Resource, bodies: Iterable[Body]) -> None:
        """Take over a whole listing of one kind."""
        listed = {str(body["metadata"]["name"]): body for body in bodies}
        for place in [place for place in self._objects if place[0] == resource and place[1] not in listed]:
            self._objects.pop(place)
            self._applied.pop(place, None)
        for body in listed.values():
            self.put(resource, body)

    def get(self, resource: Resource, name: str) -> Body | None:
        """The object as known last."""
        return self._objects.get((resource, name))

    def of_package(self, package_id: str) -> tuple[tuple[Resource, Body], ...]:
        """Everything made for one package."""
        return tuple(
            (resource, body) for (resource, _), body in self._objects.items() if package_of(body) == package_id
        )

    def packages(self) -> set[str]:
        """Package IDs of everything there is."""
        return {package_of(body) for body in self._objects.values()}

    def deployment(self, package_id: str) -> DeploymentState | None:
        """The Deployment of one package."""
        for resource, body in self.of_package(package_id):
            if resource == DEPLOYMENTS and "deletionTimestamp" not in body["metadata"]:
                return read_deployment(body)
        return None

    def deployments(self) -> dict[str, DeploymentState]:
        """The Deployments of all packages."""
        return {
            package_of(body): read_deployment(body)
            for (resource, _), body in self._objects.items()
            if resource == DEPLOYMENTS and "deletionTimestamp" not in body["metadata"]
        }

    def applied(self, resource: Resource, manifest: Body, answer: Body) -> None:
        """Note what was applied and what it became."""
        self.put(resource, answer)
        self._applied[resource, str(manifest["metadata"]["name"])] = manifest, content(answer)

    def stands(self, resource: Resource, manifest: Body) -> bool:
        """Whether the object is still what applying just this manifest made of it."""
        place = resource, str(manifest["metadata"]["name"])
        known, last = self._objects.get(place), self._applied.get(place)
        return known is not None and last == (manifest, content(known))

    def is_untouched(self, resource: Resource, name: str) -> bool:
        """Whether nobody changed the object since it was applied by this process."""
        known, last = self._objects.get((resource, name)), self._applied.get((resource, name))
        return known is not None and last is not None and last[1] == content(known)


class Shelves:
    """One shelf for each organization's namespace."""

    def __init__(self) -> None:
        self._shelves: dict[str, Shelf] = {}

    def of(self, namespace: str) -> Shelf:
        """The shelf of the organization in ``namespace``."""
        return self._shelves.setdefault(namespace, Shelf())

    def clear(self, namespace: str) -> None:
        """Forget everything, as when servers run elsewhere from now on."""
        self._shelves.pop(namespace, None)


def content(body: Body) -> Body:
    """What people and controllers state of an object: all but its status and the API server's bookkeeping."""
    metadata = {name: value for name, value in body["metadata"].items() if name not in _SERVER_OWNED}
    return {**{name: value for name, value in body.items() if name != "status"}, "metadata": metadata}


def _version(body: Body) -> int:
    text = str(body["metadata"].get("resourceVersion") or "")
    return int(text) if text.isdecimal() else 0

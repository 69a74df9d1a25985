"""An API server's objects in memory, as ObjectClient shows them; watches tell ``told`` until they are broken."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Any

from opssc_operator.errors import TransientError
from opssc_operator.kube.objects import Listed, Seen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from opssc_operator.kube.resources import Resource

Body = dict[str, Any]


class MemoryObjects:
    """Objects by kind and name; every call lets others run before it is answered, as a network does."""

    def __init__(self) -> None:
        self.stored: dict[tuple[str, str], Body] = {}
        self.told: tuple[Body, ...] = ()
        self._versions = count(1)
        self._broken = asyncio.Event()

    def put(self, resource: Resource, manifest: Mapping[str, Any]) -> Body:
        """Store an object, as a new one or as the next state of the known one."""
        place = resource.plural, str(manifest["metadata"]["name"])
        version = str(next(self._versions))
        known = self.stored.get(place)
        uid = f"uid-{version}" if known is None else known["metadata"]["uid"]
        metadata = {**manifest["metadata"], "resourceVersion": version, "uid": uid}
        self.stored[place] = {**manifest, "metadata": metadata}
        return self.stored[place]

    def break_watches(self) -> None:
        """End every watch, which is followed by a listing."""
        self._broken.set()
        self._broken = asyncio.Event()

    async def get(self, resource: Resource, namespace: str, name: str) -> Body | None:
        del namespace
        await asyncio.sleep(0)
        return self.stored.get((resource.plural, name))

    async def create(self, resource: Resource, manifest: Mapping[str, Any]) -> Body | None:
        await asyncio.sleep(0)
        is_taken = (resource.plural, str(manifest["metadata"]["name"])) in self.stored
        return None if is_taken else self.put(resource, manifest)

    async def apply(self, resource: Resource, manifest: Mapping[str, Any], uid: str | None) -> Body:
        await asyncio.sleep(0)
        known = self.stored.get((resource.plural, str(manifest["metadata"]["name"])))
        if uid is not None and (known is None or known["metadata"]["uid"] != uid):
            raise TransientError(f"{resource.plural}: there is another uid", reason="Conflict")
        return self.put(resource, manifest)

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        del namespace, uid
        await asyncio.sleep(0)
        self.stored.pop((resource.plural, name), None)

    async def list(self, resource: Resource, namespace: str, selector: str) -> Listed:
        del namespace, selector
        await asyncio.sleep(0)
        return Listed(
            str(next(self._versions)),
            tuple(body for (plural, _), body in self.stored.items() if plural == resource.plural),
        )

    async def watch(self, *_: object) -> AsyncIterator[Seen]:
        broken = self._broken
        for body in self.told:
            yield Seen(body)
        await broken.wait()
        raise TransientError("the watch broke", 0.0)

"""Following the objects of one collection in one namespace for ever: listed, then watched, and listed again.

Owns beginning anew after every break; keeps nothing itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from opssc_operator.errors import AccessDenied, TerminalError, TransientError

if TYPE_CHECKING:
    from opssc_operator.kube.objects import ObjectClient
    from opssc_operator.kube.resources import Resource

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 30.0


class Sink(Protocol):
    """Who is told about the objects."""

    def replace(self, bodies: tuple[Mapping[str, Any], ...]) -> None:
        """These are all there are."""
        ...

    def put(self, body: Mapping[str, Any]) -> None:
        """An object is new or changed."""
        ...

    def remove(self, body: Mapping[str, Any]) -> None:
        """An object is gone; this is how it was last."""
        ...

    def refused(self, message: str) -> None:
        """The objects cannot be seen for now; the message says what to do."""
        ...


@dataclass(frozen=True, slots=True)
class Followed:
    """The objects of one collection in one namespace, by label; of more than ``limit`` none is shown."""

    resource: Resource
    namespace: str
    labels: str = ""
    limit: int = 1000


async def follow_objects(objects: ObjectClient, followed: Followed, sink: Sink) -> None:
    """Tell ``sink`` about the objects for ever."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            version = await _show_all(objects, followed, sink)
            pause = LONGEST_PAUSE_SECONDS if version is None else FIRST_PAUSE_SECONDS
            while version is not None:
                version = await _show_changes(objects, followed, sink, version)
        except AccessDenied as exc:
            sink.refused(exc.message)
            pause = LONGEST_PAUSE_SECONDS
        except (TransientError, TerminalError) as exc:
            logger.info("watch interrupted", extra={"resource": followed.resource.plural, "cause": exc.message[:200]})
        # What went wrong may be overload, and nothing tells when it is over.
        await asyncio.sleep(pause)
        pause = min(LONGEST_PAUSE_SECONDS, pause * 2)


async def _show_all(objects: ObjectClient, followed: Followed, sink: Sink) -> str | None:
    """Show what there is; returns the version it is of, or None when it is too much."""
    listed = await objects.list_some(followed.resource, followed.namespace, followed.labels, limit=followed.limit)
    if listed is None:
        few = f"namespace {followed.namespace} holds more than {followed.limit} {followed.resource.plural}"
        sink.refused(f"{few}; list the peers in spec.peers.explicit")
        return None
    sink.replace(listed.bodies)
    return listed.resource_version


async def _show_changes(objects: ObjectClient, followed: Followed, sink: Sink, version: str) -> str:
    """Show changes until the API server ends the watch; returns the version to go on from."""
    async for seen in objects.watch(followed.resource, followed.namespace, followed.labels, version):
        version = str((seen.body.get("metadata") or {}).get("resourceVersion") or version)
        if seen.is_deleted:
            sink.remove(seen.body)
        elif not seen.is_bookmark:
            sink.put(seen.body)
    return version

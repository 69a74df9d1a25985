"""Objects of other kinds than ours: read by name, applied, deleted by uid, and watched by label.

Every call but the watch has a deadline. Nothing here knows what the objects are for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from opssc_operator.errors import TerminalError, TransientError
from opssc_operator.kube.refusal import CONFLICT, Request
from opssc_operator.kube.resources import FIELD_MANAGER, Resource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from opssc_operator.kube.transport import Transport

DEPLOYMENTS: Final = Resource("/apis/apps/v1", "deployments")
SERVICES: Final = Resource("/api/v1", "services")
PODS: Final = Resource("/api/v1", "pods")
SERVICE_ACCOUNTS: Final = Resource("/api/v1", "serviceaccounts")
NETWORK_POLICIES: Final = Resource("/apis/networking.k8s.io/v1", "networkpolicies")

WATCH_SECONDS: Final = 300
"""How long the API server keeps one watch open."""
PAGE: Final = 250
"""Objects in one answer of a listing that may be long."""
_CREATE: Final = {"fieldManager": FIELD_MANAGER}
_APPLY: Final = {"fieldManager": FIELD_MANAGER, "force": "true"}
_APPLY_TYPE: Final = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class Listed:
    """All objects a selector finds, as of a resource version."""

    resource_version: str
    bodies: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """One event of a watch; a deleted object is shown as it was last, a bookmark has nothing but a version."""

    body: Mapping[str, Any]
    is_deleted: bool = False
    is_bookmark: bool = False


class ObjectClient:
    """Access to namespaced objects of any kind."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def get(self, resource: Resource, namespace: str, name: str) -> Mapping[str, Any] | None:
        """The object of this name, None when there is none; raises TransientError."""
        return await self._transport.send(Request("get", resource, namespace, name))

    async def create(self, resource: Resource, manifest: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Create the object; None when its name is taken.

        Raises:
            TransientError: the API server refuses or does not answer.
            TerminalError: the API server finds the manifest wrong, or there is no such namespace.
        """
        metadata = manifest["metadata"]
        request = Request("create", resource, metadata["namespace"])
        try:
            answer = await self._transport.send(request, body=manifest, query=_CREATE)
        except TransientError as exc:
            if exc.reason == CONFLICT:
                return None
            raise
        return _found(answer, manifest)

    async def apply(self, resource: Resource, manifest: Mapping[str, Any], uid: str | None) -> Mapping[str, Any]:
        """Create the object (``uid`` None), or make exactly that one what the manifest says, by server-side apply.

        Raises:
            TransientError: among others when the object with this uid is gone.
            TerminalError: the API server finds the manifest wrong, or there is no such namespace.
        """
        metadata = dict(manifest["metadata"])
        if uid is not None:
            metadata["uid"] = uid
        request = Request("patch", resource, metadata["namespace"], metadata["name"])
        body = {**manifest, "metadata": metadata}
        answer = await self._transport.send(request, body=body, query=_APPLY, content_type=_APPLY_TYPE)
        return _found(answer, manifest)

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        """Delete exactly this object; an absent one is fine. Raises TransientError when another took its place."""
        options = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        await self._transport.send(Request("delete", resource, namespace, name), body=options)

    async def list(self, resource: Resource, namespace: str, selector: str) -> Listed:
        """All objects with these labels, for the beginning of a watch; raises TransientError."""
        request = Request("list", resource, namespace)
        body = await self._transport.send(request, query={"labelSelector": selector}) or {}
        version = str((body.get("metadata") or {}).get("resourceVersion") or "0")
        return Listed(version, tuple(body.get("items") or ()))

    async def list_some(self, resource: Resource, namespace: str, selector: str, *, limit: int) -> Listed | None:
        """All objects a selector finds, asked for in pages; None for more than ``limit``. Raises TransientError."""
        request, bodies = Request("list", resource, namespace), list[Mapping[str, Any]]()
        query = {"labelSelector": selector, "limit": str(PAGE)}
        while True:
            body = await self._transport.send(request, query=query) or {}
            bodies.extend(body.get("items") or ())
            metadata = body.get("metadata") or {}
            if len(bodies) > limit:
                return None
            if not metadata.get("continue"):
                return Listed(str(metadata.get("resourceVersion") or "0"), tuple(bodies))
            query["continue"] = metadata["continue"]

    async def watch(self, resource: Resource, namespace: str, selector: str, version: str) -> AsyncIterator[Seen]:
        """Events since a resource version, until the API server ends the watch as it does every few minutes.

        Raises:
            TransientError: the watch is refused or breaks, or what happened since the version is forgotten.
        """
        query = {
            "watch": "true",
            "labelSelector": selector,
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        request = Request("watch", resource, namespace)
        async with aclosing(self._transport.stream(request, query=query, quiet_seconds=WATCH_SECONDS + 30.0)) as lines:
            async for line in lines:
                event = _read(line, request)
                kind, body = event["type"], event["object"]
                if kind == "ERROR":
                    raise TransientError(f"{request} ended: {body.get('message')}", reason="WatchExpired")
                yield Seen(body, is_deleted=kind == "DELETED", is_bookmark=kind == "BOOKMARK")


def _found(answer: Mapping[str, Any] | None, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """What was written; writing never finds the name missing, so that it is the namespace."""
    if answer is None:
        raise TerminalError(
            "NamespaceNotFound", f"there is no namespace {manifest['metadata']['namespace']}; create it"
        )
    return answer


def _read(line: bytes, request: Request) -> Mapping[str, Any]:
    try:
        event = json.loads(line)
    except ValueError as error:
        raise TransientError(f"{request} was answered with something that is not JSON") from error
    if not isinstance(event, dict) or "type" not in event or not isinstance(event.get("object"), dict):
        raise TransientError(f"{request} was answered with something that is no event ({HTTPStatus.OK})")
    return event

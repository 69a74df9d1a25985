"""Everything the operator does at the API server apart from watching: statuses, mirrors, finalizers, events, secrets.

Every call has a deadline and translates refusals into the operator's errors. An object that vanished in between is no
error: the caller is told, and the watch will say so too.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from opssc_operator.api.group import API_VERSION
from opssc_operator.api.metadata import ObjectMeta
from opssc_operator.errors import TransientError
from opssc_operator.kube.objects import ObjectClient
from opssc_operator.kube.refusal import Request
from opssc_operator.kube.resources import CONFIG_MAPS, EVENTS, FIELD_MANAGER, SECRETS, resource_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opssc_operator.api.group import Kind
    from opssc_operator.kube.transport import Transport

_METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_LONGEST_NOTE: Final = 1024


@dataclass(frozen=True, slots=True)
class _Patch:
    content_type: str
    query: Mapping[str, str]


_APPLY: Final = _Patch("application/apply-patch+yaml", {"fieldManager": FIELD_MANAGER, "force": "true"})
_MERGE: Final = _Patch("application/merge-patch+json", {"fieldManager": FIELD_MANAGER})


class WriteObserver(Protocol):
    """Is told of own writes, which the watch will report too: before the answer or after it."""

    def writing(self, kind: Kind, namespace: str, name: str, status: Mapping[str, Any]) -> None:
        """The object is about to get this `status`."""
        ...

    def wrote(self, kind: Kind, body: Mapping[str, Any]) -> None:
        """`body` is the object as it is after our own write."""
        ...

    def gone(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        """The object with this `uid` does not exist any more."""
        ...


@dataclass(frozen=True, slots=True)
class Involved:
    """The object an Event is about."""

    kind: Kind
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Listing:
    """Names and uids of all objects of a kind, as of a resource version."""

    resource_version: str
    uids: Mapping[str, str]


class Lister(Protocol):
    """Knows which objects exist."""

    async def list_uids(self, kind: Kind, namespace: str) -> Listing | None:
        """Names and uids of all objects of `kind`; None when the API server does not serve it."""
        ...


class _Nobody:
    def writing(self, kind: Kind, namespace: str, name: str, status: Mapping[str, Any]) -> None:
        pass

    def wrote(self, kind: Kind, body: Mapping[str, Any]) -> None:
        pass

    def gone(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        pass


class KubeClient:
    """The operator's hands at one API server."""

    def __init__(self, transport: Transport, *, instance: str = FIELD_MANAGER) -> None:
        self._transport = transport
        self._instance = instance
        self._observer: WriteObserver = _Nobody()

    def observe(self, observer: WriteObserver) -> None:
        """Tells `observer` about every write from now on."""
        self._observer = observer

    async def close(self) -> None:
        """Closes all connections."""
        await self._transport.close()

    @property
    def objects(self) -> ObjectClient:
        """Access to objects of other kinds than ours."""
        return ObjectClient(self._transport)

    async def get_config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """The text data of a ConfigMap; None when there is no such ConfigMap. Raises TransientError."""
        body = await self._transport.send(Request("get", CONFIG_MAPS, namespace, name))
        return None if body is None else dict(body.get("data") or {})

    async def get_secret(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        """The decoded data of a Secret; None when there is no such Secret.

        Raises:
            TransientError: see `Transport.send`; also when the data is not Base64.
        """
        body = await self._transport.send(Request("get", SECRETS, namespace, name))
        if body is None:
            return None
        data: Mapping[str, str] = body.get("data") or {}
        try:
            return {key: base64.b64decode(value, validate=True) for key, value in data.items()}
        except (binascii.Error, TypeError) as error:
            raise TransientError(f"the data of Secret {namespace}/{name} is not Base64") from error

    async def apply_status(self, kind: Kind, namespace: str, name: str, uid: str, status: Mapping[str, Any]) -> bool:
        """Makes `status` the operator's whole share of the object's status; False when the object is gone.

        A field left out is removed if this operator set it before. Forced: nobody else has a say in status.
        """
        request = Request("patch", resource_of(kind), namespace, name, "status")
        self._observer.writing(kind, namespace, name, status)
        manifest = {**_identity(kind, namespace, name, uid), "status": dict(status)}
        return await self._write(kind, request, manifest, uid, _APPLY) is not None

    async def apply(self, kind: Kind, manifest: Mapping[str, Any]) -> ObjectMeta | None:
        """Creates or updates an object the operator owns, by server-side apply; None when its namespace is gone."""
        namespace, name = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
        request = Request("patch", resource_of(kind), namespace, name)
        body = {"apiVersion": API_VERSION, "kind": str(kind), **manifest}
        answer = await self._write(kind, request, body, "", _APPLY)
        return ObjectMeta.model_validate(answer["metadata"]) if answer is not None else None

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        """Deletes exactly this object; an absent one is fine.

        Raises:
            TransientError: among others when another object of that name has taken its place.
        """
        options = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        answer = await self._transport.send(Request("delete", resource_of(kind), namespace, name), body=options)
        if answer is None:
            self._observer.gone(kind, namespace, name, uid)

    async def set_finalizers(self, involved: Involved, resource_version: str, finalizers: Sequence[str]) -> bool:
        """Replaces the finalizers of the object as seen at `resource_version`; False when it is gone.

        Raises:
            TransientError: among others when the object has changed since.
        """
        metadata = {"resourceVersion": resource_version, "finalizers": list(finalizers)}
        request = Request("patch", resource_of(involved.kind), involved.namespace, involved.name)
        return await self._write(involved.kind, request, {"metadata": metadata}, involved.uid, _MERGE) is not None

    async def post_event(
        self, involved: Involved, event_type: Literal["Normal", "Warning"], reason: str, message: str, *, action: str
    ) -> None:
        """Records that something happened to `involved`: once per transition, never per reconcile."""
        event = {
            "metadata": {"generateName": f"{involved.name[:200].rstrip('-.')}-", "namespace": involved.namespace},
            "eventTime": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "reportingController": "opssc.dev/operator",
            "reportingInstance": self._instance,
            "action": action,
            "reason": reason,
            "type": event_type,
            "note": message[:_LONGEST_NOTE],
            "regarding": {
                "apiVersion": API_VERSION,
                "kind": str(involved.kind),
                "namespace": involved.namespace,
                "name": involved.name,
                "uid": involved.uid,
            },
        }
        await self._transport.send(Request("create", EVENTS, involved.namespace), body=event)

    async def list_objects(self, kind: Kind, namespace: str) -> tuple[Mapping[str, Any], ...]:
        """All objects of `kind` as the API server returns them; only for kinds of which there are few."""
        body = await self._transport.send(Request("list", resource_of(kind), namespace)) or {}
        return tuple(body.get("items") or ())

    async def list_uids(self, kind: Kind, namespace: str) -> Listing | None:
        """Which objects of `kind` exist, without their content; None when the API server does not serve the kind."""
        body = await self._transport.send(Request("list", resource_of(kind), namespace), accept=_METADATA_LIST)
        if body is None:
            return None
        # An empty list of metadata is null on the wire.
        uids = {item["metadata"]["name"]: item["metadata"]["uid"] for item in body["items"] or ()}
        return Listing(body["metadata"]["resourceVersion"], uids)

    async def _write(
        self, kind: Kind, request: Request, body: object, uid: str, patch: _Patch
    ) -> dict[str, Any] | None:
        answer = await self._transport.send(request, body=body, query=patch.query, content_type=patch.content_type)
        if answer is not None and uid in {"", answer["metadata"]["uid"]}:
            self._observer.wrote(kind, answer)
            return answer
        # On /status the API server ignores the uid it is given; a namesake that was hit is reconciled as news anyway.
        self._observer.gone(kind, request.namespace, request.name or "", uid)
        return None


def _identity(kind: Kind, namespace: str, name: str, uid: str) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": str(kind),
        "metadata": {"namespace": namespace, "name": name, "uid": uid},
    }

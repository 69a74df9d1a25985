"""Turns what the API server says into keys of the work queue, by way of the store.

Our own status writes come back through the watch, before or after the answer to the write; they wake nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opssc_operator.api.channel import FabricChannel
from opssc_operator.api.group import Kind
from opssc_operator.api.organization import FabricOrganization
from opssc_operator.kube.status import changed
from opssc_operator.observability.metrics import METRICS
from opssc_operator.reconcile.keys import channel_key, organization_key, proposal_key
from opssc_operator.reconcile.store import Change

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opssc_operator.kube.client import Listing
    from opssc_operator.reconcile.keys import Key
    from opssc_operator.reconcile.store import Known, ObjectStore


class Feed:
    """Writes to the store and enqueues whatever the change concerns."""

    def __init__(self, store: ObjectStore, enqueue: Callable[[Key], None]) -> None:
        self._store = store
        self._enqueue = enqueue
        self._in_flight: dict[tuple[Kind, str, str], Mapping[str, Any]] = {}

    def saw(self, kind: Kind, event_type: str | None, body: Mapping[str, Any]) -> None:
        """Takes one watch event; `event_type` None is an object of the initial listing."""
        METRICS.watch_events.labels(kind, event_type or "LISTED").inc()
        metadata = body["metadata"]
        if event_type == "DELETED":
            self.gone(kind, metadata["namespace"], metadata["name"], metadata["uid"])
        else:
            written = self._in_flight.get((kind, metadata["namespace"], metadata["name"]))
            is_own = written is not None and not changed(body.get("status") or {}, written)
            self._put(kind, body, worth=(Change.CONTENT,) if is_own else (Change.CONTENT, Change.STATUS))

    def writing(self, kind: Kind, namespace: str, name: str, status: Mapping[str, Any]) -> None:
        """Takes note of an own status write whose answer is still to come."""
        self._in_flight[kind, namespace, name] = status

    def wrote(self, kind: Kind, body: Mapping[str, Any]) -> None:
        """Takes the answer to an own write; a change of content in it is somebody else's and news.

        An object the store does not know is left to the watch: it may be gone again already.
        """
        metadata = body["metadata"]
        self._in_flight.pop((kind, metadata["namespace"], metadata["name"]), None)
        known = self._store.get(kind, metadata["namespace"], metadata["name"])
        if known is not None and known.metadata.uid == metadata["uid"]:
            self._put(kind, body, worth=(Change.CONTENT,))

    def gone(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        """Forgets the object with this `uid`."""
        self._in_flight.pop((kind, namespace, name), None)
        known = self._store.get(kind, namespace, name)
        before = self._concerned(known, namespace)
        if self._store.remove(kind, namespace, name, uid) is None:
            return
        METRICS.objects.labels(kind).set(self._store.count(kind))
        self._enqueue_all(before | self._concerned(known, namespace))

    def sweep(self, kind: Kind, namespace: str, listing: Listing) -> None:
        """Forgets objects that are missing from `listing` and are no younger than it."""
        for known in tuple(self._store.everything(namespace)):
            metadata = known.metadata
            is_older = int(metadata.resource_version) <= int(listing.resource_version)
            if kind_of(known) is kind and is_older and listing.uids.get(metadata.name) != metadata.uid:
                self.gone(kind, namespace, metadata.name, metadata.uid)

    def resync(self, namespace: str) -> None:
        """Enqueues everything the namespace holds."""
        self._enqueue_all(self._keys_of_namespace(namespace))

    def _put(self, kind: Kind, body: Mapping[str, Any], worth: tuple[Change, ...]) -> None:
        metadata = body["metadata"]
        namespace = metadata["namespace"]
        old = self._store.get(kind, namespace, metadata["name"])
        before = self._concerned(old, namespace)
        change = self._store.put(kind, body)
        if old is None:
            METRICS.objects.labels(kind).set(self._store.count(kind))
        if change not in worth:
            return
        new = self._store.get(kind, namespace, metadata["name"])
        if _same_organization(old, new):
            self._enqueue(organization_key(namespace, metadata["name"]))
        else:
            self._enqueue_all(before | self._concerned(new, namespace))

    def _concerned(self, known: Known | None, namespace: str) -> set[Key]:
        if known is None:
            return set()
        if kind_of(known) is Kind.FABRIC_ORGANIZATION:
            return self._keys_of_namespace(namespace) | {organization_key(namespace, known.metadata.name)}
        return self._keys_of(known)

    def _keys_of_namespace(self, namespace: str) -> set[Key]:
        return {key for known in self._store.everything(namespace) for key in self._keys_of(known)}

    def _keys_of(self, known: Known) -> set[Key]:
        ref = self._store.ref_of(known)
        namespace = known.metadata.namespace
        if ref is not None:
            return {proposal_key(namespace, str(ref))}
        if kind_of(known) is Kind.FABRIC_CHANNEL:
            return {channel_key(namespace, known.spec.channel)} if isinstance(known, FabricChannel) else set()
        return {organization_key(namespace, known.metadata.name)}

    def _enqueue_all(self, keys: set[Key]) -> None:
        # Sorted, so that organizations come first and runs are repeatable.
        for key in sorted(keys):
            self._enqueue(key)


def kind_of(known: Known) -> Kind:
    """The kind of an object in the store."""
    return Kind(known.kind)


def _same_organization(old: Known | None, new: Known | None) -> bool:
    """Whether only metadata or status of an organization changed, which concerns no other object."""
    if not isinstance(old, FabricOrganization) or not isinstance(new, FabricOrganization):
        return False
    return old.spec == new.spec and old.metadata.uid == new.metadata.uid

"""The open session of each namespace's organization, and what its blocks wake."""

from __future__ import annotations

import asyncio
from typing import Final

from opssc_operator.api.refs import ProposalRef
from opssc_operator.ledger.session import OrganizationSession, SessionSettings, Wakers
from opssc_operator.reconcile.keys import Key, channel_key, organization_key, proposal_key
from opssc_operator.reconcile.queue import WorkQueue
from opssc_operator.reconcile.store import ObjectStore

STATUS_SECONDS: Final = 1.0
"""How long an organization's counts may lag behind its proposals."""
CHANNEL_SECONDS: Final = 5.0
"""How long a FabricChannel may lag behind its channel, whose blocks say little and may be many."""


class Sessions:
    """At most one session per namespace; replaced whole when anything it stands on changes."""

    def __init__(self, store: ObjectStore, queue: WorkQueue) -> None:
        self._store = store
        self._queue = queue
        self._open: dict[str, OrganizationSession] = {}
        self._ready: set[str] = set()
        self._looked: set[str] = set()
        self._announced: dict[str, bool] = {}
        self._doubted: set[str] = set()
        self._executing: dict[tuple[str, str], set[Key]] = {}
        self._shown: dict[str, frozenset[str]] = {}
        self._anew: set[Key] = set()

    def get(self, namespace: str) -> OrganizationSession | None:
        """The session of a namespace, whether governance is ready or not."""
        return self._open.get(namespace)

    def ready(self, namespace: str) -> OrganizationSession | None:
        """The session of a namespace whose governance is ready."""
        return self._open.get(namespace) if namespace in self._ready else None

    def looked(self, namespace: str) -> bool:
        """Whether it is known yet if proposals can be worked on; after a start it takes a moment."""
        return namespace in self._looked

    async def ensure(self, settings: SessionSettings) -> OrganizationSession:
        """The session for these settings; another one of the same namespace is closed first."""
        current = self._open.get(settings.namespace)
        if current is not None and current.settings == settings:
            return current
        await self.drop(settings.namespace)
        namespace = settings.namespace
        session = OrganizationSession(
            settings,
            Wakers(
                proposal=lambda ref: self._wake_proposal(namespace, ref),
                channel=lambda channel: self._wake_channel(namespace, channel),
                interrupted=lambda: self.doubt(namespace),
            ),
        )
        self._open[namespace] = session
        return session

    async def drop(self, namespace: str) -> None:
        """Close the session of a namespace, if any."""
        self._ready.discard(namespace)
        session = self._open.pop(namespace, None)
        if session is not None:
            self._announced.pop(namespace, None)
            self._shown.pop(namespace, None)
            await session.close()

    async def close(self) -> None:
        """Close every session."""
        await asyncio.gather(*(self.drop(namespace) for namespace in tuple(self._open)))

    def take_doubt(self, namespace: str) -> bool:
        """Whether a stream broke since this was asked last, so that nothing seen before is sure to hold."""
        doubted = namespace in self._doubted
        self._doubted.discard(namespace)
        return doubted

    def set_ready(self, namespace: str, *, ready: bool) -> None:
        """Note whether proposals can be worked on; when that is news, everything of the namespace is enqueued.

        The first word after a start, and after a session was closed, is always news: proposals may say the opposite.
        """
        self._looked.add(namespace)
        if ready:
            self._ready.add(namespace)
        else:
            self._ready.discard(namespace)
        if self._announced.get(namespace) is not ready:
            self._announced[namespace] = ready
            self.enqueue_all(namespace)

    def enqueue_all(self, namespace: str) -> None:
        """Ask for a run of every proposal that has an object here or facts on the ledger."""
        session = self._open.get(namespace)
        refs: set[ProposalRef] = set(session.view.refs()) if session is not None else set()
        for known in self._store.everything(namespace):
            ref = self._store.ref_of(known)
            if ref is not None:
                refs.add(ref)
        for ref in sorted(refs):
            self._queue.add(proposal_key(namespace, str(ref)))

    def show_channels(self, namespace: str, channels: frozenset[str], *, anew: bool) -> None:
        """Ask for a run of every channel that is news, and of those that are shown and no longer joined.

        ``anew`` asks for all of them, and for their heights.
        """
        before = self._shown.get(namespace, frozenset())
        gone = {known.spec.channel for known in self._store.channels(namespace)} - channels
        self._shown[namespace] = channels
        for channel in sorted((channels if anew else channels - before) | gone):
            key = channel_key(namespace, channel)
            self._anew.add(key)
            self._queue.add(key)

    def ask_anew(self, namespace: str, channel: str) -> None:
        """Have a channel looked at as by a resync, such as when its orderers refuse what is sent to them."""
        key = channel_key(namespace, channel)
        self._anew.add(key)
        self._queue.add(key)

    def take_anew(self, key: Key) -> bool:
        """Whether a channel is looked at for the first time, or by a resync, rather than for one of its blocks."""
        anew = key in self._anew
        self._anew.discard(key)
        return anew

    def watch_channel(self, key: Key, channel: str | None) -> None:
        """Let every block of ``channel`` wake ``key``; None stops it."""
        for (namespace, watched), keys in self._executing.items():
            if namespace == key.namespace and watched != channel:
                keys.discard(key)
        if channel is not None:
            self._executing.setdefault((key.namespace, channel), set()).add(key)

    def _wake_proposal(self, namespace: str, ref: ProposalRef) -> None:
        self._queue.add(proposal_key(namespace, str(ref)))
        self._wake_organization(namespace, STATUS_SECONDS)

    def doubt(self, namespace: str) -> None:
        """Have the organization looked at anew at once."""
        self._doubted.add(namespace)
        self._wake_organization(namespace, 0.0)

    def _wake_organization(self, namespace: str, seconds: float) -> None:
        organization = self._store.organization(namespace)
        if organization is not None:
            self._queue.add_after(organization_key(namespace, organization.metadata.name), seconds)

    def _wake_channel(self, namespace: str, channel: str) -> None:
        for key in self._executing.get((namespace, channel), ()):
            self._queue.add(key)
        self._queue.add_after(channel_key(namespace, channel), CHANNEL_SECONDS)

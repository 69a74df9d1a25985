"""Puts the reconcilers together. Nothing else knows all of them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from opssc_operator.kube.client import KubeClient
from opssc_operator.reconcile.channel import ChannelReconciler
from opssc_operator.reconcile.gathering import Gatherer
from opssc_operator.reconcile.keys import KeyKind
from opssc_operator.reconcile.kinds.workers import build_workers
from opssc_operator.reconcile.organization import OrganizationReconciler
from opssc_operator.reconcile.packages import Packages
from opssc_operator.reconcile.proposal import ProposalReconciler
from opssc_operator.reconcile.queue import WorkQueue
from opssc_operator.reconcile.reports import ReportBook, ReportReconciler
from opssc_operator.reconcile.runner import Reconcilers
from opssc_operator.reconcile.serverbook import ServerBook
from opssc_operator.reconcile.servers import ServerReconciler
from opssc_operator.reconcile.serversecrets import ServerSecrets
from opssc_operator.reconcile.servershelf import Shelves
from opssc_operator.reconcile.serverwatch import ServerWatches
from opssc_operator.reconcile.sessions import Sessions
from opssc_operator.reconcile.store import ObjectStore
from opssc_operator.reconcile.surroundings import Surroundings
from opssc_operator.reconcile.telling import Teller
from opssc_operator.settings import Settings
from opssc_operator.sources.cache import PackageCache
from opssc_operator.sources.desk import FetchDesk


def build_reconcilers(kube: KubeClient, store: ObjectStore, queue: WorkQueue, settings: Settings) -> Reconcilers:
    """The reconcilers of one operator process, sharing one set of sessions."""
    folder = settings.cache_dir or Path(mkdtemp(prefix="opssc-packages-"))
    desk = FetchDesk(PackageCache(folder))
    sessions = Sessions(store, queue)
    surroundings = Surroundings(kube.objects, sessions.doubt)
    book = ReportBook()
    shelves = Shelves()
    servers = ServerBook(queue, store, shelves)
    watches = ServerWatches(kube.objects, shelves, servers, queue)
    workers = build_workers(servers, Packages(kube, store, queue, desk), kube)
    gatherer = Gatherer(store, workers)
    proposals = ProposalReconciler(kube, store, Teller(kube, store), sessions, queue, book, gatherer, workers, servers)

    async def close() -> None:
        await asyncio.gather(sessions.close(), watches.close(), surroundings.close(), desk.close())
        if settings.cache_dir is None:
            rmtree(folder, ignore_errors=True)

    return Reconcilers(
        by_kind={
            KeyKind.ORGANIZATION: OrganizationReconciler(kube, store, sessions, surroundings),
            KeyKind.PROPOSAL: proposals,
            KeyKind.REPORT: ReportReconciler(sessions, book),
            KeyKind.SERVER: ServerReconciler(
                store,
                sessions,
                queue,
                kube.objects,
                ServerSecrets(kube),
                shelves,
                servers,
                watches,
                clock=lambda: datetime.now(UTC),
            ),
            KeyKind.CHANNEL: ChannelReconciler(kube, store, sessions, servers),
        },
        close=close,
    )

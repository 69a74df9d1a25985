"""The life of one operator process: what is started in which order, and how it all stops within seconds."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Final, Protocol

import kopf

from opssc_operator.api.group import Kind
from opssc_operator.handlers.context import Context
from opssc_operator.handlers.options import build_options
from opssc_operator.handlers.registry import build_registry
from opssc_operator.kube.access import describe_access, load_configuration
from opssc_operator.kube.client import KubeClient
from opssc_operator.kube.startup import wait_until_served
from opssc_operator.kube.transport import Transport
from opssc_operator.observability.metrics import METRICS
from opssc_operator.observability.server import ObservabilityServer
from opssc_operator.reconcile.feed import Feed
from opssc_operator.reconcile.firstlisting import wait_until_listed
from opssc_operator.reconcile.keys import KeyKind, sweep_key
from opssc_operator.reconcile.queue import WorkQueue
from opssc_operator.reconcile.runner import Runner
from opssc_operator.reconcile.store import ObjectStore
from opssc_operator.reconcile.sweep import SWEEP_PERIOD_SECONDS, SweepReconciler

if TYPE_CHECKING:
    from opssc_operator.reconcile.runner import Reconcilers
    from opssc_operator.settings import Settings

logger = logging.getLogger(__name__)

_CLOSE_SECONDS: Final = 1.0


class Wiring(Protocol):
    """Builds the reconcilers of all key kinds but the runtime's own."""

    def __call__(self, kube: KubeClient, store: ObjectStore, queue: WorkQueue, settings: Settings, /) -> Reconcilers:
        """Builds them; what they hold is let go of by their `close`."""
        ...


async def run_operator(settings: Settings, wiring: Wiring) -> None:
    """Serves `settings.namespace` until SIGTERM or SIGINT.

    Raises:
        ConfigError: the process cannot start as it is deployed.
    """
    configuration = await load_configuration(settings.kubeconfig)
    kube = KubeClient(Transport(configuration))
    process = _Process(settings, kube, wiring)
    try:
        await process.start()
        context = Context(process.feed, lambda: describe_access(configuration), process.stop)
        await kopf.operator(
            registry=build_registry(),
            settings=build_options(),
            memo=context,
            namespaces=[settings.namespace],
            standalone=True,
            ready_flag=process.watching,
            stop_flag=process.broken,
        )
    finally:
        await process.stop()
        await kube.close()
    await process.reraise()


class _Process:
    """Everything that is not kopf: store, queue, runner and the observability server."""

    def __init__(self, settings: Settings, kube: KubeClient, wiring: Wiring) -> None:
        self._namespace = settings.namespace
        self._startup_seconds = settings.startup_seconds
        self._kube = kube
        self._queue = WorkQueue()
        self._store = ObjectStore()
        self.feed = Feed(self._store, self._queue.add)
        kube.observe(self.feed)
        self._reconcilers = wiring(kube, self._store, self._queue, settings)
        own = {KeyKind.SWEEP: SweepReconciler(kube, self.feed)}
        self._runner = Runner(self._queue, {**self._reconcilers.by_kind, **own}, workers=settings.workers)
        self.watching = asyncio.Event()
        self.broken = asyncio.Event()
        self._server = ObservabilityServer(
            METRICS, self.watching.is_set, host=settings.metrics_host, port=settings.metrics_port
        )
        self._running: asyncio.Task[None] | None = None
        self._stopped = False

    async def start(self) -> None:
        METRICS.build_info.labels(version("opssc-operator")).set(1)
        for state in ("ready", "running", "delayed"):
            METRICS.queue_keys.labels(state).set_function(partial(getattr, self._queue, state))
        await self._server.start()
        await wait_until_served(self._kube, self._namespace, timeout_seconds=self._startup_seconds)
        # The watches of all kinds begin at once, in any order; the name of a proposal depends on its organization.
        for organization in await self._kube.list_objects(Kind.FABRIC_ORGANIZATION, self._namespace):
            self.feed.saw(Kind.FABRIC_ORGANIZATION, None, organization)
        self._running = asyncio.create_task(self._run(), name="reconcile runner")
        self._running.add_done_callback(lambda _: self.broken.set())
        self._queue.add_after(sweep_key(self._namespace), SWEEP_PERIOD_SECONDS)
        logger.info("operator started", extra={"namespace": self._namespace})

    async def _run(self) -> None:
        """Works from the moment the watches have shown everything there is."""
        await wait_until_listed(self._kube, self._store, self._namespace)
        logger.info("everything is listed", extra={"namespace": self._namespace})
        await self._runner.run()

    async def stop(self) -> None:
        """Cancels all reconciles and closes everything; does nothing the second time."""
        if self._stopped:
            return
        self._stopped = True
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running}, timeout=_CLOSE_SECONDS)
        closing = asyncio.ensure_future(self._reconcilers.close())
        await asyncio.wait({closing}, timeout=_CLOSE_SECONDS)
        if not closing.done():
            logger.warning("connections were cut, not closed")
            closing.cancel()
        await self._server.stop()
        logger.info("operator stopped")

    async def reraise(self) -> None:
        """Raises what ended the runner, if it was not us."""
        if self._running is not None and self._running.done() and not self._running.cancelled():
            await self._running

"""The HTTP server for people's tools: `/metrics`, `/healthz`, `/readyz`.

Liveness means that this event loop answers. It never depends on Fabric or on the API server: a restart heals neither.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from opssc_operator.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from opssc_operator.observability.metrics import Metrics

logger = logging.getLogger(__name__)

_SHUTDOWN_SECONDS: Final = 0.5


class ObservabilityServer:
    """Serves `metrics`, and readiness as `is_ready` says."""

    def __init__(self, metrics: Metrics, is_ready: Callable[[], bool], *, host: str, port: int) -> None:
        self._metrics = metrics
        self._is_ready = is_ready
        self._host = host
        self._port = port
        application = web.Application()
        application.add_routes(
            [
                web.get("/metrics", self._serve_metrics),
                web.get("/healthz", self._serve_liveness),
                web.get("/readyz", self._serve_readiness),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)

    async def start(self) -> int:
        """Listens, and says on which port.

        Raises:
            ConfigError: the address is not free or not ours.
        """
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(
                f"cannot serve metrics on {self._host}:{self._port}: {error.strerror}; choose another --metrics-port"
            ) from error
        port: int = self._runner.addresses[0][1]
        logger.info("serving metrics and probes", extra={"port": port})
        return port

    async def stop(self) -> None:
        """Stops listening and ends what is being served."""
        await self._runner.cleanup()

    async def _serve_metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _serve_liveness(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _serve_readiness(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n") if self._is_ready() else web.Response(text="starting\n", status=503)

"""The way into a cluster for peers outside it, as a load balancer would be.

A peer of the development network dials its organization's own loopback address. Bytes that arrive there are passed to
the ClusterIP of the package's Service, whoever made it, and from there kube-proxy picks a pod. What address that is, is
asked at each connection, because Services come and go.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from opssc_tools.cluster import Cluster

CONNECT_SECONDS = 5.0
CHUNK_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Service:
    """A Service of a cluster, with one of its ports."""

    cluster: Cluster
    namespace: str
    name: str
    port: int

    async def find_address(self) -> str:
        """Return its ClusterIP; empty when there is no such Service."""
        options = ("--namespace", self.namespace, "--ignore-not-found", "--output", "jsonpath={.spec.clusterIP}")
        return await self.cluster.kubectl("get", "service", self.name, *options)


@asynccontextmanager
async def open_entrance(host: str, port: int, service: Service) -> AsyncIterator[None]:
    """Accept connections at host and port inside the block; without a Service they are closed at once.

    Raises:
        OSError: when the port is taken.
    """
    passing: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_pass(reader, writer, service))
        passing.add(task)

        def forget(done: asyncio.Task[None]) -> None:
            # Also of a task that was cancelled before it began.
            writer.close()
            passing.discard(done)

        task.add_done_callback(forget)

    server = await asyncio.start_server(accept, host, port)
    try:
        yield
    finally:
        server.close()
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, service: Service) -> None:
    """Join a connection with one to the Service until either side ends it."""
    try:
        address = await service.find_address()
        if address:
            await _join(reader, writer, address, service.port)
    except (OSError, TimeoutError):
        # What a load balancer does when nothing behind it answers: it hangs up.
        return
    finally:
        await _hang_up(writer)


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str, port: int) -> None:
    async with asyncio.timeout(CONNECT_SECONDS):
        inner_reader, inner_writer = await asyncio.open_connection(address, port)
    copies = (asyncio.create_task(_copy(reader, inner_writer)), asyncio.create_task(_copy(inner_reader, writer)))
    try:
        await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # First, for who cancels this cuts the waiting short.
        inner_writer.close()
        for copy in copies:
            copy.cancel()
        await asyncio.gather(*copies, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(CHUNK_BYTES):
        writer.write(chunk)
        await writer.drain()


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()

"""What an API server holds of our kinds in one namespace, as told by its watches. Reads alone."""

from __future__ import annotations

import asyncio
import json
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from opssc_operator.api.group import API_VERSION, Kind
from opssc_operator.kube.access import Access, describe_access, load_configuration
from opssc_tools.errors import ClusterError, ConditionTimeoutError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

Body = dict[str, Any]
RETRY_SECONDS: Final = 0.2
FIRST_LIST_SECONDS: Final = 20.0
_LINE_LIMIT: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Change:
    """An object as a watch told it; `at` is the event loop's time, `body` None once the object is gone."""

    at: float
    kind: Kind
    name: str
    body: Body | None


class Objects:
    """The objects of one namespace, kept current; made by `Objects.watch`."""

    def __init__(self, url: str, namespace: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._namespace = namespace
        self._session = session
        self._known: dict[tuple[Kind, str], Body] = {}
        self._changed = asyncio.Condition()
        self._listeners: list[Callable[[Change], None]] = []

    @classmethod
    @asynccontextmanager
    async def watch(cls, kubeconfig: Path, namespace: str) -> AsyncIterator[Objects]:
        """Watch the namespace inside the block.

        Raises:
            ClusterError: when the API server does not list the kinds.
        """
        access = await describe_access(await load_configuration(kubeconfig))
        headers = {"Authorization": f"Bearer {access.token}"} if access.token else {}
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=_tls(access)), headers=headers, read_bufsize=_LINE_LIMIT
        )
        async with session:
            objects = cls(access.server, namespace, session)
            versions = {kind: await objects._first_list(kind) for kind in Kind}
            # No TaskGroup: the block may be left by another task than the one that entered it.
            running = [asyncio.create_task(objects._follow(kind, versions[kind])) for kind in Kind]
            try:
                yield objects
            finally:
                for task in running:
                    task.cancel()
                ends = await asyncio.gather(*running, return_exceptions=True)
                for end in ends:
                    if isinstance(end, Exception):
                        raise end

    def get(self, kind: Kind, name: str) -> Body | None:
        """The object as last told, or None."""
        return self._known.get((kind, name))

    def all(self, kind: Kind) -> Mapping[str, Body]:
        """Every object of a kind by name."""
        return {name: body for (known, name), body in self._known.items() if known is kind}

    def listen(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Call `listener` with every change from now on; call what is returned to end that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def until(
        self, kind: Kind, name: str, holds: Callable[[Body | None], bool], what: str, *, seconds: float
    ) -> Body | None:
        """Return the object as soon as `holds` is true of it (None: there is none).

        Raises:
            ConditionTimeoutError: with the object as it stands when the time is over.
        """
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: holds(self.get(kind, name)))
        except TimeoutError as exc:
            standing = json.dumps(_shown(self.get(kind, name)), indent=2)
            raise ConditionTimeoutError(
                f"{kind} {self._namespace}/{name}: {what} is not true after {seconds:.0f} s; it stands at {standing}"
            ) from exc
        return self.get(kind, name)

    def _collection(self, kind: Kind) -> str:
        return f"{self._url}/apis/{API_VERSION}/namespaces/{self._namespace}/{kind.plural}"

    async def _first_list(self, kind: Kind) -> str:
        """List a kind whose CRD may be so new that its storage is still being made."""
        deadline = asyncio.get_running_loop().time() + FIRST_LIST_SECONDS
        while True:
            try:
                return await self._list(kind)
            except ClusterError:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(RETRY_SECONDS)

    async def _list(self, kind: Kind) -> str:
        async with self._session.get(self._collection(kind)) as response:
            document = await response.json(content_type=None)
            if response.status != HTTPStatus.OK:
                raise ClusterError(f"listing {kind.plural} in {self._namespace}: {document.get('message')}")
        listed = {item["metadata"]["name"]: item for item in document["items"]}
        for name in set(self.all(kind)) - set(listed):
            await self._take(kind, name, None)
        for name, body in listed.items():
            await self._take(kind, name, body)
        version: str = document["metadata"]["resourceVersion"]
        return version

    async def _follow(self, kind: Kind, version: str) -> None:
        """Keep one kind current for ever; a watch that ends is begun anew with a list."""
        while True:
            try:
                await self._stream(kind, version)
                version = await self._list(kind)
            except (aiohttp.ClientError, TimeoutError, ClusterError):
                # The API server may be stopped by a test; it tells everything again when it is back.
                await asyncio.sleep(RETRY_SECONDS)

    async def _stream(self, kind: Kind, version: str) -> None:
        query = {"watch": "1", "resourceVersion": version}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10.0)
        async with self._session.get(self._collection(kind), params=query, timeout=timeout) as response:
            async for line in response.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                body = event["object"]
                await self._take(kind, body["metadata"]["name"], None if event["type"] == "DELETED" else body)

    async def _take(self, kind: Kind, name: str, body: Body | None) -> None:
        change = Change(asyncio.get_running_loop().time(), kind, name, body)
        if body is None:
            self._known.pop((kind, name), None)
        else:
            self._known[kind, name] = body
        for listener in tuple(self._listeners):
            listener(change)
        async with self._changed:
            self._changed.notify_all()


def condition(body: Body | None, name: str) -> Body:
    """One condition of an object's status; empty while it has none of that type."""
    conditions = (body or {}).get("status", {}).get("conditions", ())
    return next((found for found in conditions if found["type"] == name), {})


def is_true(body: Body | None, name: str) -> bool:
    """Whether a condition is True for the object's present generation."""
    found = condition(body, name)
    generation = (body or {}).get("metadata", {}).get("generation")
    return found.get("status") == "True" and found.get("observedGeneration", generation) == generation


def _shown(body: Body | None) -> Body:
    """The parts of an object that tell why it is not there yet."""
    return {} if body is None else {"status": body.get("status"), "generation": body["metadata"].get("generation")}


def _tls(access: Access) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=access.ca_path)
    if access.certificate_path is not None:
        context.load_cert_chain(access.certificate_path, access.private_key_path)
    if not access.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context

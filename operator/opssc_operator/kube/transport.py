"""One HTTP request to the API server with a deadline, the credential, and our errors.

Sits on the official client for connections and credentials, and leaves its generated models alone: they would be most
of this program's memory.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client.api_client import ApiClient

from opssc_operator.errors import TransientError
from opssc_operator.kube.refusal import refusal
from opssc_operator.observability.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from kubernetes.aio.client.configuration import Configuration

    from opssc_operator.kube.refusal import Request

_METHODS = {"get": "GET", "list": "GET", "watch": "GET", "create": "POST", "patch": "PATCH", "delete": "DELETE"}


@dataclass(frozen=True, slots=True)
class _Call:
    """One request as it goes over the wire."""

    request: Request
    body: object = None
    query: Mapping[str, str] | None = None
    content_type: str = "application/json"
    accept: str = "application/json"
    patience: aiohttp.ClientTimeout | None = None


class Transport:
    """Connections to one API server."""

    def __init__(self, configuration: Configuration, *, timeout_seconds: float = 15.0) -> None:
        self._api = ApiClient(configuration)
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)

    async def close(self) -> None:
        """Closes all connections."""
        await self._api.close()  # type: ignore[no-untyped-call]

    async def send(
        self,
        request: Request,
        *,
        body: object = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> dict[str, Any] | None:
        """The answer's JSON object; None when the object (or its namespace) does not exist.

        Raises:
            TransientError: unreachable, too slow, conflict, 429, 5xx; AccessDenied on 403.
            TerminalError: the API server finds the request itself wrong.
        """
        code, headers, data = await self._exchange(request, body, query, content_type, accept)
        if code == HTTPStatus.NOT_FOUND:
            return None
        if not HTTPStatus.OK <= code < HTTPStatus.MULTIPLE_CHOICES:
            raise refusal(request, code, headers, data)
        try:
            document = json.loads(data)
        except ValueError as error:
            raise TransientError(f"{request} was answered with something that is not JSON") from error
        return document if isinstance(document, dict) else {}

    async def stream(
        self, request: Request, *, query: Mapping[str, str], quiet_seconds: float
    ) -> AsyncGenerator[bytes]:
        """The lines of an answer as they come, until the API server ends it.

        Raises:
            TransientError: refused, broken, or silent for `quiet_seconds`; AccessDenied on 403.
        """
        patience = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout.total, sock_read=quiet_seconds)
        unfinished = b""
        async with self._open(_Call(request, query=query, patience=patience)) as response:
            if response.status != HTTPStatus.OK:
                raise refusal(request, response.status, response.headers, await response.read())
            # Not by the library's own lines, which it bounds: an object may be larger.
            async for part in response.content.iter_any():
                *lines, unfinished = (unfinished + part).split(b"\n")
                for line in lines:
                    yield line

    async def _exchange(
        self, request: Request, body: object, query: Mapping[str, str] | None, content_type: str, accept: str
    ) -> tuple[int, Mapping[str, Any], bytes]:
        call = _Call(request, body, query, content_type, accept, self._timeout)
        async with self._open(call) as response:
            return response.status, response.headers, await response.read()

    @asynccontextmanager
    async def _open(self, call: _Call) -> AsyncGenerator[aiohttp.ClientResponse]:
        """Send, and hand over the answer while it is read; errors of the connection become ours."""
        request, method = call.request, _METHODS[call.request.verb]
        path = request.resource.path(request.namespace, request.name, request.subresource)
        url = f"{self._api.configuration.host}{path}{'?' + urlencode(call.query) if call.query else ''}"
        headers = {"Accept": call.accept, "Content-Type": call.content_type, "User-Agent": "opssc-operator"}
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, call.body)
        try:
            answer = await self._api.rest_client.request(  # type: ignore[no-untyped-call]
                method, url, headers=headers, body=call.body, _request_timeout=call.patience
            )
            response: aiohttp.ClientResponse = answer.response
            try:
                METRICS.kube_requests.labels(request.verb, request.rbac_resource, str(response.status)).inc()
                yield response
            finally:
                # What was read to its end has given its connection back already.
                response.close()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            METRICS.kube_requests.labels(request.verb, request.rbac_resource, "unreachable").inc()
            raise TransientError(
                f"{request}: the API server cannot be reached ({type(error).__name__})", reason="KubernetesUnavailable"
            ) from error

"""One HTTP request to the API server with a deadline, the credential, and our errors.

Sits on the official client for connections and credentials, and leaves its generated models alone: they would be most
of this program's memory.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client.api_client import ApiClient

from opssc_operator.errors import TransientError
from opssc_operator.kube.refusal import refusal
from opssc_operator.observability.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubernetes.aio.client.configuration import Configuration

    from opssc_operator.kube.refusal import Request

_METHODS = {"get": "GET", "list": "GET", "create": "POST", "patch": "PATCH", "delete": "DELETE"}


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

    async def _exchange(
        self, request: Request, body: object, query: Mapping[str, str] | None, content_type: str, accept: str
    ) -> tuple[int, Mapping[str, Any], bytes]:
        path = request.resource.path(request.namespace, request.name, request.subresource)
        url = f"{self._api.configuration.host}{path}{'?' + urlencode(query) if query else ''}"
        headers = {"Accept": accept, "Content-Type": content_type, "User-Agent": "opssc-operator"}
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], path, _METHODS[request.verb], body)
        try:
            response = await self._api.rest_client.request(  # type: ignore[no-untyped-call]
                _METHODS[request.verb], url, headers=headers, body=body, _request_timeout=self._timeout
            )
            data = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            METRICS.kube_requests.labels(request.verb, request.rbac_resource, "unreachable").inc()
            raise TransientError(
                f"{request}: the API server cannot be reached ({type(error).__name__})", reason="KubernetesUnavailable"
            ) from error
        METRICS.kube_requests.labels(request.verb, request.rbac_resource, str(response.status)).inc()
        return response.status, response.headers, data

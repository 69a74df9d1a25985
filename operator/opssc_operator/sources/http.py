"""One https request at a time, bounded: trusted redirects alone, credentials for their own host alone, a deadline.

Owns TLS. Must not know what is fetched.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urljoin

import aiohttp
from yarl import URL

from opssc_operator.api.trust import host_of
from opssc_operator.sources.failures import Unavailable
from opssc_operator.sources.proxy import Proxy, proxy_for
from opssc_operator.sources.reach import Reach

MAX_REDIRECTS: Final = 5
TIMEOUT: Final = aiohttp.ClientTimeout(total=600.0, sock_connect=10.0, sock_read=30.0)
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_AGENT: Final = "opssc-operator"


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask of one URL; ``allows`` says which URLs may be asked at all, redirects included."""

    url: str
    reach: Reach
    allows: Callable[[str], bool]
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@asynccontextmanager
async def send(request: Request) -> AsyncIterator[aiohttp.ClientResponse]:
    """Give the answer inside the block, its body unread; raises Unavailable."""
    url, proxy = _sent(request.url), None
    # Neither cookies nor ~/.netrc: what is shown to a host stands in the FabricOrganization.
    try:
        async with aiohttp.ClientSession(
            timeout=TIMEOUT, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
        ) as session:
            for _ in range(MAX_REDIRECTS + 1):
                if not request.allows(url):
                    raise Unavailable(f"{host_of(request.url)} redirects to {host_of(url)}, which is not trusted")
                proxy = _proxy(url, request.reach)
                async with session.request(
                    request.method,
                    URL(url),
                    data=request.body,
                    headers={**request.headers, **_headers(url, request.reach)},
                    ssl=_tls(url, request.reach),
                    proxy=None if proxy is None else proxy.url,
                    proxy_headers=None if proxy is None else proxy.headers,
                    allow_redirects=False,
                ) as response:
                    if response.status not in _REDIRECTS:
                        yield response
                        return
                    url = _followed(url, response.headers.get("Location", ""))
    except aiohttp.ClientError as exc:
        raise Unavailable(_explain(exc, host_of(url), proxy)) from exc
    except TimeoutError as exc:
        through = "" if proxy is None else f" through the proxy {proxy.place}"
        raise Unavailable(f"{host_of(url)} does not answer in time{through}") from exc
    raise Unavailable(f"{host_of(request.url)} redirects more than {MAX_REDIRECTS} times")


async def read_bounded(response: aiohttp.ClientResponse, limit: int) -> AsyncIterator[bytes]:
    """Give the body in pieces; raises Unavailable when it is longer than ``limit`` bytes."""
    length = 0
    async for chunk in response.content.iter_chunked(1 << 16):
        length += len(chunk)
        if length > limit:
            raise Unavailable(f"{response.url.host} sends more than {limit} bytes")
        yield chunk


def _sent(url: str) -> str:
    """The URL as it is really asked, escapes and dot parts resolved, so that no other one is judged."""
    try:
        return str(URL(url))
    except ValueError as exc:
        raise Unavailable(f"{url[:200]!r} is no URL that can be asked") from exc


def _followed(url: str, location: str) -> str:
    try:
        return _sent(urljoin(url, location))
    except (ValueError, Unavailable) as exc:
        raise Unavailable(f"{host_of(url)} redirects to {location[:200]!r}, which is no URL that can be asked") from exc


def _headers(url: str, reach: Reach) -> Mapping[str, str]:
    credential = reach.credentials.get(host_of(url))
    own = {"User-Agent": _AGENT, "Accept-Encoding": "identity"}
    return own if credential is None else {**own, "Authorization": credential.header}


def _proxy(url: str, reach: Reach) -> Proxy | None:
    """The proxy to go through; raises Unavailable for one whose certificate only the host's own authority could prove.

    aiohttp checks an https:// proxy with the very context that is meant for the host behind it.
    """
    proxy = proxy_for(url)
    if proxy is not None and proxy.url.startswith("https:") and host_of(url) in reach.authorities:
        message = f"the https:// proxy {proxy.place} cannot be told from {host_of(url)}, which has trust.authorities"
        raise Unavailable(f"{message}; name an http:// proxy in HTTPS_PROXY, or the host in NO_PROXY")
    return proxy


def _tls(url: str, reach: Reach) -> ssl.SSLContext:
    pem = reach.authorities.get(host_of(url))
    try:
        return ssl.create_default_context(cadata=None if pem is None else pem.decode("ascii", "replace"))
    except ssl.SSLError as exc:
        raise Unavailable(f"trust.authorities for {host_of(url)} holds no certificate that can be read") from exc


def _explain(exc: aiohttp.ClientError, host: str, proxy: Proxy | None) -> str:
    if proxy is not None and isinstance(exc, aiohttp.ClientHttpProxyError):
        return f"the proxy {proxy.place} gives no tunnel to {host}: {exc.status} {exc.message}"
    if proxy is not None and isinstance(exc, aiohttp.ClientProxyConnectionError):
        return f"the proxy {proxy.place} does not answer: {exc.strerror or type(exc).__name__}"
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return f"{host} does not answer: its certificate is not trusted; see trust.authorities"
    return f"{host} does not answer: {str(exc) or type(exc).__name__}"

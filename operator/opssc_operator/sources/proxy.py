"""The proxy of the operator's environment: which requests go through it, and what it is told of who asks.

Names are read as most programs do: ``https_proxy`` before ``HTTPS_PROXY``, and a name in ``NO_PROXY`` stands for
everything below it. The password in a proxy's URL goes into its header alone, so that no error and no log shows it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies

from opssc_operator.sources.failures import Unavailable

HTTPS_PORT: Final = 443
_SCHEMES: Final = frozenset({"http", "https"})


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where to ask for a tunnel, without a name or a password, and the headers that such a request carries."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def place(self) -> str:
        """Host and port, fit for a status."""
        return urlsplit(self.url).netloc


def proxy_for(url: str) -> Proxy | None:
    """The proxy for an https URL; None when it is asked directly. Raises Unavailable when the setting is no proxy."""
    configured = getproxies()
    setting = configured.get("https", "")
    if not setting or is_exempt(url, configured.get("no", "")):
        return None
    return _read(setting if "://" in setting else f"http://{setting}")


def is_exempt(url: str, no_proxy: str) -> bool:
    """Whether a list of names, addresses, networks and ``*``, each maybe with a port, has the host of an https URL."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or HTTPS_PORT
    return any(_matches(entry.strip().lower(), host, port) for entry in no_proxy.split(",") if entry.strip())


def _matches(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    if entry.count(":") == 1:
        entry, _, number = entry.partition(":")
        if number != str(port):
            return False
    name = entry.lstrip(".")
    return host == name or host.endswith(f".{name}") or _is_within(host, entry)


def _is_within(host: str, network: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False


def _read(setting: str) -> Proxy:
    try:
        parts = urlsplit(setting)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    else:
        if host and parts.scheme in _SCHEMES:
            place = f"[{host}]" if ":" in host else host
            url = f"{parts.scheme}://{place}" + ("" if port is None else f":{port}")
            return Proxy(url, _credentials(parts.username, parts.password))
    # The setting is not shown: it may hold a password.
    raise Unavailable("HTTPS_PROXY of the operator is no http:// or https:// URL with a host; correct it")


def _credentials(username: str | None, password: str | None) -> Mapping[str, str]:
    if username is None:
        return {}
    pair = f"{unquote(username)}:{unquote(password or '')}"
    return {"Proxy-Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}

"""Where a chaincode server listens: `connection.json` of a package, rendered for one peer as the stock builder does.

Pure. Source: fabric ccaas_builder (cmd/build), core/container/externalbuilder/instance.go, ccaas connection docs.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fabric_admin import package
from fabric_admin.errors import PackageError
from fabric_devnet.embedded.errors import BuildFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fabric_admin.package import ParsedPackage

CCAAS_TYPE: Final = "ccaas"
DEFAULT_DIAL_SECONDS: Final = 3.0
_CONNECTION_FILE: Final = "connection.json"
_ACTION: Final = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_FIELD: Final = re.compile(r"\.[A-Za-z_][A-Za-z0-9_]*")
_DURATION_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
_UNIT_SECONDS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_NANOSECONDS: Final = 1e9


@dataclass(frozen=True, slots=True)
class ServerConnection:
    """How a peer reaches a chaincode server; certificates are PEM text."""

    address: str
    dial_timeout_seconds: float = DEFAULT_DIAL_SECONDS
    tls_required: bool = False
    client_auth_required: bool = False
    root_cert: str = ""
    client_key: str = ""
    client_cert: str = ""


def build_connection(parsed: ParsedPackage, context: Mapping[str, str]) -> ServerConnection:
    """Find and render the connection of a package.

    Raises BuildFailed: no builder for the type, no usable `connection.json`, or a template beyond plain fields.
    """
    if parsed.type.lower() != CCAAS_TYPE:
        raise BuildFailed("docker build failed: docker build is disabled")
    try:
        files = package.unpack_code(parsed)
        return _render_connection(json.loads(files[_CONNECTION_FILE]), context)
    except KeyError as exc:
        raise BuildFailed(f"external builder failed to build: {_CONNECTION_FILE} not found in the package") from exc
    except PackageError as exc:
        raise BuildFailed(f"external builder failed to build: {exc}") from exc
    except (ValueError, TypeError) as exc:
        raise BuildFailed(f"external builder failed to build: {_CONNECTION_FILE}: {exc}") from exc


def render(template: str, context: Mapping[str, str]) -> str:
    """Render a Go template that uses plain fields (`{{.peername}}`); raises BuildFailed for anything beyond."""

    def field(match: re.Match[str]) -> str:
        action = match[1]
        if not _FIELD.fullmatch(action):
            raise BuildFailed(
                f"external builder failed to build: template action {{{{{action}}}}} is not supported by the "
                "embedded network, only plain fields such as {{.peername}} are"
            )
        return context.get(action[1:], "<no value>")

    return _ACTION.sub(field, template)


def parse_duration(value: object) -> float:
    """Read a duration of Go, text such as "1m30s" or whole nanoseconds, as seconds; raises ValueError."""
    if value in (None, "", 0):
        return DEFAULT_DIAL_SECONDS
    if isinstance(value, int | float):
        return value / _NANOSECONDS
    text = str(value)
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"invalid duration {text!r}")
    return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)


def _render_connection(document: object, context: Mapping[str, str]) -> ServerConnection:
    if not isinstance(document, dict):
        raise TypeError("not a JSON object")
    tls_required = bool(document.get("tls_required", False))

    def text(name: str) -> str:
        return render(str(document.get(name) or ""), context)

    timeout = document.get("dial_timeout")
    return ServerConnection(
        address=text("address"),
        dial_timeout_seconds=parse_duration(render(timeout, context) if isinstance(timeout, str) else timeout),
        tls_required=tls_required,
        client_auth_required=bool(document.get("client_auth_required", False)),
        root_cert=text("root_cert") if tls_required else "",
        client_key=text("client_key") if tls_required else "",
        client_cert=text("client_cert") if tls_required else "",
    )

"""What an answer of the API server other than success means for us. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from opssc_operator.errors import AccessDenied, OperatorError, TerminalError, TransientError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opssc_operator.kube.resources import Resource

CONFLICT: Final = "Conflict"
"""Reason of the error for an object that is not as the request supposes, or is there already."""
_LONGEST_MESSAGE = 512


@dataclass(frozen=True, slots=True)
class Request:
    """A request as RBAC and people name it: verb "patch" on "votes/status" of group "opssc.dev"."""

    verb: str
    resource: Resource
    namespace: str
    name: str | None = None
    subresource: str | None = None

    @property
    def rbac_resource(self) -> str:
        """The resource as a Role names it, with the subresource."""
        return f"{self.resource.plural}/{self.subresource}" if self.subresource else self.resource.plural

    def __str__(self) -> str:
        target = f"{self.rbac_resource} {self.namespace}/{self.name}" if self.name else self.rbac_resource
        return f"{self.verb} {target}"


def status_message(body: bytes) -> str:
    """The message of a `Status` object, bounded; the empty string when there is none."""
    try:
        status = json.loads(body)
    except ValueError:
        return ""
    message = status.get("message") if isinstance(status, dict) else None
    return message[:_LONGEST_MESSAGE] if isinstance(message, str) else ""


def refusal(request: Request, code: int, headers: Mapping[str, Any], body: bytes) -> OperatorError:
    """The error of our tree for the answer `code` (an HTTP status outside 2xx)."""
    said = status_message(body) or f"HTTP status {code}"
    if code == HTTPStatus.FORBIDDEN and not _is_going_away(said):
        group = f"apiGroup {request.resource.api_group!r}"
        return AccessDenied(
            f"the operator may not {request}: {said}; "
            f"add verb {request.verb!r} on {request.rbac_resource!r} ({group}) to its Role in {request.namespace}"
        )
    if code in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.REQUEST_ENTITY_TOO_LARGE}:
        return TerminalError("KubernetesRejected", f"the API server rejected {request}: {said}")
    reason = CONFLICT if code == HTTPStatus.CONFLICT else "KubernetesUnavailable"
    return TransientError(f"{request} failed: {said}", _retry_after(headers), reason=reason)


def _is_going_away(message: str) -> bool:
    # A namespace that is being deleted forbids new objects; that is not a matter of rights.
    return "being terminated" in message


def _retry_after(headers: Mapping[str, Any]) -> float | None:
    value = str(headers.get("Retry-After", ""))
    return float(value) if value.isdecimal() else None

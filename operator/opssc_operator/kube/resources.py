"""The resources this operator touches and where the API server keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from opssc_operator.api.group import API_VERSION

if TYPE_CHECKING:
    from opssc_operator.api.group import Kind


@dataclass(frozen=True, slots=True)
class Resource:
    """A namespaced collection: "/apis/opssc.dev/v1alpha1" and "votes"; `api_group` is "" for the core group."""

    prefix: str
    plural: str

    @property
    def api_group(self) -> str:
        """The group as a Role names it."""
        parts = self.prefix.split("/")
        return parts[2] if parts[1] == "apis" else ""

    def path(self, namespace: str, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of the collection, of one object, or of its subresource; every part is quoted."""
        parts = [self.prefix, "namespaces", quote(namespace, safe=""), self.plural]
        if name is not None:
            parts.append(quote(name, safe=""))
        if subresource is not None:
            parts.append(subresource)
        return "/".join(parts)


FIELD_MANAGER: Final = "opssc-operator"
"""Whose fields are whose: this operator's name in server-side apply."""

CONFIG_MAPS: Final = Resource("/api/v1", "configmaps")
SECRETS: Final = Resource("/api/v1", "secrets")
EVENTS: Final = Resource("/apis/events.k8s.io/v1", "events")


def resource_of(kind: Kind) -> Resource:
    """The collection that holds objects of `kind`."""
    return Resource(f"/apis/{API_VERSION}", kind.plural)

"""The frame every object has: the metadata the API server sets, and the parts common to our kinds."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, Field, JsonValue

from opssc_operator.api.fields import ApiModel, manifest_name
from opssc_operator.api.group import API_VERSION, MIRRORED, ORIGIN_LABEL, Kind


class _ServerModel(ApiModel):
    """Written by the API server, which may add fields at any time: unknown ones are left out."""

    model_config = ConfigDict(alias_generator=manifest_name, extra="ignore", frozen=True)


class OwnerReference(_ServerModel):
    """The object that takes this one along when it is deleted."""

    api_version: str
    kind: str
    name: str
    uid: str


class ObjectMeta(_ServerModel):
    """Metadata of an object; what the API server has not set yet is empty."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    labels: Mapping[str, str] = Field(default_factory=dict)
    annotations: Mapping[str, str] = Field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
    owner_references: tuple[OwnerReference, ...] = ()

    @property
    def mirrored(self) -> bool:
        """Whether the operator created the object from the ledger: people set labels, and seldom such an owner."""
        labelled = self.labels.get(ORIGIN_LABEL) == MIRRORED
        return labelled and any(_is_organization(owner) for owner in self.owner_references)

    @property
    def deleting(self) -> bool:
        """Whether deletion has been asked for."""
        return self.deletion_timestamp is not None


def _is_organization(owner: OwnerReference) -> bool:
    return owner.api_version == API_VERSION and owner.kind == Kind.FABRIC_ORGANIZATION


class ApiObject(ApiModel):
    """An object as the API server returns it; `status` stays raw, since only its writer knows its history."""

    api_version: Literal["opssc.dev/v1alpha1"] = API_VERSION
    metadata: ObjectMeta
    status: Mapping[str, JsonValue] = Field(default_factory=dict)

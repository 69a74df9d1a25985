"""Chaincode servers as manifests describe them: what a proposal or a Vote asks for, and what an organization grants."""

from typing import Annotated, Final, Self

from pydantic import Field, StringConstraints, model_validator

from opssc_operator.api.fields import ApiModel, ObjectName, ServerName

RESERVED_NAMES: Final = frozenset({"CHAINCODE_ID", "CHAINCODE_SERVER_ADDRESS", "CORE_CHAINCODE_ID_NAME"})
RESERVED_PREFIX: Final = "CHAINCODE_TLS_"
"""Environment variables that only the operator sets: package ID, port and certificate."""

Quantity = Annotated[
    str,
    StringConstraints(min_length=1, max_length=32, pattern=r"^[0-9]{1,12}(\.[0-9]{1,6})?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$"),
]
"""An amount of a resource, as Kubernetes writes it (`500m`, `256Mi`)."""
VariableName = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
NamespaceName = Annotated[
    str, StringConstraints(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
]


class ResourceAmounts(ApiModel):
    """Amounts per pod; an unset one is not stated."""

    cpu: Quantity | None = None
    memory: Quantity | None = None
    ephemeral_storage: Quantity | None = None


class ServerResources(ApiModel):
    """What each pod of a server gets and may use."""

    requests: ResourceAmounts | None = None
    limits: ResourceAmounts | None = None


class EnvironmentVariable(ApiModel):
    """One environment variable of a server."""

    name: VariableName
    value: Annotated[str, StringConstraints(max_length=4096)]

    @model_validator(mode="after")
    def _not_reserved(self) -> Self:
        if self.name in RESERVED_NAMES or self.name.startswith(RESERVED_PREFIX):
            raise ValueError(f"server.env may not set {self.name}, which the operator sets")
        return self


class ServerSettings(ApiModel):
    """The server of a ccaas package on this organization's cluster."""

    deploy: bool = False
    replicas: Annotated[int, Field(ge=1, le=32)] | None = None
    resources: ServerResources | None = None
    env: Annotated[tuple[EnvironmentVariable, ...], Field(max_length=64)] = ()

    @model_validator(mode="after")
    def _distinct_names(self) -> Self:
        if len({variable.name for variable in self.env}) != len(self.env):
            raise ValueError("server.env names a variable twice")
        return self


class ImagePullSecret(ApiModel):
    """A Secret of the servers' namespace with which images are pulled."""

    name: ObjectName


class ChaincodeServers(ApiModel):
    """Where and how an organization's chaincode servers run; an unset namespace is the organization's own.

    `names` are further ones for the certificates of servers with TLS.
    """

    namespace: NamespaceName | None = None
    resources: ServerResources | None = None
    names: Annotated[tuple[ServerName, ...], Field(max_length=16)] = ()
    image_pull_secrets: Annotated[tuple[ImagePullSecret, ...], Field(max_length=16)] = ()

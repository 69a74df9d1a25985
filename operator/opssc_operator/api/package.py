"""Chaincode packages as a manifest describes them; the same union in proposals and in the contract's bootstrap."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from opssc_chaincode.model.fields import Duration, ImageDigest, ImageName, PackageLabel
from opssc_chaincode.model.package import Address, IndexPath, IndexText, RootCertificate
from opssc_operator.api.fields import ApiModel

BoundLabel = Annotated[str, StringConstraints(max_length=63, pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?-[0-9a-f]{12}$")]
"""Label of a ccaas package: a DNS-1035 label that ends in 12 hex digits of the code it stands for."""
Indexes = Annotated[Mapping[IndexPath, IndexText], Field(max_length=64)]
"""CouchDB index files: path below META-INF/statedb/couchdb to JSON text."""


class PackageType(StrEnum):
    """Member of the package union that is set."""

    CCAAS = "ccaas"
    K8S = "k8s"


class Image(ApiModel):
    """Container image of the chaincode; the digest is the code that is agreed on."""

    name: ImageName
    digest: ImageDigest


class Connection(ApiModel):
    """How peers reach the chaincode server; unset fields stay absent, because the label hashes what is given."""

    port: Annotated[int, Field(ge=1, le=65535)]
    address: Address | None = None
    dial_timeout: Duration | None = None
    tls_required: bool | None = None
    root_cert: RootCertificate | None = None

    @model_validator(mode="after")
    def _root_with_tls(self) -> Self:
        if bool(self.tls_required) != (self.root_cert is not None):
            raise ValueError("connection.rootCert is needed with tlsRequired, and has no meaning without it")
        return self


class CcaasPackage(ApiModel):
    """Chaincode run as a service; the package holds label and connection, so the label binds the code."""

    label: BoundLabel
    image: Image
    connection: Connection
    indexes: Indexes | None = None


class K8sPackage(ApiModel):
    """Chaincode started by the Kubernetes external builder; the package names the image by digest."""

    label: PackageLabel
    image: Image
    indexes: Indexes | None = None


class Package(ApiModel):
    """Exactly one package: `type` names the member that is set."""

    type: PackageType
    ccaas: CcaasPackage | None = None
    k8s: K8sPackage | None = None

    @model_validator(mode="after")
    def _one_member(self) -> Self:
        if (self.ccaas is not None) != (self.type is PackageType.CCAAS):
            raise ValueError("package.ccaas is set exactly when package.type is ccaas")
        if (self.k8s is not None) != (self.type is PackageType.K8S):
            raise ValueError("package.k8s is set exactly when package.type is k8s")
        return self

    @property
    def member(self) -> CcaasPackage | K8sPackage:
        """The member that `type` names."""
        member = self.ccaas or self.k8s
        if member is None:
            raise AssertionError("a package without a member passed validation")
        return member

"""Chaincode packages as a manifest describes them; the same union in proposals and in the contract's bootstrap."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from opssc_operator.api.fields import ApiModel, GoDurationText

ImageName = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[a-z0-9]+([._:/-]+[a-z0-9]+)*$")]
ImageDigest = Annotated[str, StringConstraints(min_length=71, max_length=71, pattern=r"^sha256:[0-9a-f]{64}$")]
BoundLabel = Annotated[
    str, StringConstraints(min_length=14, max_length=63, pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?-[0-9a-f]{12}$")
]
"""Label of a ccaas package: a DNS-1035 label that ends in 12 hex digits of the code it stands for."""
PackageLabel = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$")]
"""Label of any package (Fabric `core/chaincode/persistence/chaincode_package.go`)."""
IndexPath = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=200,
        pattern=r"^statedb/couchdb/(collections/[A-Za-z0-9_-]+/)?indexes/[A-Za-z0-9][A-Za-z0-9._-]*\.json$",
    ),
]
ServerAddress = Annotated[str, StringConstraints(min_length=3, max_length=253, pattern=r"^[ -~]+$")]
"""`host:port` of a chaincode server; may be a template that each peer's builder renders."""


class PackageType(StrEnum):
    """Member of the package union that is set."""

    CCAAS = "ccaas"
    K8S = "k8s"


class Index(ApiModel):
    """A CouchDB index file in the package: its path below META-INF and its JSON text."""

    path: IndexPath
    text: Annotated[str, StringConstraints(min_length=2, max_length=4096)]


Indexes = Annotated[tuple[Index, ...], Field(max_length=16)]


class Image(ApiModel):
    """Container image of the chaincode; the digest is the code that is agreed on."""

    name: ImageName
    digest: ImageDigest


class Connection(ApiModel):
    """How peers reach the chaincode server; unset fields stay absent, because the label hashes what is given."""

    port: Annotated[int, Field(ge=1, le=65535)]
    address: ServerAddress | None = None
    dial_timeout: GoDurationText | None = None
    tls_required: bool | None = None


class CcaasPackage(ApiModel):
    """Chaincode run as a service; the package holds label and connection, so the label binds the code."""

    label: BoundLabel
    image: Image
    connection: Connection
    indexes: Indexes = ()


class K8sPackage(ApiModel):
    """Chaincode started by the Kubernetes external builder; the package names the image by digest."""

    label: PackageLabel
    image: Image
    indexes: Indexes = ()


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

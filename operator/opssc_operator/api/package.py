"""Chaincode packages as a manifest describes them: every source in proposals, images alone in the bootstrap."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, StringConstraints, model_validator

from opssc_chaincode.model.fields import (
    CommitID,
    Duration,
    HttpsUrl,
    ImageDigest,
    ImageName,
    PackageLabel,
    RelativePath,
    Sha256,
)
from opssc_chaincode.model.package import Address, IndexPath, IndexText, RootCertificate
from opssc_operator.api.fields import ApiModel

BoundLabel = Annotated[str, StringConstraints(max_length=63, pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?-[0-9a-f]{12}$")]
"""Label of a ccaas package: a DNS-1035 label that ends in 12 hex digits of the code it stands for."""
Indexes = Annotated[Mapping[IndexPath, IndexText], Field(max_length=64)]
"""CouchDB index files: path below META-INF/statedb/couchdb to JSON text."""


class ImagePackageType(StrEnum):
    """Member of the union of packages that name an image."""

    CCAAS = "ccaas"
    K8S = "k8s"


class PackageType(StrEnum):
    """Member of the package union that is set; `unchanged` has no member."""

    CCAAS = "ccaas"
    K8S = "k8s"
    ARCHIVE = "archive"
    GIT = "git"
    UNCHANGED = "unchanged"


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


class ArchivePackage(ApiModel):
    """A package somebody built: every organization downloads it and checks its hash."""

    label: PackageLabel
    sha256: Annotated[Sha256, Field(max_length=64)]
    urls: Annotated[tuple[HttpsUrl, ...], Field(min_length=1, max_length=8)]


class GitPackage(ApiModel):
    """Source code that every organization packages for itself from one commit."""

    label: PackageLabel
    repository: HttpsUrl
    commit: Annotated[CommitID, Field(max_length=64)]
    path: RelativePath | None = None
    language: Literal["golang", "java", "node"]


class ImagePackage(ApiModel):
    """Exactly one package that names an image: `type` names the member that is set."""

    type: ImagePackageType
    ccaas: CcaasPackage | None = None
    k8s: K8sPackage | None = None

    @model_validator(mode="after")
    def _one_member(self) -> Self:
        return _checked(self, self.type, tuple(ImagePackageType))


class Package(ApiModel):
    """Exactly one package: `type` names the member that is set; an unchanged one has none."""

    type: PackageType
    ccaas: CcaasPackage | None = None
    k8s: K8sPackage | None = None
    archive: ArchivePackage | None = None
    git: GitPackage | None = None

    @model_validator(mode="after")
    def _one_member(self) -> Self:
        return _checked(self, self.type, (PackageType.CCAAS, PackageType.K8S, PackageType.ARCHIVE, PackageType.GIT))


_UnionT = TypeVar("_UnionT", bound=ApiModel)


def _checked(package: _UnionT, named: StrEnum, members: Sequence[StrEnum]) -> _UnionT:
    for member in members:
        if (getattr(package, member) is not None) != (named == member):
            raise ValueError(f"package.{member} is set exactly when package.type is {member}")
    return package

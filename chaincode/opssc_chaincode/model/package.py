"""How a proposal names its chaincode package: exactly one of five sources."""

from hashlib import sha256
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from opssc_chaincode import canonical
from opssc_chaincode.model.document import Document
from opssc_chaincode.model.fields import (
    CommitID,
    Duration,
    HttpsUrl,
    ImageDigest,
    ImageName,
    PackageLabel,
    RelativePath,
    ServiceLabel,
    Sha256,
)

LABEL_DIGITS = 12

Address = Annotated[
    str,
    StringConstraints(pattern=r"^([A-Za-z0-9._-]|\{\{ ?\.[A-Za-z0-9_]+ ?\}\})+:[0-9]{1,5}$", max_length=253),
]
RootCertificate = Annotated[str, StringConstraints(pattern=r"^\{\{ ?\.[A-Za-z0-9_]+ ?\}\}$", max_length=128)]
IndexPath = Annotated[
    str,
    StringConstraints(
        pattern=r"^(collections/[A-Za-z0-9-][A-Za-z0-9_-]*/)?indexes/[A-Za-z0-9][A-Za-z0-9_.-]*\.json$", max_length=255
    ),
]
IndexText = Annotated[str, StringConstraints(min_length=2, max_length=16384)]
Indexes = Annotated[dict[IndexPath, IndexText], Field(max_length=64)]


class Image(Document):
    """A container image by digest; `name` has no tag."""

    name: ImageName
    digest: ImageDigest


class Connection(Document):
    """How peers reach a chaincode server; without `address` they use the Service named as the label.

    With TLS, `root_cert` is a builder template, so that the package is the same everywhere.
    """

    port: int = Field(ge=1, le=65535)
    dial_timeout: Duration = "10s"
    tls_required: bool = False
    root_cert: RootCertificate | None = None
    address: Address | None = None

    @model_validator(mode="after")
    def _tls(self) -> Self:
        if self.tls_required != (self.root_cert is not None):
            raise ValueError("rootCert is needed with tlsRequired, and has no meaning without it")
        return self


class CcaasPackage(Document):
    """A chaincode server per organization. The label ends in a digest that binds the code, see `ccaas_label`."""

    label: ServiceLabel
    image: Image
    connection: Connection
    indexes: Indexes = Field(default={})

    @model_validator(mode="after")
    def _bound(self) -> Self:
        suffix = label_suffix(self.image.digest, self.connection)
        if not self.label.endswith(suffix):
            raise ValueError(f"label must end in {suffix}, which binds it to image.digest and connection")
        return self

    @property
    def address(self) -> str:
        """The address that goes into the package: the explicit one, or `<label>:<port>`."""
        return self.connection.address or f"{self.label}:{self.connection.port}"


class KubernetesPackage(Document):
    """An image that the Kubernetes external builder runs; its digest is in the package."""

    label: PackageLabel
    image: Image
    indexes: Indexes = Field(default={})


class ArchivePackage(Document):
    """A prebuilt package that every organization downloads and checks."""

    label: PackageLabel
    sha256: Sha256
    urls: tuple[HttpsUrl, ...] = Field(min_length=1, max_length=8)


class GitPackage(Document):
    """A package that every organization builds from the same tree."""

    label: PackageLabel
    repository: HttpsUrl
    commit: CommitID
    path: RelativePath | None = None
    language: Literal["golang", "java", "node"]


class UnchangedPackage(Document):
    """Every organization keeps the package it has."""


class Package(Document):
    """Exactly one source of the package."""

    ccaas: CcaasPackage | None = None
    k8s: KubernetesPackage | None = None
    archive: ArchivePackage | None = None
    git: GitPackage | None = None
    unchanged: UnchangedPackage | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(source is not None for source in self._sources) != 1:
            raise ValueError("package is exactly one of ccaas, k8s, archive, git, unchanged")
        return self

    @property
    def source(self) -> CcaasPackage | KubernetesPackage | ArchivePackage | GitPackage | UnchangedPackage:
        """The one that is given."""
        return next(source for source in self._sources if source is not None)

    @property
    def label(self) -> str | None:
        """The package's label; None when it is unchanged."""
        source = self.source
        return None if isinstance(source, UnchangedPackage) else source.label

    @property
    def _sources(
        self,
    ) -> tuple[CcaasPackage | KubernetesPackage | ArchivePackage | GitPackage | UnchangedPackage | None, ...]:
        return self.ccaas, self.k8s, self.archive, self.git, self.unchanged


def ccaas_label(name: str, digest: str, connection: Connection) -> str:
    """Build the label of a ccaas package: `<name>-<12 hex digits>`, the name lower-cased and cut to 50 characters.

    The digits are SHA-256 of the canonical JSON of `{"connection": ..., "digest": ...}`, the connection as given in the
    content. A DNS-1035 label, because the Service has this name.
    """
    text = "".join(character if character in _LABEL_CHARACTERS else "-" for character in name.lower())
    text = text if text[:1].isalpha() else f"cc-{text}"
    return text[: _LABEL_LENGTH - LABEL_DIGITS - 1].rstrip("-") + label_suffix(digest, connection)


def label_suffix(digest: str, connection: Connection) -> str:
    """Give the end of a ccaas label: a hyphen and 12 hex digits over image digest and connection."""
    value = canonical.dumps({"connection": connection.to_json(), "digest": digest})
    return "-" + sha256(value).hexdigest()[:LABEL_DIGITS]


_LABEL_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_LABEL_LENGTH = 63

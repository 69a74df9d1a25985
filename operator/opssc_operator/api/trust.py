"""What a FabricOrganization fetches, and from where: allow-lists, and how their servers are met."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from opssc_operator.api.fields import ApiModel
from opssc_operator.api.secretrefs import SecretRef, TlsAuthority

ImagePrefix = Annotated[
    str, StringConstraints(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9]([A-Za-z0-9._:/-]*[A-Za-z0-9/])?$")
]
"""Beginning of an image name; a closing slash keeps it from matching longer names of the same part."""

HostName = Annotated[
    str, StringConstraints(min_length=1, max_length=253, pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$")
]
"""Host of a URL in lower case, with a port unless it is 443."""
RepositoryPrefix = Annotated[
    str,
    StringConstraints(
        min_length=9,
        max_length=2048,
        pattern=r"^https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[A-Za-z0-9._~%+@-]+)*/?$",
    ),
]
"""URL of a git repository, or the beginning of several, which ends at a slash."""


class HostCredentials(ApiModel):
    """What is sent to one trusted host: keys username and password of the Secret, or token."""

    host: HostName
    secret_ref: SecretRef


class HostAuthority(ApiModel):
    """Certificates one trusted host is verified against, in place of the public ones."""

    host: HostName
    tls_ca: TlsAuthority


class Trust(ApiModel):
    """Allow-lists of sources; credentials and authorities are for hosts of these lists alone."""

    repositories: Annotated[tuple[RepositoryPrefix, ...], Field(max_length=64)] = ()
    image_registries: Annotated[tuple[ImagePrefix, ...], Field(max_length=64)] = ()
    archive_hosts: Annotated[tuple[HostName, ...], Field(max_length=64)] = ()
    credentials: Annotated[tuple[HostCredentials, ...], Field(max_length=32)] = ()
    authorities: Annotated[tuple[HostAuthority, ...], Field(max_length=32)] = ()

    @model_validator(mode="after")
    def _of_trusted_hosts(self) -> Self:
        trusted = {*self.archive_hosts, *(host_of(repository) for repository in self.repositories)}
        told = [*(entry.host for entry in self.credentials), *(entry.host for entry in self.authorities)]
        for host in told:
            if host not in trusted:
                raise ValueError(f"host {host} is neither in trust.archiveHosts nor that of a trust.repositories")
        return self


def host_of(url: str) -> str:
    """The host of an https URL in lower case, with its port unless it is 443."""
    return url.removeprefix("https://").partition("/")[0].lower().removesuffix(":443")

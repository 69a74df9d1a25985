"""Secrets and certificates that a FabricOrganization refers to; nothing of their content stands in the API."""

from typing import Annotated, Self

from pydantic import StringConstraints, model_validator

from opssc_operator.api.fields import ApiModel, ObjectName, SecretKey


class SecretRef(ApiModel):
    """A Secret of the same namespace."""

    name: ObjectName


class SecretKeyRef(ApiModel):
    """One key of a Secret of the same namespace."""

    name: ObjectName
    key: SecretKey


class TlsAuthority(ApiModel):
    """Certificates a TLS server is verified against: PEM text or a key of a Secret, exactly one of them."""

    pem: Annotated[str, StringConstraints(min_length=1, max_length=16384)] | None = None
    secret_ref: SecretKeyRef | None = None

    @model_validator(mode="after")
    def _one_member(self) -> Self:
        if (self.pem is None) == (self.secret_ref is None):
            raise ValueError("set exactly one of tlsCA.pem and tlsCA.secretRef")
        return self

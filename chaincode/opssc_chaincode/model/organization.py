"""An organization's MSP as a proposal carries it: certificates as PEM texts, so that people can read what they vote on.

Verification material only: nothing in it is secret. Source of the parts: Fabric msp.FabricMSPConfig.
"""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from opssc_chaincode.model.document import Document

PEM_MARK = "-----BEGIN "


def _pem(text: str) -> str:
    if not text.isascii() or not text.startswith(PEM_MARK):
        raise ValueError(f"must be PEM text, which begins with {PEM_MARK}")
    return text


Pem = Annotated[str, StringConstraints(min_length=1, max_length=16384), AfterValidator(_pem)]
"""One PEM block, ASCII; what it holds is judged by who builds the MSP."""
Pems = Annotated[tuple[Pem, ...], Field(max_length=8)]
OuName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$", max_length=64)]


class OuIdentifier(Document):
    """An organizational unit that marks a role; with `certificate`, only below that CA."""

    organizational_unit: OuName
    certificate: Pem | None = None


class NodeOus(Document):
    """Which organizational units mark clients, peers, administrators and orderers."""

    client: OuIdentifier | None = None
    peer: OuIdentifier | None = None
    admin: OuIdentifier | None = None
    orderer: OuIdentifier | None = None


class OrganizationDefinition(Document):
    """The MSP of an organization; without `node_ous` roles come from `admins` alone."""

    root_certs: Annotated[tuple[Pem, ...], Field(min_length=1, max_length=8)]
    intermediate_certs: Pems = ()
    tls_root_certs: Pems = ()
    tls_intermediate_certs: Pems = ()
    revocation_list: Pems = ()
    admins: Pems = ()
    node_ous: NodeOus | None = Field(default=None, alias="nodeOUs")

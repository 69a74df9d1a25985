"""Reading an organization's identities and TLS roots from Secrets, at use, without ever logging them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography.x509 import load_pem_x509_certificates

from fabric_admin.errors import IdentityError
from fabric_admin.identity import SigningIdentity
from opssc_operator.api.conditions import Reason
from opssc_operator.api.organization import FabricOrganization, IdentitySource, IdentityStatus
from opssc_operator.api.secretrefs import TlsAuthority
from opssc_operator.errors import TerminalError
from opssc_operator.kube.client import KubeClient
from opssc_operator.ledger.own_orderers import OrdererAccess

LAYOUTS: Final = (("cert.pem", "key.pem"), ("tls.crt", "tls.key"), ("signcert", "keystore"))
"""Keys of a Secret that hold a certificate and its private key, in the order they are tried."""


@dataclass(frozen=True, slots=True)
class LoadedIdentities:
    """The identities in use, what status shows of them, and a fingerprint that changes when any of them does."""

    admin: SigningIdentity
    client: SigningIdentity
    statuses: tuple[IdentityStatus, ...]
    fingerprint: str


async def load_identities(kube: KubeClient, organization: FabricOrganization) -> LoadedIdentities:
    """Read and check the identities; raises TerminalError with the reason a condition shows."""
    namespace, spec = organization.metadata.namespace, organization.spec
    admin, admin_hash = await _load(kube, namespace, spec.msp_id, "admin", spec.identities.admin)
    statuses = [_status("admin", admin)]
    client, client_hash = admin, admin_hash
    if spec.identities.client is not None:
        client, client_hash = await _load(kube, namespace, spec.msp_id, "client", spec.identities.client)
        statuses.append(_status("client", client))
    return LoadedIdentities(admin, client, tuple(statuses), f"{admin_hash}/{client_hash}")


async def _load(
    kube: KubeClient, namespace: str, msp_id: str, role: str, source: IdentitySource
) -> tuple[SigningIdentity, str]:
    where = f"Secret {namespace}/{source.secret_ref.name} for identities.{role}"
    certificate, key = await _read_pair(kube, namespace, source, where)
    try:
        identity = SigningIdentity.from_pem(msp_id, certificate, key)
    except IdentityError as exc:
        raise TerminalError(Reason.IDENTITY_INVALID, f"{where}: {exc}") from exc
    if identity.not_after <= datetime.now(UTC):
        expired = f"{identity.not_after:%Y-%m-%d}"
        raise TerminalError(Reason.CERTIFICATE_EXPIRED, f"{where}: the certificate expired on {expired}; renew it")
    return identity, hashlib.sha256(certificate + b"\x00" + key).hexdigest()


async def _read_pair(kube: KubeClient, namespace: str, source: IdentitySource, where: str) -> tuple[bytes, bytes]:
    data = await kube.get_secret(namespace, source.secret_ref.name)
    if data is None:
        raise TerminalError(Reason.SECRET_NOT_FOUND, f"{where} does not exist; create it")
    return _pick(data, source, where)


def _pick(data: Mapping[str, bytes], source: IdentitySource, where: str) -> tuple[bytes, bytes]:
    layouts: tuple[tuple[str, str], ...] = LAYOUTS
    if source.cert_key is not None and source.key_key is not None:
        layouts = ((source.cert_key, source.key_key),)
    for certificate, key in layouts:
        if certificate in data and key in data:
            return data[certificate], data[key]
    wanted = " or ".join(f"{certificate} and {key}" for certificate, key in layouts)
    raise TerminalError(Reason.SECRET_KEY_MISSING, f"{where} has no keys {wanted}; add them")


def _status(name: str, identity: SigningIdentity) -> IdentityStatus:
    return IdentityStatus.model_validate(
        {"name": name, "subject": identity.subject[:256], "notAfter": identity.not_after}
    )


async def load_tls_roots(kube: KubeClient, namespace: str, authority: TlsAuthority, where: str) -> bytes:
    """PEM certificates a node's TLS is verified against; raises TerminalError."""
    if authority.pem is not None:
        return _checked(authority.pem.encode(), f"tlsCA.pem of {where}")
    if authority.secret_ref is None:
        raise TerminalError(Reason.INVALID_SPEC, f"{where}: set tlsCA.pem or tlsCA.secretRef")
    name, key = authority.secret_ref.name, authority.secret_ref.key
    data = await kube.get_secret(namespace, name)
    if data is None:
        raise TerminalError(Reason.SECRET_NOT_FOUND, f"Secret {namespace}/{name} for {where} does not exist; create it")
    if key not in data:
        raise TerminalError(Reason.SECRET_KEY_MISSING, f"Secret {namespace}/{name} for {where} has no key {key}")
    return _checked(data[key], f"key {key} of Secret {namespace}/{name} for {where}")


async def load_orderer_accesses(kube: KubeClient, organization: FabricOrganization) -> tuple[OrdererAccess, ...]:
    """How the own orderers are had to join channels; raises TerminalError."""
    namespace = organization.metadata.namespace
    accesses = []
    for orderer in organization.spec.orderers:
        if orderer.admin is None:
            continue
        where = f"orderer {orderer.address}"
        roots = await load_tls_roots(kube, namespace, orderer.tls_ca, where)
        secret = f"Secret {namespace}/{orderer.admin.tls.secret_ref.name} for admin of {where}"
        certificate, key = await _read_pair(kube, namespace, orderer.admin.tls, secret)
        address, admin = orderer.address, orderer.admin.address
        accesses.append(OrdererAccess(address, admin, roots, certificate, key, orderer.server_name))
    return tuple(accesses)


def _checked(pem: bytes, where: str) -> bytes:
    try:
        load_pem_x509_certificates(pem)
    except ValueError as exc:
        message = f"{where} holds no PEM certificate; put the CA certificates of the node's TLS there"
        raise TerminalError(Reason.IDENTITY_INVALID, message) from exc
    return pem

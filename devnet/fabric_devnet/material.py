"""Writes the key material of a network in the directory layout of Fabric's cryptogen.

organizations/{peerOrganizations|ordererOrganizations}/<domain>/
    ca/ tlsca/ msp/
    {peers|orderers}/<node>/{msp,tls}
    users/Admin@<domain>/{msp,tls}  users/User1@<domain>/{msp,tls}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from fabric_devnet.crypto import LIFETIME, CertificateAuthority, KeyPair, Role

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

    from fabric_devnet.plan import NetworkPlan

_OWNER_ONLY = 0o600


@dataclass(frozen=True, slots=True)
class Authorities:
    """The two authorities of one organization: enrollment certificates and TLS."""

    domain: str
    identity: CertificateAuthority
    tls: CertificateAuthority

    @classmethod
    def create(cls, domain: str) -> Authorities:
        """Make both authorities of the organization at `domain`."""
        return cls(
            domain,
            CertificateAuthority.create(f"ca.{domain}", domain),
            CertificateAuthority.create(f"tlsca.{domain}", domain),
        )


def write_material(plan: NetworkPlan) -> None:
    """Create every organization's authorities, node and user material below the plan's directories."""
    authorities = {}
    for organization in plan.organizations:
        nodes = tuple(peer.name for peer in organization.peers)
        written = write_organization(organization.directory, organization.domain, Role.PEER, nodes)
        authorities[organization.msp_id] = written
    for owner in plan.orderer_organizations:
        names = tuple(orderer.name for orderer in owner.orderers)
        if not owner.has_peers:
            write_organization(owner.directory, owner.domain, Role.ORDERER, names)
            continue
        for orderer in owner.orderers:
            write_node(orderer.directory, authorities[owner.msp_id], orderer.name, Role.ORDERER)


def write_organization(directory: Path, domain: str, node_role: Role, nodes: tuple[str, ...]) -> Authorities:
    """Create one organization below `directory`: authorities, MSP, `nodes` and the users Admin and User1."""
    authorities = Authorities.create(domain)
    for name, authority in (("ca", authorities.identity), ("tlsca", authorities.tls)):
        _write(directory / name / f"{authority.name}-cert.pem", authority.certificate_pem)
        _write(directory / name / "priv_sk", authority.pair.key_pem, secret=True)
    write_msp(directory / "msp", authorities)
    for node in nodes:
        write_node(directory / f"{node_role.value}s" / node, authorities, node, node_role)
    write_user(directory, authorities, "Admin", Role.ADMIN)
    write_user(directory, authorities, "User1", Role.CLIENT)
    return authorities


def write_node(directory: Path, authorities: Authorities, name: str, role: Role) -> None:
    """Create `msp/` and `tls/` of a peer or orderer."""
    write_msp(directory / "msp", authorities, authorities.identity.issue_identity(name, authorities.domain, role))
    _write_tls(directory / "tls", authorities, authorities.tls.issue_tls(name, authorities.domain), "server")


def issue_tls(organization: Path, domain: str, name: str, *, lifetime: timedelta = LIFETIME) -> KeyPair:
    """Issue another TLS certificate for a node of the organization whose material is in `organization`; writes none."""
    authority = f"tlsca.{domain}"
    certificate = (organization / "tlsca" / f"{authority}-cert.pem").read_bytes()
    key = (organization / "tlsca" / "priv_sk").read_bytes()
    return CertificateAuthority.load(authority, certificate, key).issue_tls(name, domain, lifetime=lifetime)


def replace_tls(directory: Path, pair: KeyPair) -> None:
    """Put another certificate and key into a node's `tls/`; its next start takes them."""
    _write(directory / "tls" / "server.crt", pair.certificate_pem)
    _write(directory / "tls" / "server.key", pair.key_pem, secret=True)


def write_user(organization: Path, authorities: Authorities, name: str, role: Role | None) -> Path:
    """Create `users/<name>@<domain>` with an enrollment and a TLS client certificate; returns the user's directory."""
    common_name = f"{name}@{authorities.domain}"
    directory = organization / "users" / common_name
    identity = authorities.identity.issue_identity(common_name, authorities.domain, role)
    write_msp(directory / "msp", authorities, identity)
    _write_tls(directory / "tls", authorities, authorities.tls.issue_tls(common_name, authorities.domain), "client")
    return directory


def write_msp(directory: Path, authorities: Authorities, identity: KeyPair | None = None) -> None:
    """Write an MSP directory with NodeOUs; with `identity` also `signcerts/` and `keystore/`."""
    ca_file = f"cacerts/{authorities.identity.name}-cert.pem"
    _write(directory / ca_file, authorities.identity.certificate_pem)
    _write(directory / "tlscacerts" / f"{authorities.tls.name}-cert.pem", authorities.tls.certificate_pem)
    _write(directory / "config.yaml", yaml.safe_dump(_node_ous(ca_file), sort_keys=False).encode())
    if identity is not None:
        _write(directory / "signcerts" / "cert.pem", identity.certificate_pem)
        _write(directory / "keystore" / "priv_sk", identity.key_pem, secret=True)


def _node_ous(ca_file: str) -> dict[str, dict[str, object]]:
    """NodeOUs as cryptogen writes them: every role pinned to the organization's authority."""
    node_ous: dict[str, object] = {"Enable": True}
    for role in Role:
        node_ous[f"{role.value.capitalize()}OUIdentifier"] = {
            "Certificate": ca_file,
            "OrganizationalUnitIdentifier": role.value,
        }
    return {"NodeOUs": node_ous}


def _write_tls(directory: Path, authorities: Authorities, pair: KeyPair, stem: str) -> None:
    _write(directory / "ca.crt", authorities.tls.certificate_pem)
    _write(directory / f"{stem}.crt", pair.certificate_pem)
    _write(directory / f"{stem}.key", pair.key_pem, secret=True)


def _write(path: Path, content: bytes, *, secret: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=_OWNER_ONLY if secret else 0o644)
    path.write_bytes(content)

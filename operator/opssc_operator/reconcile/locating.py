"""Endpoints of the own peers that were found: their addresses, and the CA certificates they are verified against."""

from __future__ import annotations

from fabric_admin.transport import Endpoint
from opssc_operator.api.conditions import Reason
from opssc_operator.api.organization import FabricOrganization
from opssc_operator.api.secretrefs import SecretKeyRef, TlsAuthority
from opssc_operator.api.surroundings import PREFIX
from opssc_operator.domain.discovery import Discovery, FoundPeer
from opssc_operator.errors import TerminalError
from opssc_operator.kube.client import KubeClient
from opssc_operator.ledger.peers import PeerAddress
from opssc_operator.reconcile.identities import load_tls_roots


async def locate_peers(
    kube: KubeClient, organization: FabricOrganization, found: Discovery
) -> tuple[tuple[PeerAddress, ...], tuple[str, ...]]:
    """Addresses of the peers that can be used, and what keeps others from it; raises AccessDenied.

    One Service that is wrong keeps no other peer from being used.
    """
    addresses: list[PeerAddress] = []
    notes = list(found.problems)
    for peer in found.peers:
        try:
            addresses.append(await _locate(kube, organization, peer))
        except TerminalError as exc:
            notes.append(exc.message)
    return tuple(addresses), tuple(notes)


async def _locate(kube: KubeClient, organization: FabricOrganization, peer: FoundPeer) -> PeerAddress:
    authority = organization.spec.peers.tls_ca
    if peer.tls_secret is not None:
        name, key = peer.tls_secret
        authority = TlsAuthority(secret_ref=SecretKeyRef(name=name, key=key))
    if authority is None:
        hint = f"set spec.peers.tlsCA, or annotate its Service {PREFIX}tls-ca-secret"
        raise TerminalError(Reason.INVALID_SPEC, f"peer {peer.name}: no CA to verify it against; {hint}")
    roots = await load_tls_roots(kube, organization.metadata.namespace, authority, f"peer {peer.name}")
    return PeerAddress(peer.name, Endpoint(peer.address, roots, server_name=peer.server_name), peer.source)

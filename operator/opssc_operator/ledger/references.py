"""Which packages the committed definitions on own peers use, whoever proposed them and wherever."""

from __future__ import annotations

import asyncio
from typing import Final

from opssc_operator.ledger.peers import OwnPeer, OwnPeers
from opssc_operator.ledger.translate import translated

QUERY_SECONDS: Final = 10.0


async def is_referenced(peers: OwnPeers, package_id: str, besides: frozenset[str] = frozenset()) -> bool:
    """Whether a committed definition on any own peer uses the package, not counting the channels ``besides``.

    Raises:
        TransientError: a peer does not answer, so that nobody knows.
    """
    return any(await asyncio.gather(*(_is_referenced_on(peer, package_id, besides) for peer in peers.all)))


async def _is_referenced_on(peer: OwnPeer, package_id: str, besides: frozenset[str]) -> bool:
    with translated(f"asking peer {peer.name} what it has installed"):
        installed = await peer.lifecycle.query_installed(timeout_seconds=QUERY_SECONDS)
    return any(found.references.keys() - besides for found in installed if found.package_id == package_id)

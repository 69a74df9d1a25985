"""The own organization's approval of a definition, from any own peer that holds its text.

A peer that was down when the organization approved, or joined by a snapshot, knows that there is an approval and not
what it says.
"""

from __future__ import annotations

from typing import Final

from fabric_admin.definition import ApprovedDefinition
from fabric_admin.errors import ChaincodeError
from opssc_operator.ledger.peers import OwnPeer, OwnPeers

QUERY_SECONDS: Final = 10.0
PRIVATE_DATA_MISSING: Final = "private data matching public hash version is not available"
"""What a peer says of an own approval that it knows by its hash only."""


async def fetch_own_approval(
    peers: OwnPeers, channel: str, name: str, sequence: int
) -> tuple[ApprovedDefinition | None, tuple[str, ...]]:
    """The own approval, and the peers that know of one and lack its text when no other peer can show it.

    Raises FabricError when no own peer answers otherwise, and TransientError when none has joined the channel.
    """
    lost: list[str] = []

    async def ask(peer: OwnPeer) -> ApprovedDefinition | None:
        try:
            return await peer.lifecycle.query_approved(channel, name, sequence=sequence, timeout_seconds=QUERY_SECONDS)
        except ChaincodeError as exc:
            if PRIVATE_DATA_MISSING in exc.message:
                lost.append(peer.name)
            raise

    try:
        return await peers.ask(channel, ask), ()
    except ChaincodeError:
        if not lost:
            raise
        return None, tuple(sorted(lost))

"""The snapshots asked for of one ledger: those to come, and those taken.

Source: core/ledger/kvledger/snapshot_mgmt.go.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from fabric_devnet.embedded.errors import LedgerError

if TYPE_CHECKING:
    from pathlib import Path

    from fabric_protos.common import common_pb2

    from fabric_devnet.embedded.ledger import Ledger

logger = logging.getLogger(__name__)


class SnapshotRefused(LedgerError):
    """A request that cannot be met; the text is Fabric's."""


class SnapshotRequests:
    """Takes the snapshots of one ledger below `root` (`completed/<channel>/<block>/`)."""

    def __init__(self, ledger: Ledger, root: Path) -> None:
        self._ledger = ledger
        self._directory = root / "completed" / ledger.channel_id
        self._pending: set[int] = set()
        ledger.on_commit(self._committed)

    @property
    def pending(self) -> tuple[int, ...]:
        """The blocks snapshots are to be taken at."""
        return tuple(sorted(self._pending))

    def submit(self, number: int) -> None:
        """Take a snapshot of the last block (0, or its number) now, or of a later one in time.

        Raises SnapshotRefused with Fabric's text.
        """
        last = self._ledger.height - 1
        wanted = number or last
        if wanted < last:
            raise SnapshotRefused(
                f"requested snapshot for block number {wanted} cannot be less than "
                f"the last committed block number {last}"
            )
        if wanted in self._pending:
            raise SnapshotRefused(f"duplicate snapshot request for block number {wanted}")
        if (self._directory / str(wanted)).exists():
            raise SnapshotRefused(f"snapshot already generated for block number {wanted}")
        if wanted == last:
            self._take()
        else:
            self._pending.add(wanted)

    def cancel(self, number: int) -> None:
        """Withdraw a request; raises SnapshotRefused."""
        if number not in self._pending:
            raise SnapshotRefused(f"no snapshot request exists for block number {number}")
        self._pending.discard(number)

    def _committed(self, block: common_pb2.Block) -> None:
        if block.header.number in self._pending:
            self._pending.discard(block.header.number)
            self._take()

    def _take(self) -> None:
        snapshot = self._ledger.export()
        directory = self._directory / str(snapshot.last_block_number)
        snapshot.write(directory)
        logger.info("channel %s: snapshot of block %d taken", snapshot.channel_id, snapshot.last_block_number)

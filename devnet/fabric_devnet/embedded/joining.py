"""How a peer takes up channels: from a genesis block at once, or in the background from a snapshot."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from fabric_admin.errors import InvalidInput
from fabric_devnet.embedded.errors import LedgerError
from fabric_devnet.embedded.ledger import Ledger
from fabric_devnet.embedded.snapshotfiles import LedgerSnapshot
from fabric_devnet.embedded.snapshotrequests import SnapshotRequests

if TYPE_CHECKING:
    from collections.abc import Callable

    from fabric_protos.common import common_pb2

    from fabric_devnet.embedded.transient import TransientStore
    from fabric_devnet.plan import PeerNode

logger = logging.getLogger(__name__)


class Joining:
    """Adds ledgers to those of one peer and tells `joined` their channel; `requests` holds their snapshots."""

    def __init__(
        self, ledgers: dict[str, Ledger], node: PeerNode, transient: TransientStore, joined: Callable[[str], None]
    ) -> None:
        self._ledgers = ledgers
        self._node = node
        self._transient = transient
        self._joined = joined
        self._task: asyncio.Task[None] | None = None
        self.requests: dict[str, SnapshotRequests] = {}
        self.snapshot_directory = ""

    def from_genesis(self, genesis: common_pb2.Block) -> None:
        """Add a channel from its genesis block; raises LedgerError or InvalidInput."""
        self._check_idle()
        self._add(Ledger.create(genesis, msp_id=self._node.msp_id, transient=self._transient))

    def from_snapshot(self, directory: str) -> None:
        """Begin to add a channel from a snapshot; raises LedgerError when the directory is none.

        What is found wrong later is logged and nothing else, as with Fabric.
        """
        self._check_idle()
        path = Path(directory)
        if not path.is_dir():
            raise LedgerError(f"error opening dir [{directory}]: open {directory}: no such file or directory")
        if not any(path.iterdir()):
            raise LedgerError(f"snapshot dir {directory} is empty")
        self.snapshot_directory = directory
        self._task = asyncio.create_task(self._restore(path), name=f"{self._node.name} joins from {directory}")

    async def close(self) -> None:
        """Give up what is in progress."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _restore(self, directory: Path) -> None:
        try:
            snapshot = await asyncio.to_thread(LedgerSnapshot.read, directory)
            if snapshot.channel_id in self._ledgers:
                raise LedgerError(f"ledger [{snapshot.channel_id}] already exists with state [ACTIVE]")
            self._add(Ledger.restore(snapshot, msp_id=self._node.msp_id, transient=self._transient))
        except (LedgerError, InvalidInput):
            logger.exception("peer %s cannot join from snapshot %s", self._node.name, directory)
        finally:
            self.snapshot_directory = ""

    def _check_idle(self) -> None:
        if self.snapshot_directory:
            raise LedgerError(
                f"a ledger is being created from a snapshot at {self.snapshot_directory}. "
                "Call ledger creation again after it is done."
            )

    def _add(self, ledger: Ledger) -> None:
        self._ledgers[ledger.channel_id] = ledger
        self.requests[ledger.channel_id] = SnapshotRequests(ledger, self._node.data_directory / "snapshots")
        self._joined(ledger.channel_id)

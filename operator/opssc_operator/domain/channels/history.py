"""What the chain of a channel says about one update. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AppliedIn:
    """The config block that holds an update: its number, its hex header hash, and the MSP ID of who sent the update.

    ``submitter`` is empty when the own report was read and not the chain.
    """

    block: int
    block_hash: str
    submitter: str

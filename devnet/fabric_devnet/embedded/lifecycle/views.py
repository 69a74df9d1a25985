"""The state `_lifecycle` works on: inside a simulation (recorded) or as committed (leaving no trace)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fabric_devnet.embedded.lifecycle.state import NAMESPACE, implicit_collection
from fabric_devnet.embedded.statedb import key_hash

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fabric_devnet.embedded.simulator import Simulator
    from fabric_devnet.embedded.statedb import Snapshot

# What Fabric appends to a prefix to bound its range.
_RANGE_END = "\x7f"


@dataclass(frozen=True, slots=True)
class PublicView:
    """Public keys of `_lifecycle` in a simulation."""

    simulator: Simulator

    def get(self, key: str) -> bytes | None:
        """Read a value."""
        return self.simulator.get_state(NAMESPACE, key)

    def put(self, key: str, value: bytes) -> None:
        """Write a value."""
        self.simulator.put_state(NAMESPACE, key, value)

    def delete(self, key: str) -> None:
        """Delete a key."""
        self.simulator.delete_state(NAMESPACE, key)

    def keys(self, prefix: str) -> Iterator[str]:
        """Iterate the keys that start with a prefix, without the prefix."""
        for key, _ in self.simulator.scan(NAMESPACE, prefix, prefix + _RANGE_END):
            yield key.removeprefix(prefix)


@dataclass(frozen=True, slots=True)
class OrganizationView:
    """An organization's own collection of `_lifecycle` in a simulation."""

    simulator: Simulator
    msp_id: str

    def get(self, key: str) -> bytes | None:
        """Read a value; only peers of the organization hold it."""
        return self.simulator.get_private(NAMESPACE, implicit_collection(self.msp_id), key)

    def get_hash(self, key: str) -> bytes | None:
        """Read a value's SHA-256, as every peer can."""
        return self.simulator.get_private_hash(NAMESPACE, implicit_collection(self.msp_id), key)

    def put(self, key: str, value: bytes) -> None:
        """Write a value."""
        self.simulator.put_private(NAMESPACE, implicit_collection(self.msp_id), key, value)

    def delete(self, key: str) -> None:
        """Delete a key."""
        self.simulator.delete_private(NAMESPACE, implicit_collection(self.msp_id), key)

    def keys(self, prefix: str) -> Iterator[str]:
        """Iterate the keys that start with a prefix, without the prefix."""
        collection = implicit_collection(self.msp_id)
        for key, _ in self.simulator.scan_private(NAMESPACE, collection, prefix, prefix + _RANGE_END):
            yield key.removeprefix(prefix)


@dataclass(frozen=True, slots=True)
class CommittedView:
    """Public keys of `_lifecycle` as committed."""

    snapshot: Snapshot

    def get(self, key: str) -> bytes | None:
        """Read a value."""
        found = self.snapshot.get(NAMESPACE, key)
        return found.value if found else None

    def keys(self, prefix: str) -> Iterator[str]:
        """Iterate the keys that start with a prefix, without the prefix."""
        for key, _ in self.snapshot.scan(NAMESPACE, prefix, prefix + _RANGE_END):
            yield key.removeprefix(prefix)


@dataclass(frozen=True, slots=True)
class CommittedOrganizationView:
    """An organization's own collection of `_lifecycle` as committed."""

    snapshot: Snapshot
    msp_id: str

    def get(self, key: str) -> bytes | None:
        """Read a value; only peers of the organization hold it."""
        found = self.snapshot.get_private(NAMESPACE, implicit_collection(self.msp_id), key)
        return found.value if found else None

    def get_hash(self, key: str) -> bytes | None:
        """Read a value's SHA-256, as every peer can."""
        found = self.snapshot.get_hashed(NAMESPACE, implicit_collection(self.msp_id), key_hash(key))
        return found.value if found else None

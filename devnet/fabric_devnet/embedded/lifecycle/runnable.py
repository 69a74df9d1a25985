"""Which chaincode a peer may run: committed on the channel, approved by its organization, installed on the peer.

Source: fabric core/chaincode/lifecycle/endorsement_info.go, cache.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fabric_devnet.embedded.errors import ChaincodeUnavailable
from fabric_devnet.embedded.lifecycle.state import (
    DEFINITION_TYPE,
    DEFINITIONS,
    metadata_key,
    read_definition,
    read_metadata,
    read_package_id,
    record_mismatches,
)
from fabric_devnet.embedded.lifecycle.views import CommittedOrganizationView, CommittedView

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fabric_devnet.embedded.lifecycle.state import Definition
    from fabric_devnet.embedded.packages import InstalledPackage, PackageStore
    from fabric_devnet.embedded.statedb import Snapshot, StateDB


@dataclass(frozen=True, slots=True)
class RunnableChaincode:
    """A definition together with the installed package that runs it."""

    definition: Definition
    package: InstalledPackage


class RunnableChaincodes:
    """What one peer of `msp_id` may run; looked up once for each height of a channel and number of packages."""

    def __init__(self, msp_id: str, packages: PackageStore) -> None:
        self._msp_id = msp_id
        self._packages = packages
        self._known: dict[tuple[str, str], tuple[tuple[StateDB, int, int], RunnableChaincode | str]] = {}

    def find(self, snapshot: Snapshot, channel_id: str, name: str) -> RunnableChaincode:
        """Find what runs under a name; raises ChaincodeUnavailable with Fabric's cause."""
        found = self._find(snapshot, channel_id, name)
        if isinstance(found, str):
            raise ChaincodeUnavailable(found)
        return found

    def has(self, snapshot: Snapshot, channel_id: str, name: str) -> bool:
        """Tell whether anything runs under a name."""
        return not isinstance(self._find(snapshot, channel_id, name), str)

    def _find(self, snapshot: Snapshot, channel_id: str, name: str) -> RunnableChaincode | str:
        # Definitions and approvals change with a block, packages are only ever added.
        moment = (snapshot.state, snapshot.height, len(self._packages.all()))
        known = self._known.get((channel_id, name))
        if known is None or known[0] != moment:
            known = self._known[channel_id, name] = (moment, self._look_up(snapshot, channel_id, name))
        return known[1]

    def _look_up(self, snapshot: Snapshot, channel_id: str, name: str) -> RunnableChaincode | str:
        try:
            return find_runnable(snapshot, channel_id, name, self._msp_id, self._packages)
        except ChaincodeUnavailable as exc:
            return exc.text


def find_runnable(
    snapshot: Snapshot, channel_id: str, name: str, msp_id: str, packages: PackageStore
) -> RunnableChaincode:
    """Find what runs under `name` on a peer of `msp_id`; raises ChaincodeUnavailable with Fabric's cause."""
    definition = read_definition(CommittedView(snapshot), name)
    if definition is None:
        raise ChaincodeUnavailable(f"chaincode {name} not found")
    package_id = approved_package_id(snapshot, msp_id, definition)
    if package_id is None:
        raise ChaincodeUnavailable(
            f"chaincode definition for '{name}' at sequence {definition.sequence} on channel '{channel_id}' "
            "has not yet been approved by this org"
        )
    installed = packages.find(package_id)
    if installed is None:
        raise ChaincodeUnavailable(f"chaincode definition for '{name}' exists, but chaincode is not installed")
    return RunnableChaincode(definition, installed)


def approved_package_id(snapshot: Snapshot, msp_id: str, definition: Definition) -> str | None:
    """Return the package `msp_id` runs for a definition ("" for none), None when it did not approve exactly it."""
    view = CommittedOrganizationView(snapshot, msp_id)
    if record_mismatches(view, DEFINITIONS, definition.private_name, definition.parameters.record()):
        return None
    return read_package_id(view, definition.name, definition.sequence) or ""


def committed_definitions(snapshot: Snapshot) -> Iterator[Definition]:
    """Iterate every committed definition of a channel."""
    view = CommittedView(snapshot)
    for name in view.keys(metadata_key(DEFINITIONS, "")):
        metadata = read_metadata(view, DEFINITIONS, name)
        if metadata is not None and metadata.datatype == DEFINITION_TYPE:
            definition = read_definition(view, name)
            if definition is not None:
                yield definition

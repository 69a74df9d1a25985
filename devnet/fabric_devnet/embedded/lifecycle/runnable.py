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
    from fabric_devnet.embedded.statedb import Snapshot


@dataclass(frozen=True, slots=True)
class RunnableChaincode:
    """A definition together with the installed package that runs it."""

    definition: Definition
    package: InstalledPackage


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

"""Private data collections of a channel as committed: which exist, which organizations hold them, who endorses writes.

Pure reading of committed state; whether an identity may read or write is decided where it asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fabric_protos.msp import msp_principal_pb2
from fabric_protos.peer import collection_pb2
from google.protobuf.message import DecodeError

from fabric_devnet.embedded.lifecycle import state as lifecycle

if TYPE_CHECKING:
    from fabric_protos.common import policies_pb2

    from fabric_devnet.embedded.statedb import Snapshot

_IMPLICIT_PREFIX = lifecycle.implicit_collection("")


@dataclass(frozen=True, slots=True)
class NamespaceState:
    """Public committed state of one namespace; the reads leave no trace."""

    snapshot: Snapshot
    namespace: str = lifecycle.NAMESPACE

    def get(self, key: str) -> bytes | None:
        """Read a committed value, None when the key does not exist."""
        found = self.snapshot.get(self.namespace, key)
        return found.value if found else None


class Definitions:
    """The committed chaincode definitions at one height, each read once."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.height = snapshot.height
        self._state = NamespaceState(snapshot)
        self._known: dict[str, lifecycle.Definition | None] = {}

    def get(self, chaincode: str) -> lifecycle.Definition | None:
        """Return the committed definition of a chaincode, None when there is none."""
        if chaincode not in self._known:
            self._known[chaincode] = lifecycle.read_definition(self._state, chaincode)
        return self._known[chaincode]

    def collection(self, chaincode: str, name: str) -> collection_pb2.StaticCollectionConfig | None:
        """Return an explicit collection of a chaincode, None when it defines none of that name."""
        definition = self.get(chaincode)
        if definition is None:
            return None
        try:
            package = collection_pb2.CollectionConfigPackage.FromString(definition.parameters.collections)
        except DecodeError:
            return None  # a definition nobody can read defines no collection
        for config in package.config:
            if config.static_collection_config.name == name:
                return config.static_collection_config
        return None

    def members(self, chaincode: str, collection: str) -> frozenset[str] | None:
        """Return the MSP IDs that hold a collection's values, None when the collection does not exist."""
        owner = implicit_owner(collection)
        if owner is not None:
            known = chaincode == lifecycle.NAMESPACE or self.get(chaincode) is not None
            return frozenset({owner}) if known else None
        found = self.collection(chaincode, collection)
        return None if found is None else _policy_members(found.member_orgs_policy.signature_policy)


def implicit_owner(collection: str) -> str | None:
    """Return the MSP ID whose own collection this is, None for an explicit collection."""
    return collection.removeprefix(_IMPLICIT_PREFIX) if collection.startswith(_IMPLICIT_PREFIX) else None


def _policy_members(policy: policies_pb2.SignaturePolicyEnvelope) -> frozenset[str]:
    """Return the MSP IDs a member policy names; Fabric allows only an OR of principals there."""
    members = set()
    for principal in policy.identities:
        if principal.principal_classification == msp_principal_pb2.MSPPrincipal.ROLE:
            members.add(msp_principal_pb2.MSPRole.FromString(principal.principal).msp_identifier)
        elif principal.principal_classification == msp_principal_pb2.MSPPrincipal.ORGANIZATION_UNIT:
            members.add(msp_principal_pb2.OrganizationUnit.FromString(principal.principal).msp_identifier)
    return frozenset(members)

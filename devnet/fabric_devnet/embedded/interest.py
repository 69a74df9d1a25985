"""What a simulation touched, as discovery wants it: chaincodes, collections and the policies of single keys.

Source: fabric core/endorser/endorser.go (buildChaincodeInterest), core/ledger (writeset metadata).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fabric_protos.common import policies_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from fabric_protos.peer import proposal_response_pb2
from google.protobuf.message import DecodeError

from fabric_devnet.embedded.endorsement import VALIDATION_PARAMETER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fabric_protos.ledger.rwset import rwset_pb2

    from fabric_devnet.embedded.simulator import SimulationResults
    from fabric_devnet.embedded.statedb import Snapshot, VersionedValue


def build_interest(
    results: SimulationResults, snapshot: Snapshot, is_system: Callable[[str], bool]
) -> proposal_response_pb2.ChaincodeInterest:
    """List one call per namespace touched and one per private collection; system namespaces are left out."""
    interest = proposal_response_pb2.ChaincodeInterest()
    for namespace in results.public.ns_rwset:
        if is_system(namespace.namespace):
            continue
        interest.chaincodes.append(_public_call(namespace, snapshot))
        for collection in namespace.collection_hashed_rwset:
            call = _collection_call(namespace.namespace, collection, snapshot)
            call.no_private_reads = (namespace.namespace, collection.collection_name) not in results.private_reads
            interest.chaincodes.append(call)
    return interest


def _public_call(namespace: rwset_pb2.NsReadWriteSet, snapshot: Snapshot) -> proposal_response_pb2.ChaincodeCall:
    access = kv_rwset_pb2.KVRWSet.FromString(namespace.rwset)
    keys = {write.key for write in access.writes} | {write.key for write in access.metadata_writes}
    call = proposal_response_pb2.ChaincodeCall(name=namespace.namespace)
    _add_key_policies(call, (snapshot.get(namespace.namespace, key) for key in sorted(keys)))
    return call


def _collection_call(
    namespace: str, collection: rwset_pb2.CollectionHashedReadWriteSet, snapshot: Snapshot
) -> proposal_response_pb2.ChaincodeCall:
    access = kv_rwset_pb2.HashedRWSet.FromString(collection.hashed_rwset)
    name = collection.collection_name
    hashes = {write.key_hash for write in access.hashed_writes} | {write.key_hash for write in access.metadata_writes}
    call = proposal_response_pb2.ChaincodeCall(name=namespace, collection_names=[name])
    _add_key_policies(call, (snapshot.get_hashed(namespace, name, key_hash) for key_hash in sorted(hashes)))
    return call


def _add_key_policies(call: proposal_response_pb2.ChaincodeCall, written: Iterable[VersionedValue | None]) -> None:
    """Add the policies of the written keys; the namespace's own counts only for keys that have none."""
    policies: set[bytes] = set()
    without = total = 0
    for value in written:
        total += 1
        own = value.metadata.get(VALIDATION_PARAMETER) if value else None
        if own:
            policies.add(own)
        else:
            without += 1
    for policy in sorted(policies):
        try:
            call.key_policies.append(policies_pb2.SignaturePolicyEnvelope.FromString(policy))
        except DecodeError:
            continue  # nobody can satisfy it; the transaction is flagged at commit
    call.disregard_namespace_policy = bool(total) and not without

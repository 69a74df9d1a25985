"""Decides whether a transaction's endorsements satisfy the policies of all it writes (Fabric's VSCC).

Policy and signature rules are those of `fabric_admin`; this module only knows which policy applies where.
Source: core/handlers/validation/builtin/v20, core/common/validation/statebased/v20.go, core/chaincode/lifecycle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fabric_protos.common import policies_pb2
from fabric_protos.peer import policy_pb2
from google.protobuf.message import DecodeError

from fabric_admin import principals
from fabric_admin.channelconfig import LIFECYCLE_ENDORSEMENT
from fabric_admin.policy import SignedData
from fabric_devnet.embedded.collections import Definitions, implicit_owner
from fabric_devnet.embedded.lifecycle.state import NAMESPACE as LIFECYCLE
from fabric_devnet.embedded.sharedchecks import shared_checks
from fabric_devnet.embedded.transaction import Code, InvalidTransaction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fabric_admin.channelconfig import ChannelConfig
    from fabric_devnet.embedded.statedb import Snapshot, VersionedValue
    from fabric_devnet.embedded.transaction import EndorserTransaction, NamespaceAccess

VALIDATION_PARAMETER: Final = "VALIDATION_PARAMETER"
_VSCC: Final = "vscc"

# A key with a policy of its own: namespace, collection ("" for public state) and key or key hash.
KeyPlace = tuple[str, str, str | bytes]


class EndorsementCheck:
    """Checks the transactions of one block, in order, against one channel config and the state before the block."""

    def __init__(self, config: ChannelConfig, snapshot: Snapshot) -> None:
        self._config = config
        self._checks = shared_checks(config)
        self._snapshot = snapshot
        self._definitions = Definitions(snapshot)
        self._repoliced: set[KeyPlace] = set()

    def check(self, transaction: EndorserTransaction) -> None:
        """Return when every policy that applies is satisfied; raises InvalidTransaction with codes 10 or 25."""
        signed = tuple(
            SignedData(
                data=transaction.response_payload + endorsement.endorser,
                identity=endorsement.endorser,
                signature=endorsement.signature,
            )
            for endorsement in transaction.endorsements
        )
        written = {namespace.name: namespace for namespace in transaction.namespaces if namespace.writes}
        for name in sorted({transaction.chaincode, *written}):
            default = self._namespace_policy(name)
            for applicable in self._policies(name, written.get(name), default):
                self._evaluate(applicable, signed, transaction.transaction_id, name)
        self._repoliced.update(_metadata_places(written.values()))

    def _namespace_policy(self, name: str) -> bytes:
        """Return the pb(ApplicationPolicy) of a namespace."""
        if name == LIFECYCLE:
            return lifecycle_policy(self._config)
        definition = self._definitions.get(name)
        if definition is None:
            raise InvalidTransaction(Code.INVALID_CHAINCODE, f"namespace {name} is not defined")
        if definition.parameters.validation_plugin != _VSCC:
            plugin = definition.parameters.validation_plugin
            raise InvalidTransaction(Code.INVALID_OTHER_REASON, f"plugin with name {plugin} wasn't found")
        return definition.parameters.validation_parameter

    def _policies(self, name: str, access: NamespaceAccess | None, default: bytes) -> set[bytes]:
        if access is None:
            return {default}
        found: set[bytes] = set()
        for key in _public_keys(access):
            own = _own_policy(self._snapshot.get(name, key))
            found.add(self._key_policy((name, "", key), own, default))
        for collection in access.collections:
            keys = [write.key_hash for write in collection.hashed.hashed_writes]
            keys += [write.key_hash for write in collection.hashed.metadata_writes]
            for key_hash in keys:
                own = _own_policy(self._snapshot.get_hashed(name, collection.name, key_hash))
                fallback = self._collection_policy(name, collection.name) or default
                found.add(self._key_policy((name, collection.name, key_hash), own, fallback))
        return found

    def _key_policy(self, place: KeyPlace, own: bytes | None, fallback: bytes) -> bytes:
        if place in self._repoliced:
            reason = f"validation parameters of key {place[2]!r} were updated earlier in the same block"
            raise InvalidTransaction(Code.ENDORSEMENT_POLICY_FAILURE, reason)
        return fallback if own is None else own

    def _collection_policy(self, chaincode: str, collection: str) -> bytes | None:
        owner = implicit_owner(collection)
        if owner is not None:
            return organization_policy(self._config, owner)
        found = self._definitions.collection(chaincode, collection)
        if found is None:
            raise InvalidTransaction(Code.ENDORSEMENT_POLICY_FAILURE, f"no such collection '{collection}'")
        return found.endorsement_policy.SerializeToString() if found.HasField("endorsement_policy") else None

    def _evaluate(self, applicable: bytes, signed: tuple[SignedData, ...], transaction_id: str, name: str) -> None:
        problem = self._checks.application_policy(applicable, signed)
        if problem is not None:
            reason = f"validation of endorsement policy for chaincode {name} in tx {transaction_id} failed: {problem}"
            raise InvalidTransaction(Code.ENDORSEMENT_POLICY_FAILURE, reason)


def lifecycle_policy(config: ChannelConfig) -> bytes:
    """Return the pb(ApplicationPolicy) that guards commits of definitions."""
    if config.policies.has(LIFECYCLE_ENDORSEMENT):
        return _reference(LIFECYCLE_ENDORSEMENT)
    return _out_of(len(config.members) // 2 + 1, config.members)


def organization_policy(config: ChannelConfig, msp_id: str) -> bytes:
    """Return the pb(ApplicationPolicy) that guards writes to an organization's own collection."""
    for organization in config.organizations.values():
        path = f"/Channel/Application/{organization.name}/Endorsement"
        if organization.msp_id == msp_id and config.policies.has(path):
            return _reference(path)
    return _out_of(1, (msp_id,))


def _reference(path: str) -> bytes:
    return policy_pb2.ApplicationPolicy(channel_config_policy_reference=path).SerializeToString()


def _out_of(count: int, msp_ids: Iterable[str]) -> bytes:
    identities = [principals.role_principal(msp_id, principals.Role.MEMBER) for msp_id in msp_ids]
    rules = [policies_pb2.SignaturePolicy(signed_by=index) for index in range(len(identities))]
    rule = policies_pb2.SignaturePolicy(n_out_of=policies_pb2.SignaturePolicy.NOutOf(n=count, rules=rules))
    envelope = policies_pb2.SignaturePolicyEnvelope(rule=rule, identities=identities)
    return policy_pb2.ApplicationPolicy(signature_policy=envelope).SerializeToString()


def _own_policy(found: VersionedValue | None) -> bytes | None:
    """Return a key's own policy as pb(ApplicationPolicy), None when it has none."""
    own = found.metadata.get(VALIDATION_PARAMETER) if found else None
    if not own:
        return None
    try:
        envelope = policies_pb2.SignaturePolicyEnvelope.FromString(own)
    except DecodeError as exc:
        raise InvalidTransaction(Code.ENDORSEMENT_POLICY_FAILURE, "a key-level policy cannot be read") from exc
    return policy_pb2.ApplicationPolicy(signature_policy=envelope).SerializeToString()


def _public_keys(access: NamespaceAccess) -> list[str]:
    return [write.key for write in access.public.writes] + [write.key for write in access.public.metadata_writes]


def _metadata_places(namespaces: Iterable[NamespaceAccess]) -> Iterator[KeyPlace]:
    for namespace in namespaces:
        for write in namespace.public.metadata_writes:
            yield namespace.name, "", write.key
        for collection in namespace.collections:
            for hashed in collection.hashed.metadata_writes:
                yield namespace.name, collection.name, hashed.key_hash

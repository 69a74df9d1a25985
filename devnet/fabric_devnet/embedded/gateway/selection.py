"""Which peers to ask: the candidates for a chaincode, and the fewest whose endorsements satisfy its policies.

Source: fabric internal/pkg/gateway/registry.go, discovery/endorsement/endorsement.go.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

import grpc
from fabric_protos.common import policies_pb2
from fabric_protos.peer import collection_pb2, policy_pb2, proposal_response_pb2
from google.protobuf.message import DecodeError

from fabric_admin.errors import InvalidInput, PolicyNotSatisfied
from fabric_admin.policy import MissingPolicy, SignaturePolicy
from fabric_devnet.embedded.collections import Definitions, implicit_owner
from fabric_devnet.embedded.endorsement import lifecycle_policy, organization_policy
from fabric_devnet.embedded.gateway.refusal import GatewayRefused
from fabric_devnet.embedded.lifecycle.state import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fabric_admin.channelconfig import ChannelConfig
    from fabric_admin.msp import Identity
    from fabric_admin.policy import Policy
    from fabric_devnet.embedded.ledger import Ledger
    from fabric_devnet.embedded.membership import EndorsingPeer

MAX_PLANS: Final = 1000
NO_COMBINATION: Final = "no combination of peers can be derived which satisfy the endorsement policy: "


class EndorsementPolicies:
    """Everything an interest's endorsements must satisfy, and which organizations may be asked at all.

    `parameters` are the pb(ApplicationPolicy) of namespaces and collections, `key_policies` the
    pb(SignaturePolicyEnvelope) of single keys; `members` is None when everybody may be asked.
    """

    def __init__(
        self,
        config: ChannelConfig,
        parameters: frozenset[bytes],
        key_policies: frozenset[bytes],
        members: frozenset[str] | None,
    ) -> None:
        self._config = config
        self._members = members
        self.key = (parameters, key_policies)
        self._policies = [_compile(config, parameter) for parameter in sorted(parameters)]
        self._policies += [_compile_key_policy(policy) for policy in sorted(key_policies)]

    def satisfied_by(self, peers: Iterable[EndorsingPeer]) -> bool:
        """Tell whether endorsements of all these peers would be enough."""
        identities = self._config.msp_manager
        return self._met([identities.deserialize(peer.creator) for peer in peers])

    def allows(self, peer: EndorsingPeer) -> bool:
        """Tell whether a peer may see the private data involved."""
        return self._members is None or peer.msp_id in self._members

    def fewest(self, ordered: Sequence[EndorsingPeer]) -> tuple[EndorsingPeer, ...] | None:
        """Choose peers of which none can be spared, the first ones preferred; None when all are not enough."""
        identities = self._config.msp_manager
        signers = [identities.deserialize(peer.creator) for peer in ordered]
        if not self._met(signers):
            return None
        enough = bisect_left(range(len(signers)), 1, key=lambda count: self._met(signers[:count]))
        kept = list(range(enough))
        for index in reversed(range(enough)):
            rest = [other for other in kept if other != index]
            if self._met([signers[other] for other in rest]):
                kept = rest
        return tuple(ordered[index] for index in kept)

    def _met(self, signers: Sequence[Identity]) -> bool:
        try:
            for policy in self._policies:
                policy.check(signers, self._config.msp_manager)
        except PolicyNotSatisfied:
            return False
        return True


class Plans:
    """Choices of peers made before: they hold until the channel's config changes."""

    def __init__(self) -> None:
        self._channels: dict[str, tuple[ChannelConfig, dict[object, tuple[str, ...] | None]]] = {}

    def fewest(
        self, config: ChannelConfig, policies: EndorsementPolicies, ordered: Sequence[EndorsingPeer]
    ) -> tuple[EndorsingPeer, ...] | None:
        """Choose as `EndorsementPolicies.fewest` does."""
        known_config, plans = self._channels.get(config.channel_id, (None, {}))
        if known_config is not config or len(plans) >= MAX_PLANS:
            plans = {}
            self._channels[config.channel_id] = (config, plans)
        by_name = {peer.name: peer for peer in ordered}
        key = (policies.key, tuple(by_name))
        if key not in plans:
            chosen = policies.fewest(ordered)
            plans[key] = None if chosen is None else tuple(peer.name for peer in chosen)
        names = plans[key]
        return None if names is None else tuple(by_name[name] for name in names)


def policies_for(interest: proposal_response_pb2.ChaincodeInterest, ledger: Ledger) -> EndorsementPolicies:
    """Collect the policies of an interest; raises GatewayRefused when a chaincode is not defined."""
    definitions = ledger.definitions()
    config = ledger.config
    parameters: set[bytes] = set()
    key_policies: set[bytes] = set()
    members: frozenset[str] | None = None
    for call in interest.chaincodes:
        key_policies |= {envelope.SerializeToString() for envelope in call.key_policies}
        if not call.disregard_namespace_policy:
            parameters |= _namespace_parameters(call, config, definitions)
        if not call.no_private_reads:
            for collection in call.collection_names:
                holders = definitions.members(call.name, collection) or frozenset()
                members = holders if members is None else members & holders
    return EndorsementPolicies(config, frozenset(parameters), frozenset(key_policies), members)


def candidates(peers: Iterable[EndorsingPeer], channel_id: str, chaincodes: Iterable[str]) -> tuple[EndorsingPeer, ...]:
    """Keep the peers that have every one of these chaincodes."""
    names = tuple(chaincodes)
    return tuple(peer for peer in peers if all(peer.can_run(channel_id, name) for name in names))


def by_preference(peers: Iterable[EndorsingPeer], local: EndorsingPeer, channel_id: str) -> tuple[EndorsingPeer, ...]:
    """Order peers: the own organization first, then by height, the local peer before its equals."""

    def rank(peer: EndorsingPeer) -> tuple[bool, int, bool]:
        return peer.msp_id != local.msp_id, -peer.ledgers[channel_id].height, peer.name != local.name

    return tuple(sorted(peers, key=rank))


def spread(peers: Iterable[EndorsingPeer], first: EndorsingPeer | None) -> tuple[EndorsingPeer, ...]:
    """Order peers so that organizations take turns, beginning with `first` and going on from its organization.

    Every gateway goes on from its own organization, so that not all of them ask the same ones.
    """
    by_organization: dict[str, list[EndorsingPeer]] = {}
    for peer in peers:
        by_organization.setdefault(peer.msp_id, []).append(peer)
    start = first.msp_id if first is not None else ""
    names = sorted(by_organization, key=lambda name: (name < start, name))
    ordered = [
        by_organization[name][turn]
        for turn in range(max(map(len, by_organization.values()), default=0))
        for name in names
        if turn < len(by_organization[name])
    ]
    if first in ordered:
        return (first, *(peer for peer in ordered if peer is not first))
    return tuple(ordered)


def _namespace_parameters(
    call: proposal_response_pb2.ChaincodeCall, config: ChannelConfig, definitions: Definitions
) -> set[bytes]:
    if call.name == NAMESPACE:
        default = lifecycle_policy(config)
    else:
        definition = definitions.get(call.name)
        if definition is None:
            raise GatewayRefused(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"{NO_COMBINATION}No metadata was found for chaincode {call.name} in channel {config.channel_id}",
            )
        default = definition.parameters.validation_parameter
    collections = call.collection_names
    return {_collection_parameter(call.name, name, config, definitions) or default for name in collections} or {default}


def _collection_parameter(
    chaincode: str, collection: str, config: ChannelConfig, definitions: Definitions
) -> bytes | None:
    owner = implicit_owner(collection)
    if owner is not None:
        return organization_policy(config, owner)
    found: collection_pb2.StaticCollectionConfig | None = definitions.collection(chaincode, collection)
    if found is None or not found.HasField("endorsement_policy"):
        return None
    return found.endorsement_policy.SerializeToString()


def _compile(config: ChannelConfig, parameter: bytes) -> Policy:
    """Compile a pb(ApplicationPolicy); what nobody can read, nobody can satisfy."""
    try:
        application = policy_pb2.ApplicationPolicy.FromString(parameter)
        if application.HasField("signature_policy"):
            return SignaturePolicy(application.signature_policy)
    except (DecodeError, InvalidInput):
        return MissingPolicy("validation parameter")
    return config.policies.get(application.channel_config_policy_reference)


def _compile_key_policy(policy: bytes) -> Policy:
    try:
        return SignaturePolicy(policies_pb2.SignaturePolicyEnvelope.FromString(policy))
    except InvalidInput:
        return MissingPolicy("validation parameter")

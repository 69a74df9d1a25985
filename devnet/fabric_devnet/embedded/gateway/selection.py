"""Which peers to ask: the candidates for a chaincode, and the fewest whose endorsements satisfy its policies.

Source: fabric internal/pkg/gateway/registry.go, discovery/endorsement/endorsement.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import grpc
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

NO_COMBINATION: Final = "no combination of peers can be derived which satisfy the endorsement policy: "


class EndorsementPolicies:
    """Everything an interest's endorsements must satisfy, and which organizations may be asked at all."""

    def __init__(self, config: ChannelConfig, policies: Sequence[Policy], members: frozenset[str] | None) -> None:
        self._config = config
        self._policies = policies
        self._members = members

    def satisfied_by(self, peers: Iterable[EndorsingPeer]) -> bool:
        """Tell whether endorsements of all these peers would be enough."""
        identities = self._config.msp_manager
        signers: list[Identity] = [identities.deserialize(peer.creator) for peer in peers]
        try:
            for policy in self._policies:
                policy.check(signers, identities)
        except PolicyNotSatisfied:
            return False
        return True

    def allows(self, peer: EndorsingPeer) -> bool:
        """Tell whether a peer may see the private data involved."""
        return self._members is None or peer.msp_id in self._members

    def fewest(self, ordered: Sequence[EndorsingPeer]) -> tuple[EndorsingPeer, ...] | None:
        """Choose peers of which none can be spared, the first ones preferred; None when all are not enough."""
        if not self.satisfied_by(ordered):
            return None
        kept = list(ordered)
        for peer in reversed(ordered):
            rest = [other for other in kept if other is not peer]
            if self.satisfied_by(rest):
                kept = rest
        return tuple(kept)


def policies_for(interest: proposal_response_pb2.ChaincodeInterest, ledger: Ledger) -> EndorsementPolicies:
    """Collect the policies of an interest; raises GatewayRefused when a chaincode is not defined."""
    definitions = ledger.definitions()
    config = ledger.config
    found: list[Policy] = []
    members: frozenset[str] | None = None
    for call in interest.chaincodes:
        found.extend(SignaturePolicy(envelope) for envelope in call.key_policies)
        if not call.disregard_namespace_policy:
            found.extend(_namespace_policies(call, config, definitions, ledger.channel_id))
        if not call.no_private_reads:
            for collection in call.collection_names:
                holders = definitions.members(call.name, collection) or frozenset()
                members = holders if members is None else members & holders
    return EndorsementPolicies(config, found, members)


def candidates(peers: Iterable[EndorsingPeer], channel_id: str, chaincodes: Iterable[str]) -> tuple[EndorsingPeer, ...]:
    """Keep the peers that have every one of these chaincodes."""
    names = tuple(chaincodes)
    return tuple(peer for peer in peers if all(peer.can_run(channel_id, name) for name in names))


def by_preference(peers: Iterable[EndorsingPeer], local: EndorsingPeer, channel_id: str) -> tuple[EndorsingPeer, ...]:
    """Order peers: the own organization first, then by height, the local peer before its equals."""

    def rank(peer: EndorsingPeer) -> tuple[bool, int, bool]:
        return peer.msp_id != local.msp_id, -peer.ledgers[channel_id].height, peer.name != local.name

    return tuple(sorted(peers, key=rank))


def spread(peers: Iterable[EndorsingPeer], first: EndorsingPeer) -> tuple[EndorsingPeer, ...]:
    """Order peers so that organizations take turns, beginning with `first` and going on from its organization.

    Every gateway goes on from its own organization, so that not all of them ask the same ones.
    """
    by_organization: dict[str, list[EndorsingPeer]] = {}
    for peer in peers:
        by_organization.setdefault(peer.msp_id, []).append(peer)
    names = sorted(by_organization, key=lambda name: (name < first.msp_id, name))
    ordered = [
        by_organization[name][turn]
        for turn in range(max(map(len, by_organization.values()), default=0))
        for name in names
        if turn < len(by_organization[name])
    ]
    return (first, *(peer for peer in ordered if peer is not first))


def _namespace_policies(
    call: proposal_response_pb2.ChaincodeCall, config: ChannelConfig, definitions: Definitions, channel_id: str
) -> list[Policy]:
    if call.name == NAMESPACE:
        default = lifecycle_policy(config)
    else:
        definition = definitions.get(call.name)
        if definition is None:
            raise GatewayRefused(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"{NO_COMBINATION}No metadata was found for chaincode {call.name} in channel {channel_id}",
            )
        default = definition.parameters.validation_parameter
    parameters = [
        _collection_parameter(call.name, collection, config, definitions) or default
        for collection in call.collection_names
    ]
    return [_compile(config, parameter) for parameter in parameters or [default]]


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

"""The Discovery service of a peer: config, peers, and who may endorse a chaincode.

Source: fabric discovery/service.go, discovery/endorsement/endorsement.go.
"""

from __future__ import annotations

import hashlib
from itertools import combinations
from typing import TYPE_CHECKING, Final

import grpc
from fabric_protos.discovery import protocol_pb2, protocol_pb2_grpc
from fabric_protos.gossip import message_pb2
from fabric_protos.msp import identities_pb2, msp_config_pb2
from google.protobuf.message import DecodeError

from fabric_admin.errors import IdentityError
from fabric_admin.policy import SignedData
from fabric_admin.principals import Role, role_principal
from fabric_devnet.embedded.acl import WRITERS, check_channel_policy
from fabric_devnet.embedded.errors import AccessDenied
from fabric_devnet.embedded.gateway.refusal import GatewayRefused
from fabric_devnet.embedded.gateway.selection import candidates, policies_for
from fabric_devnet.embedded.lifecycle.runnable import committed_definitions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fabric_protos.peer import proposal_response_pb2

    from fabric_admin.msp import MSP
    from fabric_devnet.embedded.gateway.selection import EndorsementPolicies
    from fabric_devnet.embedded.ledger import Ledger
    from fabric_devnet.embedded.membership import EndorsingPeer, Membership

    DiscoverContext = grpc.aio.ServicerContext[protocol_pb2.SignedRequest, protocol_pb2.Response]

# Every combination of organizations is looked at; more of them would take too long.
MAX_ORGANIZATIONS: Final = 12


class Unanswerable(Exception):
    """A query that is answered with an error."""


class DiscoveryService(protocol_pb2_grpc.DiscoveryServicer):
    """`discovery.Discovery` on one peer."""

    def __init__(self, local: EndorsingPeer, membership: Membership, local_msp: MSP) -> None:
        self._local = local
        self._membership = membership
        self._local_msp = local_msp

    async def Discover(  # noqa: N802 - the service's name for it
        self, request: protocol_pb2.SignedRequest, context: DiscoverContext
    ) -> protocol_pb2.Response:
        """Answer each query, in order."""
        try:
            queries = protocol_pb2.Request.FromString(request.payload)
        except DecodeError:
            return await context.abort(grpc.StatusCode.UNKNOWN, "failed parsing request")
        if not queries.HasField("authentication"):
            return await context.abort(grpc.StatusCode.UNKNOWN, "access denied, no authentication info in request")
        identity = queries.authentication.client_identity
        if not identity:
            return await context.abort(grpc.StatusCode.UNKNOWN, "access denied, client identity wasn't supplied")
        signed = SignedData(data=request.payload, identity=identity, signature=request.signature)
        return protocol_pb2.Response(results=[self._answer(query, signed) for query in queries.queries])

    def _answer(self, query: protocol_pb2.Query, signed: SignedData) -> protocol_pb2.QueryResult:
        try:
            if not query.channel:
                return self._answer_local(query, signed)
            return self._answer_on_channel(query, signed)
        except Unanswerable as exc:
            return protocol_pb2.QueryResult(error=protocol_pb2.Error(content=str(exc)))

    def _answer_local(self, query: protocol_pb2.Query, signed: SignedData) -> protocol_pb2.QueryResult:
        if query.WhichOneof("query") != "local_peers":
            raise Unanswerable("unknown or missing request type")
        try:
            identity = self._local_msp.deserialize(signed.identity)
            self._local_msp.satisfies(identity, role_principal(self._local_msp.msp_id, Role.ADMIN))
            identity.verify(signed.data, signed.signature)
        except IdentityError as exc:
            raise Unanswerable("access denied") from exc
        return protocol_pb2.QueryResult(members=_members(self._membership.peers("", self._local), None))

    def _answer_on_channel(self, query: protocol_pb2.Query, signed: SignedData) -> protocol_pb2.QueryResult:
        ledger = self._local.ledgers.get(query.channel)
        if ledger is None:
            raise Unanswerable("access denied")
        try:
            check_channel_policy(WRITERS, query.channel, ledger.config, signed)
        except AccessDenied as exc:
            raise Unanswerable("access denied") from exc
        match query.WhichOneof("query"):
            case "config_query":
                return protocol_pb2.QueryResult(config_result=_config(ledger))
            case "peer_query":
                peers = self._membership.peers(query.channel, self._local)
                names = {call.name for call in query.peer_query.filter.chaincodes}
                found = candidates(peers, query.channel, sorted(names))
                return protocol_pb2.QueryResult(members=_members(found, query.channel))
            case "cc_query":
                if not query.cc_query.interests:
                    raise Unanswerable("chaincode query must have at least one chaincode interest")
                descriptors = [self._descriptor(interest, ledger) for interest in query.cc_query.interests]
                return protocol_pb2.QueryResult(cc_query_res=protocol_pb2.ChaincodeQueryResult(content=descriptors))
            case _:
                raise Unanswerable("unknown or missing request type")

    def _descriptor(
        self, interest: proposal_response_pb2.ChaincodeInterest, ledger: Ledger
    ) -> protocol_pb2.EndorsementDescriptor:
        if not interest.chaincodes:
            raise Unanswerable("chaincode query must have at least one chaincode interest")
        channel_id = ledger.channel_id
        refusal = f"failed constructing descriptor for {_printed(interest)}"
        try:
            policies = policies_for(interest, ledger)
        except GatewayRefused as exc:
            raise Unanswerable(refusal) from exc
        names = {call.name for call in interest.chaincodes}
        able = candidates(self._membership.peers(channel_id, self._local), channel_id, sorted(names))
        by_organization: dict[str, list[EndorsingPeer]] = {}
        for peer in able:
            if policies.allows(peer):
                by_organization.setdefault(peer.msp_id, []).append(peer)
        if len(by_organization) > MAX_ORGANIZATIONS:
            raise Unanswerable(
                f"chaincode queries over more than {MAX_ORGANIZATIONS} organizations are not supported "
                "by the embedded network"
            )
        layouts = _layouts(by_organization, policies)
        if not layouts:
            raise Unanswerable(refusal)
        return _describe(interest.chaincodes[0].name, by_organization, layouts, channel_id)


def _layouts(by_organization: dict[str, list[EndorsingPeer]], policies: EndorsementPolicies) -> list[tuple[str, ...]]:
    """List the smallest sets of organizations of which one peer each is enough."""
    found: list[tuple[str, ...]] = []
    for size in range(1, len(by_organization) + 1):
        for names in combinations(sorted(by_organization), size):
            if any(set(smaller) <= set(names) for smaller in found):
                continue
            if policies.satisfied_by([by_organization[name][0] for name in names]):
                found.append(names)
    return found


def _describe(
    chaincode: str,
    by_organization: dict[str, list[EndorsingPeer]],
    layouts: Sequence[tuple[str, ...]],
    channel_id: str,
) -> protocol_pb2.EndorsementDescriptor:
    used = sorted({name for layout in layouts for name in layout})
    groups = {name: f"G{index}" for index, name in enumerate(used)}
    return protocol_pb2.EndorsementDescriptor(
        chaincode=chaincode,
        endorsers_by_groups={
            groups[name]: protocol_pb2.Peers(peers=[_peer(peer, channel_id) for peer in by_organization[name]])
            for name in used
        },
        layouts=[protocol_pb2.Layout(quantities_by_group={groups[name]: 1 for name in layout}) for layout in layouts],
    )


def _config(ledger: Ledger) -> protocol_pb2.ConfigResult:
    result = protocol_pb2.ConfigResult()
    config = ledger.config
    for organization in (*config.organizations.values(), *config.orderer_organizations.values()):
        definition = msp_config_pb2.FabricMSPConfig.FromString(organization.msp.to_config().config)
        result.msps[organization.msp_id].CopyFrom(definition)
    for endpoint in config.orderer_endpoints:
        host, _, port = endpoint.address.rpartition(":")
        result.orderers[endpoint.msp_id].endpoint.add(host=host, port=int(port))
    return result


def _members(peers: Iterable[EndorsingPeer], channel_id: str | None) -> protocol_pb2.PeerMembershipResult:
    result = protocol_pb2.PeerMembershipResult()
    for peer in peers:
        result.peers_by_org[peer.msp_id].peers.append(_peer(peer, channel_id))
    return result


def _peer(peer: EndorsingPeer, channel_id: str | None) -> protocol_pb2.Peer:
    pki_id = hashlib.sha256(
        peer.msp_id.encode() + identities_pb2.SerializedIdentity.FromString(peer.creator).id_bytes
    ).digest()
    member = message_pb2.Member(endpoint=peer.address, pki_id=pki_id)
    alive = message_pb2.GossipMessage(alive_msg=message_pb2.AliveMessage(membership=member))
    described = protocol_pb2.Peer(
        identity=peer.creator, membership_info=message_pb2.Envelope(payload=alive.SerializeToString())
    )
    if channel_id is not None:
        described.state_info.payload = _state_info(peer, channel_id, pki_id).SerializeToString()
    return described


def _state_info(peer: EndorsingPeer, channel_id: str, pki_id: bytes) -> message_pb2.GossipMessage:
    ledger = peer.ledgers[channel_id]
    chaincodes = [
        message_pb2.Chaincode(name=definition.name, version=str(definition.sequence))
        for definition in committed_definitions(ledger.snapshot())
        if peer.can_run(channel_id, definition.name)
    ]
    properties = message_pb2.Properties(ledger_height=ledger.height, chaincodes=chaincodes)
    return message_pb2.GossipMessage(state_info=message_pb2.StateInfo(pki_id=pki_id, properties=properties))


def _printed(interest: proposal_response_pb2.ChaincodeInterest) -> str:
    """Print an interest as Go prints the message."""
    return " ".join(f'chaincodes:{{name:"{call.name}"}}' for call in interest.chaincodes)

"""The Discovery service of one peer: a channel's MSPs and orderers, its peers, and who may endorse a chaincode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fabric_protos.discovery import protocol_pb2, protocol_pb2_grpc
from fabric_protos.gossip import message_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import proposal_response_pb2

from fabric_admin.errors import BlockError, RequestRefused
from fabric_admin.wire import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fabric_protos.msp import msp_config_pb2

    from fabric_admin.identity import SigningIdentity
    from fabric_admin.transport import Connection


@dataclass(frozen=True, slots=True)
class DiscoveredPeer:
    """A peer as its neighbour knows it; height and chaincodes (name to sequence) are those it announced."""

    msp_id: str
    address: str
    identity: bytes
    ledger_height: int
    chaincodes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DiscoveredConfig:
    """What clients need to know of a channel: MSPs by ID, and orderer addresses by MSP ID."""

    msps: Mapping[str, msp_config_pb2.FabricMSPConfig]
    orderers: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class EndorsementPlan:
    """Who may endorse a chaincode together: each layout says how many peers of which group are enough."""

    chaincode: str
    groups: Mapping[str, tuple[DiscoveredPeer, ...]]
    layouts: tuple[Mapping[str, int], ...]


class Discovery:
    """Queries to one peer by a member of the channel.

    Every call raises RequestRefused with the peer's text (code "" where the peer answered the query itself with an
    error, such as `access denied`), TransportError and DeadlineExceeded.
    """

    __slots__ = ("_connection", "_identity", "_stub")

    def __init__(self, connection: Connection, identity: SigningIdentity) -> None:
        self._connection = connection
        self._identity = identity
        self._stub = protocol_pb2_grpc.DiscoveryStub(connection.channel)

    async def config(self, channel: str, *, timeout_seconds: float = 30.0) -> DiscoveredConfig:
        """Return the channel's MSPs and orderers."""
        query = protocol_pb2.Query(channel=channel, config_query=protocol_pb2.ConfigQuery())
        result = (await self._ask(query, timeout_seconds)).config_result
        orderers = {
            msp_id: tuple(f"{each.host}:{each.port}" for each in endpoints.endpoint)
            for msp_id, endpoints in result.orderers.items()
        }
        return DiscoveredConfig(dict(result.msps), orderers)

    async def peers(self, channel: str, *, timeout_seconds: float = 30.0) -> tuple[DiscoveredPeer, ...]:
        """Return the channel's peers that the connected one knows, itself included."""
        query = protocol_pb2.Query(channel=channel, peer_query=protocol_pb2.PeerMembershipQuery())
        return _members((await self._ask(query, timeout_seconds)).members)

    async def local_peers(self, *, timeout_seconds: float = 30.0) -> tuple[DiscoveredPeer, ...]:
        """Return all peers that the connected one knows, of any channel; for its organization's administrators."""
        query = protocol_pb2.Query(local_peers=protocol_pb2.LocalPeerQuery())
        return _members((await self._ask(query, timeout_seconds)).members)

    async def endorsers(
        self, channel: str, chaincodes: Sequence[str], *, timeout_seconds: float = 30.0
    ) -> EndorsementPlan:
        """Return who may endorse a transaction of the first chaincode that calls the others."""
        calls = [proposal_response_pb2.ChaincodeCall(name=name) for name in chaincodes]
        interests = [proposal_response_pb2.ChaincodeInterest(chaincodes=calls)]
        query = protocol_pb2.Query(channel=channel, cc_query=protocol_pb2.ChaincodeQuery(interests=interests))
        result = await self._ask(query, timeout_seconds)
        for descriptor in result.cc_query_res.content:
            groups = {
                name: tuple(_read_peer("", peer) for peer in peers.peers)
                for name, peers in descriptor.endorsers_by_groups.items()
            }
            layouts = tuple(dict(layout.quantities_by_group) for layout in descriptor.layouts)
            return EndorsementPlan(descriptor.chaincode, groups, layouts)
        raise BlockError(f"channel {channel}: the peer described no endorsers of {', '.join(chaincodes)}")

    async def _ask(self, query: protocol_pb2.Query, timeout_seconds: float) -> protocol_pb2.QueryResult:
        authentication = protocol_pb2.AuthInfo(
            client_identity=self._identity.creator,
            client_tls_cert_hash=self._connection.endpoint.tls_certificate_hash,
        )
        payload = protocol_pb2.Request(authentication=authentication, queries=[query]).SerializeToString()
        request = protocol_pb2.SignedRequest(payload=payload, signature=self._identity.sign(payload))
        with self._connection.refusals():
            answer = await self._stub.Discover(request, timeout=timeout_seconds)
        if len(answer.results) != 1:
            raise BlockError(f"one discovery query got {len(answer.results)} answers")
        result = answer.results[0]
        if result.WhichOneof("result") == "error":
            raise RequestRefused("", result.error.content)
        return result


def _members(result: protocol_pb2.PeerMembershipResult) -> tuple[DiscoveredPeer, ...]:
    found: Iterable[DiscoveredPeer] = (
        _read_peer(msp_id, peer) for msp_id, peers in result.peers_by_org.items() for peer in peers.peers
    )
    return tuple(sorted(found, key=lambda peer: (peer.msp_id, peer.address)))


def _read_peer(msp_id: str, peer: protocol_pb2.Peer) -> DiscoveredPeer:
    alive = decode(message_pb2.GossipMessage, peer.membership_info.payload, BlockError, "membership of a peer")
    state = decode(message_pb2.GossipMessage, peer.state_info.payload, BlockError, "state of a peer")
    properties = state.state_info.properties
    return DiscoveredPeer(
        msp_id=msp_id or _msp_id(peer.identity),
        address=alive.alive_msg.membership.endpoint,
        identity=peer.identity,
        ledger_height=properties.ledger_height,
        chaincodes={each.name: each.version for each in properties.chaincodes},
    )


def _msp_id(identity: bytes) -> str:
    return decode(identities_pb2.SerializedIdentity, identity, BlockError, "identity of a peer").mspid

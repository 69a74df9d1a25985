"""One peer: its channels, its chaincodes and its gRPC services with real TLS."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import grpc
from fabric_protos.discovery import protocol_pb2_grpc
from fabric_protos.gateway import gateway_pb2_grpc
from fabric_protos.peer import events_pb2_grpc, peer_pb2_grpc, snapshot_pb2_grpc

from fabric_admin.errors import FabricError
from fabric_admin.identity import SigningIdentity
from fabric_admin.msp import MSP
from fabric_devnet.embedded.acl import AccessControl
from fabric_devnet.embedded.chaincodes import ChaincodeRuntime
from fabric_devnet.embedded.cscc import ConfigurationChaincode
from fabric_devnet.embedded.discovery import DiscoveryService
from fabric_devnet.embedded.endorser import Endorser
from fabric_devnet.embedded.errors import BadBlock, IncompatibleConfig
from fabric_devnet.embedded.gateway.asking import Asking
from fabric_devnet.embedded.gateway.service import GatewayService
from fabric_devnet.embedded.injection import FaultInterceptor
from fabric_devnet.embedded.joining import Joining
from fabric_devnet.embedded.lifecycle.runnable import RunnableChaincodes
from fabric_devnet.embedded.lifecycle.scc import LifecycleChaincode
from fabric_devnet.embedded.lifecycle.state import NAMESPACE
from fabric_devnet.embedded.packages import PackageStore
from fabric_devnet.embedded.peerservices import DeliverService, EndorserService
from fabric_devnet.embedded.qscc import QueryChaincode
from fabric_devnet.embedded.snapshotservice import SnapshotService
from fabric_devnet.errors import NodeFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fabric_protos.peer import proposal_response_pb2

    from fabric_devnet.embedded.ledger import Ledger
    from fabric_devnet.embedded.membership import Membership
    from fabric_devnet.embedded.ordering import OrderingService
    from fabric_devnet.embedded.proposals import UnpackedProposal
    from fabric_devnet.embedded.systemchaincode import SystemChaincode
    from fabric_devnet.embedded.transient import TransientStore
    from fabric_devnet.plan import PeerNode

logger = logging.getLogger(__name__)
MAX_MESSAGE_BYTES: Final = 100 << 20
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # Two networks must never share a port by accident.
    ("grpc.so_reuseport", 0),
)


class Peer:
    """A peer of the embedded network; its channels and packages outlive `stop`."""

    def __init__(
        self, node: PeerNode, membership: Membership, ordering: OrderingService, transient: TransientStore
    ) -> None:
        """Read the node's key material from its directory; raises NodeFailed when it is missing."""
        self.node = node
        self._ordering = ordering
        self._faults = membership.faults
        try:
            self._key = (node.directory / "tls" / "server.key").read_bytes()
            self._certificate = (node.directory / "tls" / "server.crt").read_bytes()
            self._identity = SigningIdentity.from_directory(node.msp_id, node.directory / "msp")
            local_msp = MSP.from_directory(node.directory / "msp", node.msp_id)
        except (OSError, FabricError) as exc:
            raise NodeFailed(f"peer {node.name}: {exc}") from exc
        self._ledgers: dict[str, Ledger] = {}
        self._followers: dict[str, asyncio.Task[None]] = {}
        self._packages = PackageStore(dict(node.builder_config))
        self._runnable = RunnableChaincodes(node.msp_id, self._packages)
        access = AccessControl(local_msp)
        self._joining = Joining(self._ledgers, node, transient, self._joined)
        self._system: dict[str, SystemChaincode] = {
            NAMESPACE: LifecycleChaincode(node.msp_id, access, self._packages, self._ledgers),
            "cscc": ConfigurationChaincode(access, self._ledgers, self._joining),
            "qscc": QueryChaincode(access, self._ledgers),
        }
        self._runtime = ChaincodeRuntime(self._runnable, self._ledgers, access, self._system)
        self._endorser = Endorser(self._identity, local_msp, self._ledgers, access, self._runtime, transient)
        self._gateway = GatewayService(Asking(self, membership), access)
        self._deliver = DeliverService(self._ledgers, access)
        self._snapshots = SnapshotService(self._joining.requests, access)
        self._discovery = DiscoveryService(self, membership, local_msp)
        self._server: grpc.aio.Server | None = None
        self._ending: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """Host name."""
        return self.node.name

    @property
    def msp_id(self) -> str:
        """The MSP ID of its organization."""
        return self.node.msp_id

    @property
    def address(self) -> str:
        """`host:port` of the gRPC listener."""
        return self.node.address

    @property
    def creator(self) -> bytes:
        """Its serialized identity."""
        return self._identity.creator

    @property
    def running(self) -> bool:
        """Whether it serves now."""
        return self._server is not None

    @property
    def ledgers(self) -> Mapping[str, Ledger]:
        """Its channels."""
        return self._ledgers

    async def start(self) -> None:
        """Serve, and follow the channels joined before; raises NodeFailed when the port is taken."""
        server = grpc.aio.server(interceptors=[FaultInterceptor(self._faults, self.name)], options=_OPTIONS)
        peer_pb2_grpc.add_EndorserServicer_to_server(EndorserService(self._endorser), server)
        gateway_pb2_grpc.add_GatewayServicer_to_server(self._gateway, server)
        events_pb2_grpc.add_DeliverServicer_to_server(self._deliver, server)
        protocol_pb2_grpc.add_DiscoveryServicer_to_server(self._discovery, server)
        snapshot_pb2_grpc.add_SnapshotServicer_to_server(self._snapshots, server)
        credentials = grpc.ssl_server_credentials([(self._key, self._certificate)])
        try:
            server.add_secure_port(self.address, credentials)
            await server.start()
        except RuntimeError as exc:
            raise NodeFailed(f"peer {self.name} cannot listen on {self.address}: {exc}") from exc
        self._server = server
        for channel_id in self._ledgers:
            self._follow(channel_id)
        logger.debug("peer %s serves on %s", self.name, self.address)

    async def stop(self) -> None:
        """Stop serving and following; calls in progress are cut off."""
        server, self._server = self._server, None
        if server is None:
            return
        followers, self._followers = self._followers, {}
        for follower in followers.values():
            follower.cancel()
        await asyncio.gather(*followers.values(), return_exceptions=True)
        await self._joining.close()
        await server.stop(grace=None)
        await self._runtime.close()

    def lose_package(self, package_id: str) -> None:
        """Drop an installed package, as when its file is gone."""
        self._packages.lose(package_id)

    async def endorse(self, proposal: UnpackedProposal) -> proposal_response_pb2.ProposalResponse:
        """Endorse a proposal that a gateway has decoded; raises ProposalRefused."""
        return await self._endorser.endorse(proposal)

    def can_run(self, channel_id: str, chaincode: str) -> bool:
        """Tell whether the peer has a chaincode on a channel, built-in ones included."""
        if chaincode in self._system:
            return True
        ledger = self._ledgers.get(channel_id)
        if ledger is None:
            return False
        return self._runnable.has(ledger.snapshot(), channel_id, chaincode)

    def _joined(self, channel_id: str) -> None:
        if self.running:
            self._follow(channel_id)

    def _follow(self, channel_id: str) -> None:
        self._followers[channel_id] = asyncio.create_task(
            self._commit_blocks(self._ledgers[channel_id]), name=f"{self.name} follows {channel_id}"
        )

    async def _commit_blocks(self, ledger: Ledger) -> None:
        try:
            async for block in self._ordering.follow(ledger.channel_id, ledger.height, self._identity):
                ledger.append(block)
        except IncompatibleConfig:
            # As in Fabric: the whole peer ends, and ends again whenever it is started on this ledger.
            logger.exception("peer %s ends", self.name)
            self._ending = asyncio.create_task(self.stop(), name=f"{self.name} ends")
        except BadBlock:
            # As in Fabric: a block that cannot be applied stops the channel on this peer, and only that.
            logger.exception("peer %s stopped following channel %s", self.name, ledger.channel_id)

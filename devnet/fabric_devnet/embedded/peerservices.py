"""The gRPC sides of a peer's Endorser and Deliver services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import grpc
from fabric_protos.common import common_pb2
from fabric_protos.peer import (
    events_pb2,
    events_pb2_grpc,
    peer_pb2_grpc,
    proposal_pb2,
    proposal_response_pb2,
    snapshot_pb2,
    snapshot_pb2_grpc,
)

from fabric_devnet.embedded.deliver import DeliverHandler
from fabric_devnet.embedded.errors import ProposalRefused
from fabric_devnet.embedded.filteredblocks import filter_block

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from google.protobuf import empty_pb2

    from fabric_admin.policy import SignedData
    from fabric_devnet.embedded.acl import AccessControl
    from fabric_devnet.embedded.deliver import Source
    from fabric_devnet.embedded.endorser import Endorser
    from fabric_devnet.embedded.ledger import Ledger

    ProposalContext = grpc.aio.ServicerContext[proposal_pb2.SignedProposal, proposal_response_pb2.ProposalResponse]
    SnapshotContext = grpc.aio.ServicerContext[snapshot_pb2.SignedSnapshotRequest, empty_pb2.Empty]
    SnapshotQueryContext = grpc.aio.ServicerContext[
        snapshot_pb2.SignedSnapshotRequest, snapshot_pb2.QueryPendingSnapshotsResponse
    ]
    DeliverContext = grpc.aio.ServicerContext[common_pb2.Envelope, events_pb2.DeliverResponse]

_NO_SNAPSHOTS: Final = "snapshots are not supported by the embedded network"


class EndorserService(peer_pb2_grpc.EndorserServicer):
    """`protos.Endorser` on one peer."""

    def __init__(self, endorser: Endorser) -> None:
        self._endorser = endorser

    async def ProcessProposal(  # noqa: N802 - the service's name for it
        self, request: proposal_pb2.SignedProposal, context: ProposalContext
    ) -> proposal_response_pb2.ProposalResponse:
        """Simulate and endorse a proposal."""
        try:
            return await self._endorser.process(request)
        except ProposalRefused as exc:
            return await context.abort(grpc.StatusCode.UNKNOWN, exc.text)


class DeliverService(events_pb2_grpc.DeliverServicer):
    """`protos.Deliver` on one peer."""

    def __init__(self, ledgers: Mapping[str, Ledger], access: AccessControl) -> None:
        self._ledgers = ledgers
        self._blocks = DeliverHandler(ledgers.get, _authorize(access, "event/Block"))
        self._filtered = DeliverHandler(ledgers.get, _authorize(access, "event/FilteredBlock"), filtered=True)

    async def Deliver(  # noqa: N802 - the service's name for it
        self,
        request_iterator: AsyncIterator[common_pb2.Envelope],
        context: DeliverContext,  # noqa: ARG002 - fixed signature
    ) -> AsyncIterator[events_pb2.DeliverResponse]:
        """Stream whole blocks."""
        async for item in self._blocks.stream(request_iterator):
            if isinstance(item, common_pb2.Block):
                yield events_pb2.DeliverResponse(block=item)
            else:
                yield events_pb2.DeliverResponse(status=item)

    async def DeliverFiltered(  # noqa: N802 - the service's name for it
        self,
        request_iterator: AsyncIterator[common_pb2.Envelope],
        context: DeliverContext,  # noqa: ARG002 - fixed signature
    ) -> AsyncIterator[events_pb2.DeliverResponse]:
        """Stream blocks without contents."""
        async for item in self._filtered.stream(request_iterator):
            if isinstance(item, common_pb2.Block):
                yield events_pb2.DeliverResponse(filtered_block=filter_block(_channel_of(item), item))
            else:
                yield events_pb2.DeliverResponse(status=item)

    async def DeliverWithPrivateData(  # noqa: N802 - the service's name for it
        self, request_iterator: AsyncIterator[common_pb2.Envelope], context: DeliverContext
    ) -> AsyncIterator[events_pb2.DeliverResponse]:
        """Refuse: private data are not streamed by the embedded network."""
        async for envelope in request_iterator:
            if envelope.payload:
                await context.abort(
                    grpc.StatusCode.UNIMPLEMENTED, "DeliverWithPrivateData is not supported by the embedded network"
                )
            yield events_pb2.DeliverResponse(status=common_pb2.Status.BAD_REQUEST)


class SnapshotService(snapshot_pb2_grpc.SnapshotServicer):
    """`protos.Snapshot` on one peer, which takes none."""

    async def Generate(  # noqa: N802 - the service's name for it
        self,
        request: snapshot_pb2.SignedSnapshotRequest,  # noqa: ARG002 - fixed signature
        context: SnapshotContext,
    ) -> empty_pb2.Empty:
        """Refuse."""
        return await context.abort(grpc.StatusCode.UNIMPLEMENTED, _NO_SNAPSHOTS)

    async def Cancel(  # noqa: N802 - the service's name for it
        self,
        request: snapshot_pb2.SignedSnapshotRequest,  # noqa: ARG002 - fixed signature
        context: SnapshotContext,
    ) -> empty_pb2.Empty:
        """Refuse."""
        return await context.abort(grpc.StatusCode.UNIMPLEMENTED, _NO_SNAPSHOTS)

    async def QueryPendings(  # noqa: N802 - the service's name for it
        self,
        request: snapshot_pb2.SignedSnapshotRequest,  # noqa: ARG002 - fixed signature
        context: SnapshotQueryContext,
    ) -> snapshot_pb2.QueryPendingSnapshotsResponse:
        """Refuse."""
        return await context.abort(grpc.StatusCode.UNIMPLEMENTED, _NO_SNAPSHOTS)


def _authorize(access: AccessControl, resource: str) -> Callable[[Source, SignedData], None]:
    def authorize(source: Source, signed: SignedData) -> None:
        access.check(resource, source.config.channel_id, source.config, signed)

    return authorize


def _channel_of(block: common_pb2.Block) -> str:
    payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(block.data.data[0]).payload)
    return common_pb2.ChannelHeader.FromString(payload.header.channel_header).channel_id

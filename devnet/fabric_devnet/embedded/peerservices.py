"""The gRPC sides of a peer's Endorser and Deliver services."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
from fabric_protos.common import common_pb2
from fabric_protos.peer import (
    events_pb2,
    events_pb2_grpc,
    peer_pb2_grpc,
    proposal_pb2,
    proposal_response_pb2,
)

from fabric_devnet.embedded.deliver import DeliverHandler
from fabric_devnet.embedded.errors import ProposalRefused
from fabric_devnet.embedded.filteredblocks import filter_block
from fabric_devnet.embedded.privatestreams import Remembered, readable_private_data

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from fabric_admin.policy import SignedData
    from fabric_devnet.embedded.acl import AccessControl
    from fabric_devnet.embedded.deliver import Source
    from fabric_devnet.embedded.endorser import Endorser
    from fabric_devnet.embedded.ledger import Ledger

    ProposalContext = grpc.aio.ServicerContext[proposal_pb2.SignedProposal, proposal_response_pb2.ProposalResponse]
    DeliverContext = grpc.aio.ServicerContext[common_pb2.Envelope, events_pb2.DeliverResponse]


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
        self,
        request_iterator: AsyncIterator[common_pb2.Envelope],
        context: DeliverContext,  # noqa: ARG002 - fixed signature
    ) -> AsyncIterator[events_pb2.DeliverResponse]:
        """Stream whole blocks with the private writes that both the reader and this peer may have."""
        requests = Remembered(request_iterator)
        async for item in self._blocks.stream(requests):
            if isinstance(item, common_pb2.Block):
                ledger = self._ledgers[requests.channel_id]
                content = events_pb2.BlockAndPrivateData(
                    block=item, private_data_map=readable_private_data(ledger, item.header.number, requests.creator)
                )
                yield events_pb2.DeliverResponse(block_and_private_data=content)
            else:
                yield events_pb2.DeliverResponse(status=item)


def _authorize(access: AccessControl, resource: str) -> Callable[[Source, SignedData], None]:
    def authorize(source: Source, signed: SignedData) -> None:
        access.check(resource, source.config.channel_id, source.config, signed)

    return authorize


def _channel_of(block: common_pb2.Block) -> str:
    payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(block.data.data[0]).payload)
    return common_pb2.ChannelHeader.FromString(payload.header.channel_header).channel_id

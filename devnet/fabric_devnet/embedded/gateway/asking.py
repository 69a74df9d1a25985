"""Asking a peer to endorse: the gateway's own peer directly, others through the network, with a time limit."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import grpc

from fabric_devnet.embedded.errors import NodeUnreachable, ProposalRefused, ProposalUnreadable
from fabric_devnet.embedded.gateway.refusal import Failure, classify
from fabric_devnet.embedded.gateway.selection import Plans

if TYPE_CHECKING:
    from fabric_protos.peer import proposal_response_pb2

    from fabric_devnet.embedded.membership import EndorsingPeer, Membership
    from fabric_devnet.embedded.proposals import UnpackedProposal

ENDORSEMENT_TIMEOUT_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Asking:
    """One peer's view of whom it can ask."""

    local: EndorsingPeer
    membership: Membership
    plans: Plans = field(default_factory=Plans)

    async def ask(
        self, peer: EndorsingPeer, proposal: UnpackedProposal
    ) -> proposal_response_pb2.ProposalResponse | Failure:
        """Ask a peer and judge its answer."""
        try:
            answer = await self._ask_local(proposal) if peer is self.local else await self._ask_other(peer, proposal)
        except (NodeUnreachable, ProposalUnreadable) as exc:
            return Failure(grpc.StatusCode.UNAVAILABLE, exc.text, retry=True)
        except ProposalRefused as exc:
            return Failure(grpc.StatusCode.FAILED_PRECONDITION, exc.text, retry=False)
        return classify(answer) or answer

    async def _ask_local(self, proposal: UnpackedProposal) -> proposal_response_pb2.ProposalResponse:
        # The limit is for calls to others: the own chaincode has its own.
        return await self.local.endorse(proposal)

    async def _ask_other(
        self, peer: EndorsingPeer, proposal: UnpackedProposal
    ) -> proposal_response_pb2.ProposalResponse:
        try:
            async with asyncio.timeout(ENDORSEMENT_TIMEOUT_SECONDS):
                return await self.membership.propose(peer, proposal)
        except TimeoutError as exc:
            raise NodeUnreachable("rpc error: code = DeadlineExceeded desc = context deadline exceeded") from exc

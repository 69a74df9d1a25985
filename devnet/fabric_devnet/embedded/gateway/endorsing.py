"""Endorse: collect the endorsements a transaction needs and assemble it, unsigned.

Source: fabric internal/pkg/gateway/endorse.go.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import grpc
from fabric_protos.common import common_pb2
from fabric_protos.peer import proposal_response_pb2, transaction_pb2

from fabric_devnet.embedded.gateway.refusal import Failure, GatewayRefused, detail
from fabric_devnet.embedded.gateway.selection import (
    NO_COMBINATION,
    by_preference,
    candidates,
    policies_for,
    spread,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fabric_protos.gateway import gateway_pb2

    from fabric_devnet.embedded.gateway.asking import Asking
    from fabric_devnet.embedded.gateway.selection import EndorsementPolicies
    from fabric_devnet.embedded.ledger import Ledger
    from fabric_devnet.embedded.membership import EndorsingPeer
    from fabric_devnet.embedded.proposals import UnpackedProposal

_CODES: Final = grpc.StatusCode
_UNDISCOVERABLE: Final = frozenset({"cscc", "qscc"})
_NOT_ENOUGH: Final = "failed to collect enough transaction endorsements, see attached details for more info"


@dataclass(slots=True)
class Collection:
    """Endorsements gathered so far, by peer name; all have the same payload. Peers of no use are left aside."""

    asking: Asking
    proposal: UnpackedProposal
    endorsed: dict[str, proposal_response_pb2.ProposalResponse] = field(default_factory=dict)
    useless: set[str] = field(default_factory=set)
    details: list[gateway_pb2.ErrorDetail] = field(default_factory=list)

    async def ask(self, peers: Iterable[EndorsingPeer]) -> None:
        """Ask those who have not endorsed yet, all at once."""
        missing = [peer for peer in peers if peer.name not in self.endorsed]
        answers = await asyncio.gather(*(self.asking.ask(peer, self.proposal) for peer in missing))
        for peer, answer in zip(missing, answers, strict=True):
            self._take(peer, answer)

    def envelope(self, peers: Iterable[EndorsingPeer]) -> common_pb2.Envelope:
        """Assemble the transaction from the endorsements of these peers."""
        responses = [self.endorsed[peer.name] for peer in peers]
        action = transaction_pb2.ChaincodeActionPayload(
            chaincode_proposal_payload=self.proposal.payload_without_transient,
            action=transaction_pb2.ChaincodeEndorsedAction(
                proposal_response_payload=responses[0].payload,
                endorsements=[response.endorsement for response in responses],
            ),
        )
        header = common_pb2.Header.FromString(self.proposal.header)
        transaction = transaction_pb2.Transaction(
            actions=[
                transaction_pb2.TransactionAction(header=header.signature_header, payload=action.SerializeToString())
            ]
        )
        payload = common_pb2.Payload(header=header, data=transaction.SerializeToString())
        return common_pb2.Envelope(payload=payload.SerializeToString())

    def _take(self, peer: EndorsingPeer, answer: proposal_response_pb2.ProposalResponse | Failure) -> None:
        if isinstance(answer, Failure):
            self._leave_aside(peer, answer.message)
            return
        first = next(iter(self.endorsed.values()), answer)
        if answer.payload != first.payload:
            self._leave_aside(peer, "ProposalResponsePayloads do not match")
            return
        self.endorsed[peer.name] = answer

    def _leave_aside(self, peer: EndorsingPeer, message: str) -> None:
        self.useless.add(peer.name)
        self.details.append(detail(peer, message))


async def endorse_by_organizations(
    asking: Asking, proposal: UnpackedProposal, organizations: tuple[str, ...]
) -> common_pb2.Envelope:
    """Collect one endorsement of each organization, whatever the policies want; raises GatewayRefused."""
    by_organization = {
        msp_id: [peer for peer in _able_peers(asking, proposal) if peer.msp_id == msp_id]
        for msp_id in dict.fromkeys(organizations)
    }
    without = [msp_id for msp_id, peers in by_organization.items() if not peers]
    if without:
        raise GatewayRefused(_CODES.UNAVAILABLE, f"failed to find any endorsing peers for org(s): {', '.join(without)}")
    collection = Collection(asking, proposal)
    while True:
        chosen = [_usable(peers, collection.useless) for peers in by_organization.values()]
        asked = [peer for peer in chosen if peer is not None]
        if len(asked) < len(chosen):
            raise GatewayRefused(_CODES.ABORTED, _NOT_ENOUGH, tuple(collection.details))
        if all(peer.name in collection.endorsed for peer in asked):
            return collection.envelope(asked)
        await collection.ask(asked)


async def endorse_by_policy(asking: Asking, proposal: UnpackedProposal) -> common_pb2.Envelope:
    """Collect what the policies of everything the transaction touches want; raises GatewayRefused."""
    collection = Collection(asking, proposal)
    first = await _endorse_first(collection)
    interest = collection.endorsed[first.name].interest if first is not None else None
    if interest is None or not interest.chaincodes:
        interest = _default_interest(proposal)
    if proposal.transient:
        for call in interest.chaincodes:
            call.no_private_reads = False
    ledger = _discoverable(asking, proposal, interest)
    policies = policies_for(interest, ledger)
    members = [peer for peer in asking.membership.peers(proposal.channel_id, asking.local) if policies.allows(peer)]
    able = candidates(members, proposal.channel_id, sorted({call.name for call in interest.chaincodes}))
    ordered = spread(able, first)
    while True:
        usable = [peer for peer in ordered if peer.name not in collection.useless]
        chosen = asking.plans.fewest(ledger.config, policies, usable)
        if chosen is None and len(usable) == len(ordered):
            raise _no_combination(policies, members)
        if chosen is None:
            raise GatewayRefused(_CODES.ABORTED, _NOT_ENOUGH, tuple(collection.details))
        if all(peer.name in collection.endorsed for peer in chosen):
            return collection.envelope(chosen)
        await collection.ask(chosen)


async def _endorse_first(collection: Collection) -> EndorsingPeer | None:
    """Let one peer of the gateway's organization endorse; None when it has no peer for the chaincode."""
    asking, proposal = collection.asking, collection.proposal
    own = [peer for peer in _able_peers(asking, proposal) if peer.msp_id == asking.local.msp_id]
    if not own and proposal.transient:
        raise GatewayRefused(
            _CODES.FAILED_PRECONDITION,
            "no endorsers found in the gateway's organization; "
            "retry specifying endorsing organization(s) to protect transient data",
        )
    for peer in own:
        await collection.ask([peer])
        if peer.name in collection.endorsed:
            return peer
    if own:
        raise GatewayRefused(
            _CODES.ABORTED,
            "failed to endorse transaction, see attached details for more info",
            tuple(collection.details),
        )
    return None


def _discoverable(
    asking: Asking, proposal: UnpackedProposal, interest: proposal_response_pb2.ChaincodeInterest
) -> Ledger:
    """Return the channel's ledger; raises GatewayRefused in discovery's words."""
    channel_id = proposal.channel_id
    names = [call.name for call in interest.chaincodes]
    ledger = asking.local.ledgers.get(channel_id)
    unknown = names if ledger is None else [name for name in names if name in _UNDISCOVERABLE]
    if ledger is None or unknown:
        raise GatewayRefused(
            _CODES.FAILED_PRECONDITION,
            f"{NO_COMBINATION}No metadata was found for chaincode {unknown[0]} in channel {channel_id}",
        )
    return ledger


def _no_combination(policies: EndorsementPolicies, members: list[EndorsingPeer]) -> GatewayRefused:
    reason = "no peer combination can satisfy the endorsement policy"
    if policies.satisfied_by(members):
        reason = "required chaincodes are not installed on sufficient peers"
    return GatewayRefused(_CODES.FAILED_PRECONDITION, f"{NO_COMBINATION}{reason}")


def _able_peers(asking: Asking, proposal: UnpackedProposal) -> tuple[EndorsingPeer, ...]:
    channel_id = proposal.channel_id
    if channel_id not in asking.local.ledgers:
        return ()
    found = candidates(asking.membership.peers(channel_id, asking.local), channel_id, [proposal.chaincode])
    return by_preference(found, asking.local, channel_id)


def _usable(peers: list[EndorsingPeer], useless: set[str]) -> EndorsingPeer | None:
    return next((peer for peer in peers if peer.name not in useless), None)


def _default_interest(proposal: UnpackedProposal) -> proposal_response_pb2.ChaincodeInterest:
    call = proposal_response_pb2.ChaincodeCall(name=proposal.chaincode)
    return proposal_response_pb2.ChaincodeInterest(chaincodes=[call])

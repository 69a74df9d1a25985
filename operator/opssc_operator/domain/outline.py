"""A proposal in outline: what counts, rivals and news need of it, when its whole content need not be kept. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pydantic import BaseModel

from opssc_chaincode.model import (
    CcaasPackage,
    ChaincodeContent,
    ChannelContent,
    Charter,
    Content,
    Facts,
    Kind,
    Outcome,
    Proposal,
    Step,
)
from opssc_chaincode.tally import Tally, derive
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.channels.admission import membership_change
from opssc_operator.domain.membership import MembershipChange
from opssc_operator.domain.report import own_report

MODEL_BYTES: Final = 512
TEXT_BYTES: Final = 64
"""What a model and a text take in memory beside their content, roughly."""

Slot = tuple[str, str, int]
"""What only one proposal can bring: channel, chaincode name and sequence; of a charter, what it replaces."""


@dataclass(frozen=True, slots=True)
class Outline:
    """One proposal on the ledger; ``said`` changes with every vote, report and closing.

    ``membership`` is what it makes of the own membership in a channel, and ``server_address`` where its package says
    that the chaincode server is; ``installed`` when this organization reported to have installed that package.
    """

    ref: ProposalRef
    kind: Kind
    slot: Slot | None
    accepted: bool
    ended: bool
    awaits_own_vote: bool
    deadline: datetime
    skew: timedelta
    undecided: bool
    said: int
    package_id: str | None = None
    membership: MembershipChange | None = None
    server_address: str | None = None
    installed: bool = False

    def open_at(self, now: datetime) -> bool:
        """Whether votes still matter at ``now``."""
        return self.undecided and now - self.deadline <= self.skew


def outline_of(facts: Facts, own_msp_id: str) -> Outline:
    """The outline of a proposal, as organization ``own_msp_id`` counts it."""
    proposal = facts.proposal
    # At its creation, so that what is said of it does not depend on when it is read.
    tally = derive(facts, proposal.created_time)
    said = [*(vote.tx_id for vote in facts.votes), *(report.tx_id for report in facts.reports)]
    return Outline(
        ref=ProposalRef(proposal.creator.msp_id, proposal.id),
        kind=proposal.kind,
        slot=slot_of(proposal.content),
        package_id=proposal.content.package_id if isinstance(proposal.content, ChaincodeContent) else None,
        membership=membership_change(proposal, own_msp_id),
        server_address=_server_address(proposal.content),
        installed=_is_installed(facts, own_msp_id),
        accepted=tally.accepted,
        ended=ended(tally),
        awaits_own_vote=own_msp_id in proposal.snapshot.members
        and all(vote.msp_id != own_msp_id for vote in facts.votes),
        deadline=proposal.deadline,
        skew=proposal.snapshot.charter.max_clock_skew,
        undecided=tally.open,
        said=hash((tuple(said), None if facts.closing is None else facts.closing.tx_id)),
    )


def _server_address(content: Content) -> str | None:
    source = content.package.source if isinstance(content, ChaincodeContent) else None
    return source.address if isinstance(source, CcaasPackage) else None


def _is_installed(facts: Facts, own_msp_id: str) -> bool:
    """Whether this organization said so, of this package and not of one of its own."""
    content, said = facts.proposal.content, own_report(facts, own_msp_id, Step.INSTALLED)
    if said is None or said.outcome is not Outcome.DONE or not isinstance(content, ChaincodeContent):
        return False
    return said.evidence is None or said.evidence.package_id in {None, content.package_id}


def slot_of(content: Content) -> Slot | None:
    """What a proposal would bring; None for kinds of which any number can be carried out."""
    match content:
        case ChaincodeContent():
            return content.channel, content.name, content.sequence
        case Charter():
            return "", content.previous or "", content.version
        case _:
            return None


def rivals_of(content: Content, outlines: Iterable[Outline]) -> tuple[ProposalRef, ...]:
    """Proposals whose standing changes when one with this content is accepted; it may be among them."""
    slot = slot_of(content)
    replaced = content.previous if isinstance(content, Charter) else None
    if slot is None:
        return ()
    return tuple(outline.ref for outline in outlines if outline.slot == slot or str(outline.ref) == replaced)


def target_of(proposal: Proposal) -> str:
    """The channel a proposal is about; that of a new channel is not the one it is pinned on."""
    return proposal.content.channel if isinstance(proposal.content, ChannelContent) else proposal.snapshot.channel


def ended(tally: Tally) -> bool:
    """Whether a proposal is over: completed, rejected or closed."""
    return tally.completed or (tally.final and not tally.accepted)


def weigh(value: object) -> int:
    """Roughly how many bytes of memory a document takes."""
    match value:
        case str():
            return TEXT_BYTES + len(value)
        case BaseModel():
            return MODEL_BYTES + sum(weigh(part) for part in vars(value).values())
        case Mapping():
            return sum(weigh(name) + weigh(part) for name, part in value.items())
        case tuple():
            return sum(weigh(part) for part in value)
        case _:
            return TEXT_BYTES

"""What follows from the facts of a proposal. Pure, and shared by the contract, the operator and the command line."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from opssc_chaincode.model.channel import ChannelContent
from opssc_chaincode.model.charter import Charter
from opssc_chaincode.model.fact import STEPS, Decision, Evidence, Facts, Outcome, Report, Step, Vote
from opssc_chaincode.model.fields import Kind, MspID
from opssc_chaincode.model.proposal import Proposal
from opssc_chaincode.ranking import LedgerPosition

_DEFINING = frozenset({Step.APPROVED, Step.COMMITTED})
"""Steps whose evidence names a definition."""


class Phase(StrEnum):
    """Where the vote on a proposal stands."""

    VOTING = "Voting"
    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    WITHDRAWN = "Withdrawn"
    EXPIRED = "Expired"


class StepState(StrEnum):
    """Where an organization stands with a step, by its own word."""

    PENDING = "Pending"
    DONE = "Done"
    FAILED = "Failed"
    SKIPPED = "Skipped"


@dataclass(frozen=True, slots=True)
class Deciding:
    """The vote that decided, in ledger order, and where it stands."""

    vote: Vote
    position: LedgerPosition


@dataclass(frozen=True, slots=True)
class Tally:
    """The derived state of one proposal; organizations are sorted MSP IDs.

    `needed` counts the further agreements that would be enough, 0 when accepted and when it can no longer be.
    `final` says that no fact and no time will change the phase. `deciding` is known for an accepted or rejected
    proposal when the order of its votes on the ledger is. `execution` has every member, steps in their order, and is
    all Pending unless accepted. `conflicting` lists members whose evidence differs from the proposal.
    """

    phase: Phase
    final: bool
    agreed: tuple[MspID, ...]
    disagreed: tuple[MspID, ...]
    pending: tuple[MspID, ...]
    needed: int
    deciding: Deciding | None
    execution: Mapping[MspID, Mapping[Step, StepState]]
    completed: bool
    conflicting: tuple[MspID, ...]

    @property
    def accepted(self) -> bool:
        """Whether it is to be carried out."""
        return self.phase is Phase.ACCEPTED

    @property
    def open(self) -> bool:
        """Whether votes still matter."""
        return self.phase is Phase.VOTING


def derive(facts: Facts, now: datetime, order: Mapping[str, LedgerPosition] | None = None) -> Tally:
    """Derive the state of a proposal at `now` (UTC).

    `order` gives the ledger position of the votes' transactions by transaction id, where the caller knows them; only
    `deciding` depends on it. The order of the facts never matters.
    """
    proposal = facts.proposal
    votes = _votes(facts)
    agreed = frozenset(msp_id for msp_id, vote in votes.items() if vote.decision is Decision.AGREE)
    members = proposal.snapshot.members
    pending = frozenset(members) - votes.keys()
    phase, final = _phase(facts, agreed, pending, now)
    reports = _reports(facts) if phase is Phase.ACCEPTED else {}
    return Tally(
        phase=phase,
        final=final,
        agreed=tuple(sorted(agreed)),
        disagreed=tuple(sorted(votes.keys() - agreed)),
        pending=tuple(sorted(pending)),
        needed=_needed(proposal, agreed, pending),
        deciding=_deciding(proposal, votes, phase, order or {}),
        execution=_execution(proposal, reports),
        completed=_completed(proposal, reports, phase),
        conflicting=tuple(
            sorted({msp_id for (msp_id, _), report in reports.items() if _differs(proposal, reports, report)})
        ),
    )


def accepted(proposal: Proposal, agreed: frozenset[MspID]) -> bool:
    """Whether these agreements satisfy the rule and the charter's minimum."""
    return len(agreed) >= _minimum(proposal) and proposal.snapshot.rule.satisfied(agreed)


def _minimum(proposal: Proposal) -> int:
    return proposal.snapshot.charter.minimum.count(proposal.kind, len(proposal.snapshot.members))


def _votes(facts: Facts) -> dict[MspID, Vote]:
    """Give the votes that count: of members, on this content. The contract stores no others; do not rely on it."""
    members = facts.proposal.snapshot.members
    bound_to = facts.proposal.hash
    return {vote.msp_id: vote for vote in facts.votes if vote.msp_id in members and vote.content_hash == bound_to}


def _phase(facts: Facts, agreed: frozenset[MspID], pending: frozenset[MspID], now: datetime) -> tuple[Phase, bool]:
    proposal = facts.proposal
    if accepted(proposal, agreed):
        return Phase.ACCEPTED, True
    if not accepted(proposal, agreed | pending):
        return Phase.REJECTED, True
    if facts.closing is not None:
        return Phase(facts.closing.cause), True
    # By subtraction: a deadline may be the last second of year 9999.
    if now - proposal.deadline > proposal.snapshot.charter.max_clock_skew:
        return Phase.EXPIRED, False
    return Phase.VOTING, False


def _needed(proposal: Proposal, agreed: frozenset[MspID], pending: frozenset[MspID]) -> int:
    if accepted(proposal, agreed) or not accepted(proposal, agreed | pending):
        return 0
    by_rule = proposal.snapshot.rule.missing(agreed, pending) or frozenset()
    return max(len(by_rule), _minimum(proposal) - len(agreed))


def _deciding(
    proposal: Proposal, votes: Mapping[MspID, Vote], phase: Phase, order: Mapping[str, LedgerPosition]
) -> Deciding | None:
    """Replay the votes in ledger order up to the one that decides; None while a position is unknown."""
    if phase not in {Phase.ACCEPTED, Phase.REJECTED} or any(vote.tx_id not in order for vote in votes.values()):
        return None
    agreed: set[MspID] = set()
    pending = set(proposal.snapshot.members)
    for vote in sorted(votes.values(), key=lambda vote: (order[vote.tx_id], vote.msp_id)):
        pending.discard(vote.msp_id)
        if vote.decision is Decision.AGREE:
            agreed.add(vote.msp_id)
        if accepted(proposal, frozenset(agreed)) or not accepted(proposal, frozenset(agreed | pending)):
            return Deciding(vote, order[vote.tx_id])
    return None


def _reports(facts: Facts) -> dict[tuple[MspID, Step], Report]:
    members = facts.proposal.snapshot.members
    return {(report.msp_id, report.step): report for report in facts.reports if report.msp_id in members}


def _execution(
    proposal: Proposal, reports: Mapping[tuple[MspID, Step], Report]
) -> Mapping[MspID, Mapping[Step, StepState]]:
    return {
        msp_id: {
            step: StepState(report.outcome) if (report := reports.get((msp_id, step))) else StepState.PENDING
            for step in STEPS[proposal.kind]
        }
        for msp_id in proposal.snapshot.members
    }


def _completed(proposal: Proposal, reports: Mapping[tuple[MspID, Step], Report], phase: Phase) -> bool:
    if phase is not Phase.ACCEPTED:
        return False
    if proposal.kind is Kind.CHARTER:
        return True
    last = Step.COMMITTED if proposal.kind is Kind.CHAINCODE else Step.APPLIED
    done = {
        msp_id
        for (msp_id, step), report in reports.items()
        if step is last and report.outcome is Outcome.DONE and not _differs(proposal, reports, report)
    }
    return proposal.snapshot.rule.satisfied(done)


def _differs(proposal: Proposal, reports: Mapping[tuple[MspID, Step], Report], report: Report) -> bool:
    """Whether a step reported as done proves something else than the proposal, or than most others prove.

    Packages may differ between organizations. Which block applies an update is known from the reports alone.
    """
    content = proposal.content
    if report.outcome is not Outcome.DONE or isinstance(content, Charter):
        return False
    if isinstance(content, ChannelContent):
        return report.step is Step.APPLIED and _applied_in(report) != _applied_by_most(reports)
    if report.step not in _DEFINING:
        return False
    evidence = report.evidence or Evidence()
    return (evidence.sequence, evidence.definition_hash) != (content.sequence, content.definition_hash)


def _applied_in(report: Report) -> tuple[int, str]:
    """Number and hash of the config block a report names."""
    evidence = report.evidence or Evidence()
    return evidence.config_block or 0, evidence.config_hash or ""


def _applied_by_most(reports: Mapping[tuple[MspID, Step], Report]) -> tuple[int, str]:
    """The config block most organizations report; of several, the first one."""
    named = Counter(
        _applied_in(report)
        for (_, step), report in reports.items()
        if step is Step.APPLIED and report.outcome is Outcome.DONE
    )
    return min(named, key=lambda block: (-named[block], block))

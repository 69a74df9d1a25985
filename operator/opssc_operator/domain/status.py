"""The status of a proposal of any kind and of a Vote, from what was observed and decided. Pure.

No moment of writing is in it, and lists are sorted, so that nothing changes unless something happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import JsonValue

from opssc_chaincode.model import Facts
from opssc_chaincode.tally import Tally
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.fields import status_text
from opssc_operator.api.proposal import LastError, Origin, ProposalStatus, VoteRecord
from opssc_operator.api.proposal import Tally as TallyStatus
from opssc_operator.api.vote import Decision, VoteStatus
from opssc_operator.domain.kinds.port import ProposalKind
from opssc_operator.domain.observation import ProposalObserved
from opssc_operator.domain.stage import ProposalDecision
from opssc_operator.domain.verdict import Verdict
from opssc_operator.domain.votesource import source_of

PENDING_VOTES: Final = frozenset({Reason.AWAITING_PROPOSAL, Reason.PROGRESSING, Reason.SUSPENDED, Reason.PENDING})


def proposal_status(
    kind: ProposalKind,
    observed: ProposalObserved,
    decision: ProposalDecision,
    standing: Mapping[str, JsonValue],
    *,
    generation: int,
    origin: Origin,
    last_error: LastError | None,
) -> ProposalStatus:
    """Everything but the conditions, which get their times when they are written; ``standing`` is what was said."""
    fields: dict[str, Any] = {
        "observed_generation": generation,
        "proposal": str(observed.ref),
        "origin": origin,
        "phase": decision.phase,
        "last_error": last_error,
    }
    facts, tally = observed.facts, observed.tally
    if facts is not None and tally is not None:
        fields |= {
            "content_hash": facts.proposal.content_hash,
            "deadline": facts.proposal.deadline,
            "votes": _votes(facts, observed),
            "tally": _tally(tally),
        }
    fields |= kind.status_fields(observed, standing)
    return kind.status_type(**fields)


def _votes(facts: Facts, observed: ProposalObserved) -> tuple[VoteRecord, ...]:
    return tuple(
        VoteRecord(
            msp_id=vote.msp_id,
            decision=Decision(vote.decision),
            time=vote.time,
            reason=status_text(vote.reason) if vote.reason else None,
            source=source_of(
                vote,
                creator=observed.ref.creator,
                own_msp_id=observed.own_msp_id,
                wishes=observed.wishes,
                organization=observed.rules.organization,
            ),
        )
        for vote in sorted(facts.votes, key=lambda vote: vote.msp_id)
    )


def _tally(tally: Tally) -> TallyStatus:
    agreed = len(tally.agreed)
    return TallyStatus(
        agreed=agreed,
        disagreed=len(tally.disagreed),
        pending=len(tally.pending),
        needed=tally.needed,
        summary=f"{agreed}/{agreed + tally.needed}",
    )


def vote_status(
    outcome: Verdict, facts: Facts | None, own_msp_id: str, *, generation: int, problem: Verdict | None = None
) -> tuple[VoteStatus, Mapping[ConditionType, Verdict]]:
    """Status and conditions of one Vote object; ``problem`` is what is wrong with its local choices."""
    given = next((vote for vote in facts.votes if vote.msp_id == own_msp_id), None) if facts is not None else None
    counted = outcome.holds and given is not None
    status = VoteStatus(
        observed_generation=generation,
        submitted=counted,
        counted=counted,
        tx_id=given.tx_id if counted and given is not None else None,
        content_hash=given.content_hash if counted and given is not None else None,
    )
    conditions = {ConditionType.COUNTED: outcome, ConditionType.READY: problem or outcome}
    if problem is not None:
        return status, {**conditions, ConditionType.STALLED: Verdict("True", problem.reason, problem.message)}
    if outcome.holds:
        return status, conditions
    pending = outcome.reason in PENDING_VOTES or outcome.status == "Unknown"
    kind = ConditionType.RECONCILING if pending else ConditionType.STALLED
    return status, {**conditions, kind: Verdict("True", outcome.reason, outcome.message)}

"""Carrying out an accepted change of a channel: sign it, submit it once, and find it in the chain. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

from fabric_admin.channelconfig import Verdict as PolicyVerdict
from opssc_chaincode.model import Decision, Evidence, Outcome, Step
from opssc_chaincode.ranking import rank_by
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.fields import status_text
from opssc_operator.api.proposal import Phase
from opssc_operator.domain.actions import Propose
from opssc_operator.domain.channels.history import AppliedIn
from opssc_operator.domain.channels.signatures import Signed
from opssc_operator.domain.deployment import TAKEOVER_SECONDS
from opssc_operator.domain.kinds.consenter_work import (
    ConsenterNode,
    farewell,
    joined_report,
    joins,
    lacks_after,
    lacks_before,
    left_alone,
    look_again_seconds,
)
from opssc_operator.domain.observation import ProposalObserved, rank_seed
from opssc_operator.domain.pauses import soonest
from opssc_operator.domain.planning import Plan
from opssc_operator.domain.report import ReportWish, own_report, untold
from opssc_operator.domain.stage import STALE_AGAIN_SECONDS, Conditions, Stage
from opssc_operator.domain.verdict import Verdict, no, unknown, yes
from opssc_operator.domain.voting import own_vote
from opssc_operator.domain.work_action import WorkAction

SUBMIT_AGAIN_SECONDS: Final = 10.0
LONGEST_PAUSE_SECONDS: Final = 300.0
LINES: Final = 128
POLICIES: Final = 64
"""What status shows of a change, and so all that is kept of one: strangers' may have thousands."""


@dataclass(frozen=True, slots=True)
class SignUpdate(WorkAction):
    """Sign the update as the organization's admin and report the signature."""


@dataclass(frozen=True, slots=True)
class SubmitUpdate(WorkAction):
    """Hand the update with every valid signature to the orderers."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """The policy that decides about an element, as status shows it; ``missing`` are organizations that it lacks."""

    path: str
    mod_policy: str
    rule: str
    satisfied: bool
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChannelChange:
    """What is known of an update beyond its facts, before or after it is accepted; ``lines`` are for people.

    ``omitted`` counts the lines that are not kept; ``lacking`` are the organizations that any policy lacks, also those
    that are not kept.
    """

    channel: str
    lines: tuple[str, ...]
    policies: tuple[Ruling, ...]
    signed: tuple[Signed, ...] = ()
    omitted: int = 0
    lacking: tuple[str, ...] = ()

    @classmethod
    def brief(
        cls,
        channel: str,
        lines: Sequence[str],
        verdicts: Iterable[PolicyVerdict] = (),
        signed: tuple[Signed, ...] = (),
    ) -> Self:
        """Keep of a change what people are shown of it."""
        given = tuple(verdicts)
        # The same few policies decide about most elements, and lack the same organizations.
        same: dict[tuple[str, ...], tuple[str, ...]] = {}
        rulings = map(_ruling, given[:POLICIES])
        kept = tuple(replace(each, missing=same.setdefault(each.missing, each.missing)) for each in rulings)
        return cls(
            channel,
            tuple(status_text(line) for line in lines[:LINES]),
            kept,
            signed,
            max(len(lines) - LINES, 0),
            tuple(sorted({name for each in given for name in each.missing_organizations})),
        )


@dataclass(frozen=True, slots=True)
class Attempts:
    """Submissions by this process: seconds since the last, how many an orderer refused in a row, and its last words."""

    seconds_ago: float | None = None
    refusals: int = 0
    refused: str = ""

    @property
    def wait_seconds(self) -> float:
        """How long to wait for what the last one brings; longer after every refusal."""
        if self.seconds_ago is None:
            return 0.0
        pause = min(SUBMIT_AGAIN_SECONDS * float(1 << min(self.refusals, 8)), LONGEST_PAUSE_SECONDS)
        return max(pause - self.seconds_ago, 0.0)


NO_ATTEMPTS: Final = Attempts()


@dataclass(frozen=True, slots=True)
class UpdateWork:
    """An accepted update and what the own peer shows.

    ``misfit`` says why the configuration in force no longer takes it, ``refusal`` why an orderer would not take it with
    the signatures there are, ``ready_seconds`` for how long it would. ``attempts`` tells of this process's own
    submissions, ``own_problem`` why the own administrator's signature would not count. ``successor`` is the plan that
    replaces a misfit, ``succeeded_by`` the proposal that did. ``nodes`` are own orderers whose part in the channel it
    changes. ``audience`` are the organizations whose peers alone get the block that applies it, if not all: in
    maintenance mode orderers hear and serve only those that run orderers, so that the others can not tell what became
    of it, and are refused when they submit it again. ``unheard`` says that no own peer is in the channel, so that no
    block of it wakes this organization, which has own orderers show it what becomes of it.
    """

    change: ChannelChange
    applied: AppliedIn | None
    misfit: str = ""
    refusal: str = ""
    own_problem: str = ""
    ready_seconds: float = 0.0
    attempts: Attempts = NO_ATTEMPTS
    successor: Plan | None = None
    succeeded_by: str = ""
    nodes: tuple[ConsenterNode, ...] = ()
    audience: tuple[str, ...] | None = None
    unheard: bool = False

    def decide(self, observed: ProposalObserved, conditions: Conditions) -> Stage:
        """Sign, submit when it is this organization's turn, or say what is waited for."""
        if self.applied is not None:
            return self._done(observed, conditions, self.applied)
        if self.misfit:
            return self._stale(observed, conditions)
        signers = tuple(each.msp_id for each in self.change.signed if each.valid)
        agreed = observed.facts is not None and own_vote(observed.facts, observed.own_msp_id) is Decision.AGREE
        unsigned = agreed and observed.own_msp_id not in signers
        waiting = self._judge_applied(observed, signers, lacks_before(self.nodes) if unsigned else ())
        actions: tuple[WorkAction, ...] = ()
        requeue = None
        if not observed.is_suspended:
            actions, requeue = self._act(observed, signers)
        ready = no(waiting.reason, _joined(waiting.message, left_alone(self.nodes)))
        if observed.is_suspended:
            ready = no(Reason.SUSPENDED, "accepted; nothing is carried out while suspended")
        return Stage(
            {**conditions, ConditionType.APPLIED: waiting},
            Phase.FAILED if self._refused(observed) else Phase.ACCEPTED,
            actions,
            ready=ready,
            follows=self.change.channel,
            reports=self._failure(observed),
            requeue_seconds=self._look_again(observed, requeue),
        )

    def _judge_applied(self, observed: ProposalObserved, signers: tuple[str, ...], lacks: tuple[str, ...]) -> Verdict:
        if self._is_blind(observed) and not self.refusal:
            channel, served = self.change.channel, ", ".join(self.audience or ())
            message = f"in maintenance mode orderers of channel {channel} serve blocks to {served} alone, so that"
            return unknown(Reason.IN_MAINTENANCE, f"{message} {observed.own_msp_id} sees what is applied when it ends")
        if self._refused(observed):
            return no(Reason.SUBMISSION_REFUSED, f"the orderer refused it: {self.attempts.refused}")
        if not self.refusal:
            return no(
                Reason.AWAITING_SUBMISSION, f"signed by {', '.join(sorted(signers))}; waiting for its config block"
            )
        if lacks:
            return no(Reason.AWAITING_ORDERER, f"not signed here yet: {'; '.join(lacks)}")
        if self.own_problem:
            return no(Reason.IDENTITY_INVALID, f"this organization cannot sign: {self.own_problem}")
        return self._judge_signatures(observed, signers)

    def _judge_signatures(self, observed: ProposalObserved, signers: tuple[str, ...]) -> Verdict:
        """Who is waited for: of those whom a policy lacks, those that agreed; nobody else will sign."""
        lacking = set(self.change.lacking)
        agreed = observed.tally.agreed if observed.tally is not None else ()
        awaited = sorted(lacking.intersection(agreed).difference(signers))
        if awaited:
            return no(Reason.AWAITING_SIGNATURES, f"waiting for the signature of {', '.join(awaited)}")
        if lacking:
            message = f"all that agreed have signed, and the policies still lack {', '.join(sorted(lacking))}"
            return no(Reason.AWAITING_SIGNATURES, f"{message}; propose it anew, so that they can agree")
        return no(Reason.SUBMISSION_REFUSED, f"an orderer would refuse it: {self.refusal}")

    def _failure(self, observed: ProposalObserved) -> tuple[ReportWish, ...]:
        """What the others are told of an orderer's refusal, which this organization alone heard."""
        facts = observed.facts
        if facts is None or not self._refused(observed) or observed.is_suspended:
            return ()
        message = f"{Reason.SUBMISSION_REFUSED}: {self.attempts.refused}"
        return untold((ReportWish(Step.APPLIED, Outcome.FAILED, None, message),), facts, observed.own_msp_id)

    def _act(self, observed: ProposalObserved, signers: tuple[str, ...]) -> tuple[tuple[WorkAction, ...], float | None]:
        """What this organization does now, and when to look again without an event."""
        own = observed.own_msp_id
        facts = observed.facts
        if facts is None:
            return (), None
        agreed = own_vote(facts, own) is Decision.AGREE
        if agreed and own not in signers:
            if lacks_before(self.nodes):
                accepted = max((vote.time for vote in facts.votes), default=None)
                return joins(self.nodes), look_again_seconds(accepted, observed.now)
            return ((), None) if self.own_problem else ((SignUpdate(),), None)
        submitters = self._submitters(observed, signers)
        if self.refusal or own not in submitters:
            return (), None
        turn = rank_by(rank_seed(observed.ref), submitters).index(own) * TAKEOVER_SECONDS - self.ready_seconds
        wait = max(turn, self.attempts.wait_seconds)
        return ((SubmitUpdate(),), None) if wait <= 0 else ((), wait)

    def _look_again(self, observed: ProposalObserved, seconds: float | None) -> float | None:
        """When to look again without an event: what others say on the ledger wakes it, but they may be away."""
        if not self.unheard or observed.facts is None:
            return seconds
        said = [vote.time for vote in observed.facts.votes] + [report.time for report in observed.facts.reports]
        return soonest(seconds, look_again_seconds(max(said, default=None), observed.now))

    def _is_blind(self, observed: ProposalObserved) -> bool:
        """Whether the own peers do not get the block that applies it."""
        return self.audience is not None and observed.own_msp_id not in self.audience

    def _refused(self, observed: ProposalObserved) -> bool:
        """Whether an orderer refused it; what it refuses to who is no longer heard says nothing of the update."""
        return bool(self.attempts.refused) and not self._is_blind(observed)

    def _submitters(self, observed: ProposalObserved, signers: tuple[str, ...]) -> tuple[str, ...]:
        """Who submits it in turn: those that can see it applied, or each signer once when none of them can."""
        seeing = tuple(name for name in signers if self.audience is None or name in self.audience)
        if seeing:
            return seeing
        return () if self._is_blind(observed) and self.attempts.seconds_ago is not None else signers

    def _done(self, observed: ProposalObserved, conditions: Conditions, applied: AppliedIn) -> Stage:
        verdict = yes(Reason.APPLIED, f"config block {applied.block} of channel {self.change.channel} holds it")
        conditions = {**conditions, ConditionType.APPLIED: verdict}
        reports = self._reports(observed, applied)
        lacks = lacks_after(self.nodes)
        if lacks:
            told = None if observed.facts is None else own_report(observed.facts, observed.own_msp_id, Step.APPLIED)
            return Stage(
                conditions,
                Phase.APPLIED,
                () if observed.is_suspended else joins(self.nodes),
                ready=no(Reason.AWAITING_ORDERER, _joined(*lacks, left_alone(self.nodes))),
                follows=self.change.channel,
                reports=reports,
                requeue_seconds=look_again_seconds(None if told is None else told.time, observed.now),
            )
        message = _joined(verdict.message, left_alone(self.nodes), farewell(self.nodes))
        return Stage(conditions, Phase.APPLIED, ready=yes(Reason.READY, message), waiting=False, reports=reports)

    def _reports(self, observed: ProposalObserved, applied: AppliedIn) -> tuple[ReportWish, ...]:
        facts = observed.facts
        if facts is None or observed.own_msp_id not in facts.proposal.snapshot.members:
            return ()
        evidence = Evidence(config_block=applied.block, config_hash=applied.block_hash)
        wishes = [ReportWish(Step.APPLIED, Outcome.DONE, evidence, "")]
        joined = None if lacks_after(self.nodes) else joined_report(self.nodes, applied)
        return untold((*wishes, joined), facts, observed.own_msp_id)

    def _stale(self, observed: ProposalObserved, conditions: Conditions) -> Stage:
        """The configuration no longer takes it: its creator proposes it anew when it still can be made."""
        channel = self.change.channel
        if self.succeeded_by:
            verdict = no(Reason.STALE, f"{self.succeeded_by} proposes the same anew; {moved_on(self.misfit)}")
            conditions = {**conditions, ConditionType.APPLIED: verdict}
            return Stage(conditions, Phase.STALE, ready=verdict, waiting=False, follows=channel)
        verdict = no(Reason.STALE, moved_on(self.misfit))
        anew = self.successor if observed.may_propose_anew else None
        return Stage(
            {**conditions, ConditionType.APPLIED: verdict},
            Phase.STALE,
            () if anew is None else (Propose(anew),),
            stalled=anew is None,
            ready=verdict,
            follows=channel,
            requeue_seconds=STALE_AGAIN_SECONDS,
        )


def moved_on(misfit: str) -> str:
    """Why a change is stale that a later configuration does not take."""
    return f"the configuration moved on: {misfit}"


def _ruling(verdict: PolicyVerdict) -> Ruling:
    return Ruling(
        path=status_text(verdict.path),
        mod_policy=status_text(verdict.mod_policy),
        rule=status_text(verdict.rule),
        satisfied=verdict.satisfied,
        missing=verdict.missing_organizations,
    )


def _joined(*texts: str) -> str:
    """What there is to say, in one line."""
    return "; ".join(text for text in texts if text)

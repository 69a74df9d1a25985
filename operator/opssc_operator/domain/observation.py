"""What is looked at before anything is decided about a proposal, whatever its kind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from opssc_chaincode.model import Facts
from opssc_chaincode.model import Kind as LedgerKind
from opssc_chaincode.ranking import proposal_seed
from opssc_chaincode.tally import Phase as LedgerPhase
from opssc_chaincode.tally import Tally
from opssc_operator.api.conditions import Reason
from opssc_operator.api.organization import CatchUpMode, ExecutionMode, JoinMode
from opssc_operator.api.proposal import DeletionPolicy, Origin
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.planning import Plan, Preview
from opssc_operator.domain.verdict import Verdict, unknown
from opssc_operator.domain.voting import VoteWish, VotingObserved, VotingRules

if TYPE_CHECKING:
    from opssc_operator.domain.stage import Work

NOTHING_YET: Final = unknown(Reason.PENDING)


@dataclass(frozen=True, slots=True)
class ManifestState:
    """The object in this namespace that stands for the proposal, and in which fields it contradicts the ledger.

    ``binds`` says that it states everything, so that applying it beside a Vote fixes what is voted on.
    """

    name: str
    origin: Origin
    created: datetime
    withdraw: bool = False
    suspend: bool = False
    deleting: bool = False
    deletion_policy: DeletionPolicy = DeletionPolicy.RETAIN
    has_finalizer: bool = False
    conflicts: tuple[str, ...] = ()
    binds: bool = True


@dataclass(frozen=True, slots=True)
class ProposalObserved:
    """Everything ``decide_proposal`` looks at.

    ``plan`` is what the local manifest would propose, or the verdict that explains why it cannot; ``verified`` is what
    the own peer says about the proposal on the ledger. While it is open, ``review`` is what its kind shows of it,
    ``stale`` why it comes to nothing, and ``successor`` what would replace it then; ``succeeded_by`` names the proposal
    that did. ``work`` is
    what was seen of carrying it out, once it is accepted. ``mirror_until`` is when the mirror of a proposal that is
    over is no longer wanted. ``newcomer`` says that the own organization joined the channel later, and that the own
    peer shows what is proposed as committed. ``silent`` are the members that are not on the ``governance_channel``, who
    count as never voting. ``admission`` is what was seen of an accepted update that lets this organization in.
    """

    now: datetime
    ref: ProposalRef
    own_msp_id: str
    execution: ExecutionMode
    suspended: bool
    rules: VotingRules
    manifest: ManifestState | None
    mirror: ManifestState | None
    mirror_wanted: bool
    wishes: tuple[VoteWish, ...]
    facts: Facts | None
    tally: Tally | None
    plan: Plan | Preview | Verdict | None = None
    verified: Verdict = NOTHING_YET
    stale: Verdict | None = None
    review: object | None = None
    successor: Plan | None = None
    succeeded_by: str = ""
    work: Work | None = None
    mirror_until: datetime | None = None
    newcomer: bool = False
    silent: tuple[str, ...] = ()
    governance_channel: str = ""
    catch_up: CatchUpMode = CatchUpMode.TRUSTED
    join_channels: JoinMode = JoinMode.MANUAL
    admission: Work | None = None

    @property
    def ledger_kind(self) -> LedgerKind | None:
        """The proposal's kind on the ledger, if it is there."""
        return None if self.facts is None else self.facts.proposal.kind

    @property
    def is_suspended(self) -> bool:
        """Whether a person asked that nothing be sent and nothing carried out."""
        return self.suspended or (self.manifest is not None and self.manifest.suspend)

    @property
    def may_propose_anew(self) -> bool:
        """Whether a person still stands behind the proposal, so that it is proposed anew when it is overtaken."""
        manifest = self.manifest
        if manifest is None:
            # A revision has no manifest but that of the first proposal.
            return self.mirror is not None and not self.suspended
        return not (manifest.withdraw or manifest.deleting or manifest.conflicts or self.is_suspended)

    @property
    def withdrawal_wanted(self) -> bool:
        """Whether the own manifest asks to take the proposal back."""
        manifest = self.manifest
        if manifest is None or manifest.origin is not Origin.LOCAL or manifest.conflicts:
            return False
        return manifest.withdraw or (manifest.deleting and manifest.deletion_policy is DeletionPolicy.WITHDRAW)


def voting_observed(observed: ProposalObserved) -> VotingObserved:
    """What the decision on votes, and on joining without one, looks at."""
    manifest = observed.manifest
    states = [state for state in (manifest, observed.mirror) if state is not None]
    # What does not state everything shows nothing of the rest.
    shown = [state.created for state in states if state.binds and not state.conflicts]
    facts, tally = observed.facts, observed.tally
    # Past the deadline the contract takes no vote, although the proposal expires only when all clocks agree on it.
    in_time = facts is not None and observed.now <= facts.proposal.deadline
    is_open = tally is not None and tally.phase is LedgerPhase.VOTING and in_time and observed.stale is None
    return VotingObserved(
        own_msp_id=observed.own_msp_id,
        facts=facts,
        open_for_votes=is_open,
        verified=observed.verified,
        wishes=observed.wishes,
        rules=observed.rules,
        shown_since=min(shown, default=None),
        bound=manifest is not None and manifest.origin is Origin.OBSERVED and manifest.binds and not manifest.conflicts,
        hold=observed.is_suspended,
    )


def rank_seed(ref: ProposalRef) -> bytes:
    """What organizations are ranked by for one proposal."""
    return proposal_seed(ref.creator, ref.id)

"""Carrying out an accepted chaincode proposal: its definition is brought onto the channel and read back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from opssc_chaincode.model import ChaincodeContent
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.organization import ExecutionMode
from opssc_operator.api.proposal import Phase
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.catchup import hesitate
from opssc_operator.domain.choices import ASIDE_AND_DONE, LocalChoice, distrusts, stands_aside
from opssc_operator.domain.deployment import (
    DeploymentDecision,
    DeploymentObserved,
    Target,
    decide_deployment,
    has_passed,
    is_committed,
)
from opssc_operator.domain.initialization import InitObserved, decide_initialization, needs_look
from opssc_operator.domain.keeping import Origin, judge_origin
from opssc_operator.domain.observation import ProposalObserved, voting_observed
from opssc_operator.domain.pauses import soonest
from opssc_operator.domain.report import ReportWish
from opssc_operator.domain.reporting import missing_reports
from opssc_operator.domain.runtime import RuntimeSeen, judge_reach, look_again
from opssc_operator.domain.servers import ServerLook, judge_runtime
from opssc_operator.domain.stage import Conditions, Stage
from opssc_operator.domain.verdict import Verdict, no, yes
from opssc_operator.domain.voting import VotingObserved


@dataclass(frozen=True, slots=True)
class OwnCommit:
    """The commit transaction that this very process sent."""

    transaction_id: str
    block_number: int | None


@dataclass(frozen=True, slots=True)
class ChaincodeWork:
    """The definition to bring about and what the own peers show; ``superseded_by`` is a proposal decided later.

    ``rival_is_same`` says that both bring about the same definition, maybe from different packages. ``choice`` is the
    organization's own word on the package; None is the proposed one, and ``fetching`` what comes of fetching it.
    ``origin`` is what brought a package that stays and that this organization never approved.
    ``server`` is None when the peers' own builder runs the package.
    """

    target: Target
    deployment: DeploymentObserved
    superseded_by: ProposalRef | None = None
    rival_is_same: bool = False
    commit: OwnCommit | None = None
    choice: LocalChoice | None = None
    fetching: Verdict | None = None
    origin: Origin | None = None
    initialization: InitObserved | None = None
    server: ServerLook | None = None
    runtime: RuntimeSeen | None = None

    @property
    def choice_problem(self) -> Verdict | None:
        """What is wrong with the package this organization chose for itself."""
        return None if self.choice is None else self.choice.problem

    def decide(self, observed: ProposalObserved, conditions: Conditions) -> Stage:
        """The next steps towards the definition, or why there are none."""
        deployment = decide_deployment(self.target, self.deployment)
        aside = self.aside(observed)
        reports = self._reports(observed, deployment, aside)
        lost = observed.newcomer or self.rival_is_same or not deployment.committed.holds
        if self.superseded_by is not None and lost:
            return self._superseded(deployment, conditions, reports)
        acts = aside is None and not observed.is_suspended
        stage = Stage(
            {**conditions, **_deployment_conditions(deployment, aside), **self._runtime_condition(deployment)},
            _accepted_phase(deployment),
            deployment.actions if acts else (),
            stalled=deployment.stalled or self.choice_problem is not None,
            ready=self._judge_ready(observed, deployment, aside),
            waiting=not _is_past(deployment),
            follows=None if _is_past(deployment) else self.target.channel,
            reports=reports,
            vote_problems=self._vote_problems(),
            requeue_seconds=look_again(self.runtime, deployment.requeue_seconds if acts else None),
        )
        if aside is not None or observed.newcomer:
            return stage
        return self._with_initialization(observed, stage)

    def aside(self, observed: ProposalObserved) -> Verdict | None:
        """Why this organization leaves its own nodes alone although the proposal was accepted."""
        voting, content = voting_observed(observed), None if observed.facts is None else observed.facts.proposal.content
        if observed.newcomer and isinstance(content, ChaincodeContent):
            package = content.package if self.origin is None else self.origin.content.package
            hesitation = hesitate(voting, package, mode=observed.catch_up, execution=observed.execution)
            return self.choice_problem or hesitation
        committed = is_committed(self.target, self.deployment)
        aside = self.choice_problem or stands_aside(voting, execution=observed.execution, is_committed=committed)
        return aside or self._distrust(voting, observed.execution)

    def _distrust(self, voting: VotingObserved, execution: ExecutionMode) -> Verdict | None:
        """Why a package that others brought is not taken; what is approved, or history, is asked about no more."""
        approval = self.deployment.approval
        done = approval is not None and approval.package_id == self.target.package_id
        content = None if voting.facts is None else voting.facts.proposal.content
        chosen = content if self.choice is None else self.choice.content
        if done or not isinstance(chosen, ChaincodeContent) or has_passed(self.target, self.deployment):
            return None
        if self.origin is not None:
            return judge_origin(voting, self.origin, execution=execution)
        is_own = self.choice is not None and self.choice.is_own
        return None if is_own else distrusts(voting, chosen.package)

    def _superseded(
        self, deployment: DeploymentDecision, conditions: Conditions, reports: tuple[ReportWish, ...]
    ) -> Stage:
        """Another proposal for the same sequence was decided later: what is done from now on is done for that one.

        With the same definition both would look committed, and take turns in approving it with their packages.
        """
        verdict = no(Reason.SUPERSEDED, f"{self.superseded_by} was accepted later for the same sequence")
        if self.target.already_committed and deployment.committed.holds:
            verdict = yes(
                Reason.SUPERSEDED, f"was committed; {self.superseded_by} was accepted later, for the same definition"
            )
        return Stage(
            {**conditions, ConditionType.COMMITTED: verdict},
            Phase.SUPERSEDED,
            stalled=not verdict.holds,
            ready=verdict,
            follows=None if _is_past(deployment) else self.target.channel,
            reports=() if self.rival_is_same else reports,
        )

    def _vote_problems(self) -> Mapping[str, Verdict]:
        if self.choice is None:
            return {}
        problem = self.choice.problem or self.fetching
        return {} if problem is None else {self.choice.vote: problem}

    def _with_initialization(self, observed: ProposalObserved, stage: Stage) -> Stage:
        """What was committed is usable only once it is initialized, where its definition asks for that."""
        content = None if observed.facts is None else observed.facts.proposal.content
        if not isinstance(content, ChaincodeContent) or stage.stalled or not needs_look(self.target, self.deployment):
            return stage
        decided = decide_initialization(content, self.target, self.deployment, self.initialization)
        stage = replace(stage, conditions={**stage.conditions, ConditionType.INITIALIZED: decided.verdict})
        if stage.ready.holds and decided.concerns_us and not decided.verdict.holds:
            stage = replace(stage, ready=no(decided.verdict.reason, decided.verdict.message))
        if observed.is_suspended:
            return stage
        actions = (*stage.actions, decided.action) if decided.action is not None else stage.actions
        return replace(stage, actions=actions, requeue_seconds=soonest(stage.requeue_seconds, decided.requeue_seconds))

    def _runtime_condition(self, deployment: DeploymentDecision) -> Conditions:
        """What the chaincode server of the package does, while the definition is not replaced."""
        if _is_past(deployment):
            return {}
        managed = None if self.server is None else judge_runtime(self.server)
        if managed is not None and managed.status != "Unknown":
            return {ConditionType.RUNTIME_READY: managed}
        # Nobody waits for what others run: it is shown, and Ready does not depend on it.
        seen = judge_reach(self.runtime) or managed
        return {} if seen is None else {ConditionType.RUNTIME_READY: seen}

    def _reports(
        self, observed: ProposalObserved, deployment: DeploymentDecision, aside: Verdict | None
    ) -> tuple[ReportWish, ...]:
        if observed.facts is None or observed.newcomer:
            # Whoever was no member when it was proposed has no say on the ledger.
            return ()
        return missing_reports(
            observed.facts,
            observed.own_msp_id,
            deployment,
            self.deployment.peers,
            aside=aside,
            package_id=self.target.package_id,
            initialization=self.initialization,
            commit_transaction="" if self.commit is None else self.commit.transaction_id,
        )

    def _judge_ready(
        self, observed: ProposalObserved, deployment: DeploymentDecision, aside: Verdict | None
    ) -> Verdict:
        committed = deployment.committed
        if _is_past(deployment) and not committed.holds:
            return committed
        if aside is not None and aside.reason not in ASIDE_AND_DONE:
            return aside
        if committed.holds and (aside is not None or committed.reason is Reason.SUPERSEDED):
            reason = Reason.READY if aside is not None else Reason.SUPERSEDED
            return yes(reason, aside.message if aside is not None else committed.message)
        if observed.is_suspended:
            return no(Reason.SUSPENDED, "accepted; nothing is carried out while suspended")
        chain: tuple[Verdict, ...] = (deployment.installed, deployment.approved, deployment.commit_ready, committed)
        if aside is not None:
            chain = (deployment.commit_ready, committed)
        elif self.server is not None and self.server.asked:
            chain = (*chain, judge_runtime(self.server))
        failing = next((verdict for verdict in chain if not verdict.holds), None)
        if failing is not None:
            return no(failing.reason, failing.message)
        return yes(Reason.READY, committed.message)


def _deployment_conditions(deployment: DeploymentDecision, aside: Verdict | None) -> Conditions:
    return {
        ConditionType.INSTALLED: aside or deployment.installed,
        ConditionType.APPROVED: aside or deployment.approved,
        ConditionType.COMMIT_READY: deployment.commit_ready,
        ConditionType.COMMITTED: deployment.committed,
    }


def _is_past(deployment: DeploymentDecision) -> bool:
    """Whether a later sequence is committed, so that nothing is left to do or to wait for."""
    return deployment.committed.reason is Reason.SUPERSEDED


def _accepted_phase(deployment: DeploymentDecision) -> Phase:
    if _is_past(deployment):
        return Phase.SUPERSEDED
    if deployment.committed.holds:
        return Phase.COMMITTED
    return Phase.FAILED if deployment.stalled else Phase.ACCEPTED

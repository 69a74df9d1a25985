"""Carrying out an accepted chaincode proposal: its definition is brought onto the channel and read back. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.proposal import Phase
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.deployment import DeploymentDecision, DeploymentObserved, Target, decide_deployment
from opssc_operator.domain.observation import ProposalObserved, stands_aside
from opssc_operator.domain.report import ReportWish
from opssc_operator.domain.reporting import missing_reports
from opssc_operator.domain.stage import Conditions, Stage
from opssc_operator.domain.verdict import Verdict, no, yes

INIT_NOTE: Final = "; it asks for an Init call, which no operator of this version makes: invoke it with --isInit"


@dataclass(frozen=True, slots=True)
class OwnCommit:
    """The commit transaction that this very process sent."""

    transaction_id: str
    block_number: int | None


@dataclass(frozen=True, slots=True)
class ChaincodeWork:
    """The definition to bring about and what the own peers show; ``superseded_by`` is a proposal decided later."""

    target: Target
    deployment: DeploymentObserved
    superseded_by: ProposalRef | None = None
    commit: OwnCommit | None = None

    def decide(self, observed: ProposalObserved, conditions: Conditions) -> Stage:
        """The next steps towards the definition, or why there are none."""
        deployment = decide_deployment(self.target, self.deployment)
        aside = stands_aside(observed)
        reports = self._reports(observed, deployment, aside)
        if self.superseded_by is not None and not deployment.committed.holds:
            verdict = no(Reason.SUPERSEDED, f"{self.superseded_by} was accepted later for the same sequence")
            return Stage(
                {**conditions, ConditionType.COMMITTED: verdict},
                Phase.SUPERSEDED,
                stalled=True,
                ready=verdict,
                follows=None if _is_past(deployment) else self.target.channel,
                reports=reports,
            )
        acts = aside is None and not observed.is_suspended
        return Stage(
            {**conditions, **_deployment_conditions(deployment, aside)},
            _accepted_phase(deployment),
            deployment.actions if acts else (),
            stalled=deployment.stalled,
            ready=self._judge_ready(observed, deployment, aside),
            waiting=not _is_past(deployment),
            follows=None if _is_past(deployment) else self.target.channel,
            reports=reports,
            requeue_seconds=deployment.requeue_seconds if acts else None,
        )

    def _reports(
        self, observed: ProposalObserved, deployment: DeploymentDecision, aside: Verdict | None
    ) -> tuple[ReportWish, ...]:
        if observed.facts is None:
            return ()
        return missing_reports(
            observed.facts,
            observed.own_msp_id,
            deployment,
            self.deployment.peers,
            aside=aside,
            commit_transaction="" if self.commit is None else self.commit.transaction_id,
        )

    def _judge_ready(
        self, observed: ProposalObserved, deployment: DeploymentDecision, aside: Verdict | None
    ) -> Verdict:
        committed = deployment.committed
        if _is_past(deployment) and not committed.holds:
            return committed
        if committed.holds and (aside is not None or committed.reason is Reason.SUPERSEDED):
            reason = Reason.READY if aside is not None else Reason.SUPERSEDED
            return yes(reason, aside.message if aside is not None else committed.message)
        if observed.is_suspended:
            return no(Reason.SUSPENDED, "accepted; nothing is carried out while suspended")
        chain: tuple[Verdict, ...] = (deployment.installed, deployment.approved, deployment.commit_ready, committed)
        if aside is not None:
            chain = (deployment.commit_ready, committed)
        failing = next((verdict for verdict in chain if not verdict.holds), None)
        if failing is not None:
            return no(failing.reason, failing.message)
        note = INIT_NOTE if self.target.definition.init_required else ""
        return yes(Reason.READY, committed.message + note)


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

"""An accepted update that lets this organization into a channel: its own peers join. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fabric_protos.common import common_pb2

from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.proposal import Phase
from opssc_operator.domain.joining import JoiningObserved, decide_joining
from opssc_operator.domain.observation import ProposalObserved
from opssc_operator.domain.stage import Conditions, Stage
from opssc_operator.domain.verdict import yes
from opssc_operator.domain.work_action import WorkAction

AGAIN_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class JoinPeers(WorkAction):
    """Have own peers of these names join the channel."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AdmissionWork:
    """What the own peers and the channel's orderers show; `genesis` is the block that peers join with."""

    seen: JoiningObserved
    genesis: common_pb2.Block | None = None

    def decide(self, observed: ProposalObserved, conditions: Conditions) -> Stage:
        """Join what has not joined; done when every own peer that answers has, and one shows the channel.

        Nothing is reported: the organization was no member when this was proposed.
        """
        del observed
        decision = decide_joining(self.seen)
        verdict = decision.verdict
        conditions = {**conditions, ConditionType.APPLIED: verdict}
        if verdict.holds:
            return Stage(conditions, Phase.APPLIED, ready=yes(Reason.READY, verdict.message), waiting=False)
        actions = (JoinPeers(decision.join),) if decision.join and self.genesis is not None else ()
        again = decision.requeue_seconds or AGAIN_SECONDS
        return Stage(conditions, Phase.ACCEPTED, actions, ready=verdict, requeue_seconds=again)

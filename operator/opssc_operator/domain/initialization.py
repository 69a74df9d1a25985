"""Whether a committed chaincode is initialized, and whose turn it is to make the Init call. Pure.

A peer refuses every call but Init until one Init of the definition's version is on the ledger, and every Init after it
(Fabric: core/chaincode/chaincode_support.go, CheckInvocation). So it can be made only once; who makes it is ranked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from opssc_chaincode.model import ChaincodeContent, Facts, Step
from opssc_chaincode.model.chaincode import Init
from opssc_chaincode.ranking import rank_by
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.deployment import TAKEOVER_SECONDS, DeploymentObserved, Target, is_committed
from opssc_operator.domain.runtime import RuntimeSeen, judge_reach
from opssc_operator.domain.verdict import Verdict, no, unknown, yes
from opssc_operator.domain.work_action import WorkAction

LOOK_AGAIN_SECONDS: Final = 30.0
"""How soon to ask again for what no block may announce, because the own peer could not tell."""


@dataclass(frozen=True, slots=True)
class InitObserved:
    """What the own peer shows: ``initialized`` is None when it cannot tell, and ``problem`` says why then.

    ``by`` and ``transaction_id`` name the call where the own peer proves it; ``needed_seconds`` is how long this
    operator has known that the call is needed, ``wait_seconds`` how long it does not make it, after one without an
    answer.
    """

    initialized: bool | None
    by: str = ""
    transaction_id: str = ""
    problem: str = ""
    needed_seconds: float = 0.0
    wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Initialize(WorkAction):
    """Make the Init call through an own peer that has the package."""

    peer: str
    init: Init


@dataclass(frozen=True, slots=True)
class InitDecision:
    """What holds, the call to make now if any, and when to look again without an event."""

    verdict: Verdict
    concerns_us: bool = True
    """False for an organization that runs nothing of the chaincode, so that nothing here can tell or wait."""
    action: Initialize | None = None
    requeue_seconds: float | None = None


def needs_look(target: Target, deployment: DeploymentObserved) -> bool:
    """Whether initialization matters: the target asks for it, and is what the own peer shows as committed."""
    return target.definition.init_required and is_committed(target, deployment)


def holders(deployment: DeploymentObserved) -> tuple[str, ...]:
    """Own peers that can run the chaincode, in their order."""
    return tuple(peer.name for peer in deployment.peers if peer.reachable and peer.on_channel and peer.installed)


def read_runtime(name: str, able: Sequence[str], seen: RuntimeSeen | None) -> InitObserved:
    """What own peers say of the Init call of chaincode ``name``; ``able`` are those that can run it."""
    if not able:
        return InitObserved(None, problem=f"no own peer runs {name}, so none can tell of its Init call")
    if seen is None:
        return InitObserved(None, problem="asking own peers")
    told, verdict = {reach.initialized for reach in seen.reaches}, judge_reach(seen)
    if seen.is_another:
        # The call would have peers wait for a server that does not come.
        return InitObserved(None, problem="" if verdict is None else verdict.message)
    # A peer that is behind may still tell of the version before.
    if False in told:
        return InitObserved(initialized=False)
    if True in told:
        return InitObserved(initialized=True)
    problem = next((f"peer {reach.peer}: {reach.problem}" for reach in seen.reaches if reach.problem), "")
    return InitObserved(None, problem=problem or ("own peers do not say" if verdict is None else verdict.message))


def decide_initialization(
    content: ChaincodeContent, target: Target, deployment: DeploymentObserved, observed: InitObserved | None
) -> InitDecision:
    """Decide the next step towards an initialized chaincode; ``observed`` is None before anybody looked."""
    if observed is None:
        return InitDecision(unknown(Reason.AWAITING_INIT, "looking at the own peer"))
    if observed.initialized:
        by = f" by {observed.by}" if observed.by else ""
        return InitDecision(yes(Reason.INITIALIZED, f"version {target.definition.version} was initialized{by}"))
    if observed.initialized is None:
        verdict = unknown(Reason.AWAITING_INIT, observed.problem)
        runs = target.package_id is not None
        return InitDecision(verdict, concerns_us=runs, requeue_seconds=LOOK_AGAIN_SECONDS if runs else None)
    if content.init is None:
        message = (
            f"{content.name} asks for an Init call and the proposal names none: "
            f"invoke it once with --isInit on channel {content.channel}"
        )
        return InitDecision(no(Reason.AWAITING_INIT, message))
    return _decide_call(content.init, target, deployment, observed)


def _decide_call(init: Init, target: Target, deployment: DeploymentObserved, observed: InitObserved) -> InitDecision:
    """The approved organizations take turns by their rank, so that two of them seldom call at once."""
    approved = _approved(deployment.committed.approvals if deployment.committed else {})
    able = holders(deployment)
    waiting = no(Reason.AWAITING_INIT, f"waiting for the Init call, {init.function}")
    if deployment.own_msp_id not in approved or not able:
        return InitDecision(waiting)
    order = rank_by(target.rank_seed, approved)
    turn = _until_turn(order.index(deployment.own_msp_id), len(order), observed.needed_seconds)
    wait = max(turn, observed.wait_seconds)
    if wait > 0:
        return InitDecision(waiting, requeue_seconds=wait)
    return InitDecision(waiting, action=Initialize(able[0], init), requeue_seconds=TAKEOVER_SECONDS)


def _until_turn(rank: int, organizations: int, passed: float) -> float:
    """How many seconds after ``passed`` the next turn of a rank begins; 0 while it lasts."""
    begins, round_seconds = rank * TAKEOVER_SECONDS, organizations * TAKEOVER_SECONDS
    if passed < begins:
        return begins - passed
    since = (passed - begins) % round_seconds
    return 0.0 if since < TAKEOVER_SECONDS else round_seconds - since


def _approved(approvals: Mapping[str, bool]) -> frozenset[str]:
    return frozenset(msp_id for msp_id, done in approvals.items() if done)


def reported_calls(facts: Facts) -> tuple[tuple[str, str], ...]:
    """MSP ID and transaction of every Init call that somebody says to have made, sorted; claims to be proved."""
    return tuple(
        sorted(
            (report.msp_id, report.evidence.tx_id)
            for report in facts.reports
            if report.step is Step.INITIALIZED and report.evidence is not None and report.evidence.tx_id
        )
    )

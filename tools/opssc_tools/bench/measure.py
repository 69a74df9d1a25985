"""Measuring one consortium: warm up, block latency, fresh proposals with automatic votes, memory, idleness."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from opssc_chaincode.model import Facts
from opssc_chaincode.tally import derive
from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_operator.api.refs import ProposalRef
from opssc_tools.bench.atonce import measure_at_once
from opssc_tools.bench.chain import COMMIT, follow
from opssc_tools.bench.figures import Figures, OperatorFigures, Phases, ProposalFigures
from opssc_tools.bench.peerscript import PeerScript
from opssc_tools.bench.shown import ACCEPTED, READY, note
from opssc_tools.demo.progress import object_name
from opssc_tools.environment import manifests
from opssc_tools.environment.manifests import ServicePackage, made_up_digest
from opssc_tools.environment.spec import APPLICATION_CHANNEL, GOVERNANCE_CHANNEL
from opssc_tools.errors import ConditionTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fabric_devnet.official.home import FabricHome
    from opssc_tools.bench.chain import BlockLog
    from opssc_tools.environment import Consortium, Member
    from opssc_tools.environment.objects import Body

AUTOMATIC: Final = (
    '{"spec":{"trust":{"imageRegistries":["ghcr.io/opssc/"]},'
    '"voting":{"mode":"Rules","rules":[{"kinds":["Chaincode"]}]}}}'
)
PORT: Final = 9999
PROPOSAL_SECONDS: Final = 60.0
LATENCIES_PER_PROPOSAL: Final = 3
SETTLE_SECONDS: Final = 2.0
WARM_UP: Final = "bench-warm"


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    runs: int
    idle_seconds: float
    at_once: int = 0
    home: FabricHome | None = None
    """The release whose `peer` does the same by a script, to compare; None without one."""


async def measure(consortium: Consortium, plan: Plan, announce: Callable[[str], None]) -> Figures:
    """Measure a running consortium; the first proposal warms up and is not counted.

    Raises:
        ToolsError: when a proposal does not become Ready in time, or kubectl is refused.
    """
    await asyncio.gather(*(vote_automatically(member) for member in consortium.members))
    async with AsyncExitStack() as stack:
        logs = [await stack.enter_async_context(follow(member)) for member in consortium.members]
        consortium.serve_asset(_package(WARM_UP))
        await _propose(consortium, logs, WARM_UP)
        announce("warmed up; the asset chaincode is committed")
        latencies: list[float] = []
        proposals: list[ProposalFigures] = []
        for number in range(1, plan.runs + 1):
            latencies += await _block_latencies(consortium)
            proposals.append(await _propose(consortium, logs, f"bench-{number}"))
            phases = proposals[-1].phases
            announce(f"proposal {number} of {plan.runs}: {phases.accepted_to_ready:.2f} s from accepted to Ready")
    script = await _run_script(consortium, plan, announce)
    at_once = None
    if plan.at_once:
        at_once = await measure_at_once(consortium, plan.at_once)
        announce(f"{plan.at_once} proposals at once: {at_once.last:.2f} s until the last is Ready everywhere")
    operators = await _idle(consortium, plan.idle_seconds)
    spec = consortium.spec
    return Figures(
        organizations=spec.organizations,
        backend=str(spec.backend),
        api_servers=len({member.cluster.admin_kubeconfig for member in consortium.members}),
        batch_timeout=spec.batch_timeout,
        latencies=tuple(latencies),
        proposals=tuple(proposals),
        operators=operators,
        idle_seconds=plan.idle_seconds,
        at_once=at_once,
        script=script,
    )


async def _run_script(consortium: Consortium, plan: Plan, announce: Callable[[str], None]) -> tuple[float, ...]:
    """Deploy as often by a script of the `peer` program, on the same network."""
    if plan.home is None:
        return ()
    script = PeerScript(plan.home, consortium.network, consortium.spec.directory / "script")
    found: list[float] = []
    for number in range(1, plan.runs + 1):
        name = f"script-{number}"
        found.append(await script.deploy(_package(name), name))
        announce(f"script {number} of {plan.runs}: {found[-1]:.2f} s from the first command to the end of the last")
    return tuple(found)


async def vote_automatically(member: Member) -> None:
    """Have an organization vote for every chaincode of a trusted registry, and wait until it does."""
    kind = Kind.FABRIC_ORGANIZATION
    await member.kubectl("patch", kind.plural, member.name, "--type=merge", "--patch", AUTOMATIC)

    def in_force(body: Body | None) -> bool:
        found = body or {}
        return bool(found.get("status", {}).get("observedGeneration") == found.get("metadata", {}).get("generation"))

    await member.until(kind, member.name, in_force, "the voting rule is seen")
    await member.until_true(kind, member.name, ConditionType.READY)


def _package(name: str) -> ServicePackage:
    """A package nobody has installed yet; its server is needed by nobody but the warm-up's."""
    return ServicePackage(name, made_up_digest(name), PORT)


async def _block_latencies(consortium: Consortium) -> list[float]:
    """Seconds of single transactions through the Gateway: endorse, submit, commit status."""
    loop, found = asyncio.get_running_loop(), []
    for _ in range(LATENCIES_PER_PROPOSAL):
        started = loop.time()
        await consortium.member(1).reader.submit(APPLICATION_CHANNEL, WARM_UP, "Set", "bench", f"{started}")
        found.append(loop.time() - started)
    return found


async def _propose(consortium: Consortium, logs: list[BlockLog], name: str) -> ProposalFigures:
    """Apply one fresh proposal and follow it to Ready and to the last report in every organization."""
    creator, loop = consortium.member(1), asyncio.get_running_loop()
    ref = ProposalRef(creator.msp_id, name)
    manifest = manifests.build_proposal(name, _package(name), chaincode=name)
    with ExitStack() as noting:
        shown = [noting.enter_context(note(member, Kind.CHAINCODE_PROPOSAL, ref)) for member in consortium.members]
        for log in logs:
            log.forget()
        spent = _operator_seconds(consortium)
        applied = loop.time()
        # kubectl ends later than the work begins; nothing waits for it.
        applying = asyncio.create_task(creator.apply(manifest))
        try:
            await _until_settled(consortium, ref)
        finally:
            await asyncio.gather(applying)
        facts = [log.facts(ref, name) for log in logs]
        decided = await _decided_at(consortium, ref, logs[0])
        approved = sorted(logs[0].approvals().values())[len(consortium.members) // 2]
        ready = max(first[READY] for first in shown)
        moments = (applied, shown[0][ACCEPTED], facts[0]["proposal"], decided, approved, facts[0][COMMIT], ready)
        return ProposalFigures(
            phases=Phases(*(later - earlier for earlier, later in pairwise(moments))),
            lags=_lags(facts, shown),
            operator_cpu_seconds=_operator_seconds(consortium) - spent,
            load_average=os.getloadavg()[0],
        )


async def _until_settled(consortium: Consortium, ref: ProposalRef) -> None:
    """Wait until every organization shows Ready and the last report of every organization."""

    def settled(body: Body | None) -> bool:
        organizations = (body or {}).get("status", {}).get("organizations", ())
        return bool(organizations) and all(found.get("committed") == "Done" for found in organizations)

    for member in consortium.members:
        name, kind = object_name(ref, member), Kind.CHAINCODE_PROPOSAL
        await member.until_true(kind, name, ConditionType.READY, seconds=PROPOSAL_SECONDS)
        await member.until(kind, name, settled, "everybody reported", seconds=PROPOSAL_SECONDS)
    # Reports come in bundles; what a late one costs belongs to nobody's next proposal.
    await asyncio.sleep(SETTLE_SECONDS)


async def _decided_at(consortium: Consortium, ref: ProposalRef, log: BlockLog) -> float:
    """When the block with the deciding vote was delivered."""
    state = await consortium.member(1).reader.evaluate(GOVERNANCE_CHANNEL, "opssc", "GetProposal", ref.creator, ref.id)
    deciding = derive(Facts.from_state(state), datetime.now(UTC), log.positions()).deciding
    if deciding is None or deciding.position is None:
        raise ConditionTimeoutError(f"{ref} is Ready, and its deciding vote was not seen")
    return log.block_at(deciding.position.block)


def _lags(facts: list[dict[str, float]], shown: list[dict[str, float]]) -> dict[str, list[float]]:
    """Seconds from a fact's block at the own peer to the status that says it, in every organization, by kind."""
    found: dict[str, list[float]] = {}
    for delivered, first in zip(facts, shown, strict=True):
        for fact, at in delivered.items():
            if fact in first:
                found.setdefault(fact.split(" ", 1)[0], []).append(max(first[fact] - at, 0.0))
    return found


def _operator_seconds(consortium: Consortium) -> float:
    return sum(member.operator.processor_seconds for member in consortium.members)


async def _idle(consortium: Consortium, seconds: float) -> tuple[OperatorFigures, ...]:
    """Watch the operators do nothing for a while."""
    before = [member.operator.processor_seconds for member in consortium.members]
    await asyncio.sleep(seconds)
    return tuple(
        OperatorFigures(
            member.name,
            member.operator.resident_bytes,
            (member.operator.processor_seconds - spent) / seconds if seconds else 0.0,
        )
        for member, spent in zip(consortium.members, before, strict=True)
    )

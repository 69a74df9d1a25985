"""Many proposals on the ledger: how long operators take to look at all of them, and what they hold and ask for."""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from fabric_devnet.together import together
from opssc_chaincode.model import SCHEMA, Facts, ProposalDocument
from opssc_chaincode.model import Kind as ContentKind
from opssc_operator.api.chaincode_proposal import ChaincodeProposalSpec
from opssc_operator.api.group import Kind
from opssc_operator.domain.content import build_content
from opssc_tools.bench.apicalls import count_calls
from opssc_tools.bench.exposition import fetch_work, served_port
from opssc_tools.environment import manifests
from opssc_tools.environment.manifests import ServicePackage, made_up_digest
from opssc_tools.environment.spec import GOVERNANCE_CHANNEL
from opssc_tools.errors import ConditionTimeoutError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from opssc_tools.environment import Consortium, Member

CONTRACT: Final = "opssc"
PORT: Final = 9998
OPEN: Final = 20
CONCURRENCY: Final = 60
MIRROR_SECONDS: Final = 900.0
SETTLE_SECONDS: Final = 300.0
_POLL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class BacklogPlan:
    """How many proposals, how long idleness is watched, and how often operators resync."""

    proposals: int
    idle_seconds: float
    resync_seconds: int


@dataclass(frozen=True, slots=True)
class BacklogFigures:
    """One consortium with many proposals; everything by operator is the largest of all."""

    organizations: int
    backend: str
    proposals: int
    propose_seconds: float
    mirror_seconds: float
    restart_seconds: float
    """From the start of an operator's process until it has looked at every proposal."""
    resync_seconds: float
    """From the beginning to the end of a resync that looks at every proposal again."""
    resident_bytes: int
    idle_share: float
    idle_seconds: float
    calls_per_minute: float
    calls: dict[str, int]
    load_average: float

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)


async def measure_backlog(consortium: Consortium, plan: BacklogPlan, announce: Callable[[str], None]) -> BacklogFigures:
    """Fill the ledger of a running consortium and measure; raises ToolsError, or FabricError of a refused proposal."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    await _fill(consortium, plan.proposals)
    proposed = loop.time()
    announce(f"{plan.proposals} proposals are on the ledger after {proposed - started:.1f} s")
    async with aiohttp.ClientSession() as session:
        await _until_mirrored(consortium, plan.proposals)
        await _until_settled(consortium, session)
        mirrored = loop.time()
        announce(f"every operator has mirrored all of them after {mirrored - started:.1f} s")
        restart = await _restart(consortium.member(2), session, plan.proposals)
        announce(f"an operator that starts has looked at all of them after {restart:.1f} s")
        await _until_settled(consortium, session)
        idle_share, calls = await _idle(consortium, plan.idle_seconds)
        announce(f"idle: {idle_share:.2%} of a core, {sum(calls.values())} calls in {plan.idle_seconds:.0f} s")
        resident = max(member.operator.resident_bytes for member in consortium.members)
        await _until_settled(consortium, session)
        limit = plan.resync_seconds + SETTLE_SECONDS
        resync = await _resync(consortium.member(2), session, plan.proposals, seconds=limit)
        announce(f"a resync takes {resync:.1f} s")
    return BacklogFigures(
        organizations=len(consortium.members),
        backend=str(consortium.spec.backend),
        proposals=plan.proposals,
        propose_seconds=proposed - started,
        mirror_seconds=mirrored - started,
        restart_seconds=restart,
        resync_seconds=resync,
        resident_bytes=max(resident, *(member.operator.resident_bytes for member in consortium.members)),
        idle_share=idle_share,
        idle_seconds=plan.idle_seconds,
        calls_per_minute=sum(calls.values()) / plan.idle_seconds * 60 if plan.idle_seconds else 0.0,
        calls=calls,
        load_average=os.getloadavg()[0],
    )


async def _fill(consortium: Consortium, count: int) -> None:
    """Put valid proposals of the first organization on the ledger, the first one by its operator.

    The first ones stay open; the others are withdrawn, as most of a ledger is over, and only so many open ones of a
    creator are mirrored.
    """
    creator = consortium.member(1)
    first = _manifest(0)
    await creator.apply(first)
    await creator.until(
        Kind.CHAINCODE_PROPOSAL,
        first["metadata"]["name"],
        lambda body: bool((body or {}).get("status", {}).get("contentHash")),
        "on the ledger",
    )
    state = await creator.reader.evaluate(
        GOVERNANCE_CHANNEL, CONTRACT, "GetProposal", creator.msp_id, first["metadata"]["name"]
    )
    pattern = Facts.from_state(state).proposal
    numbers = iter(range(1, count))

    async def work() -> None:
        for number in numbers:
            document = _document(pattern, _manifest(number))
            await creator.reader.gateway.submit(GOVERNANCE_CHANNEL, CONTRACT, [b"Propose", document])
            if number >= OPEN:
                await creator.reader.submit(
                    GOVERNANCE_CHANNEL, CONTRACT, "Close", creator.msp_id, _name(number), "Withdrawn", "done"
                )

    await together(work() for _ in range(CONCURRENCY))


def _name(number: int) -> str:
    return f"backlog-{number}"


def _manifest(number: int) -> manifests.Manifest:
    name = _name(number)
    return manifests.build_proposal(name, ServicePackage(name, made_up_digest(name), PORT), chaincode=name)


def _document(pattern: ProposalDocument, manifest: manifests.Manifest) -> bytes:
    """What the creator's operator would propose for a manifest at the moment it proposed the pattern."""
    content = build_content(ChaincodeProposalSpec.model_validate(manifest["spec"]), 1)
    return ProposalDocument(
        schema_version=SCHEMA,
        id=manifest["metadata"]["name"],
        kind=ContentKind.CHAINCODE,
        content=content,
        snapshot=pattern.snapshot,
        deadline=pattern.deadline,
        description=pattern.description,
    ).canonical()


async def _until_mirrored(consortium: Consortium, count: int) -> None:
    """Wait until every organization but the creator, which keeps its manifests alone, shows every proposal's facts."""

    async def mirrored() -> bool:
        for member in consortium.members:
            member.operator.check()
        return all(_shown(member) >= count for member in consortium.members[1:])

    await _until(mirrored, f"{count} proposals are mirrored everywhere", MIRROR_SECONDS)


def _shown(member: Member) -> int:
    return sum(
        bool(body.get("status", {}).get("contentHash")) for body in member.objects.all(Kind.CHAINCODE_PROPOSAL).values()
    )


async def _until_settled(consortium: Consortium, session: aiohttp.ClientSession) -> None:
    """Wait until no operator has anything to do."""

    async def settled() -> bool:
        ports = [served_port(member.operator.log) for member in consortium.members]
        found = [await fetch_work(session, port) for port in ports if port is not None]
        return len(found) == len(ports) and not any(work.waiting for work in found)

    await _until(settled, "the operators have nothing to do", SETTLE_SECONDS)


async def _restart(member: Member, session: aiohttp.ClientSession, count: int) -> float:
    """Seconds an operator takes from its start until it has looked at every proposal and has nothing to do."""
    await member.operator.stop()
    old = member.operator.log.read_text(encoding="utf-8").count("serving metrics")
    loop = asyncio.get_running_loop()
    started = loop.time()
    member.operator.start()

    async def looked() -> bool:
        member.operator.check()
        if member.operator.log.read_text(encoding="utf-8").count("serving metrics") == old:
            return False
        work = await fetch_work(session, served_port(member.operator.log) or 0)
        return work.done >= count and not work.waiting

    await _until(looked, f"{member.name} has looked at every proposal", SETTLE_SECONDS)
    return loop.time() - started


async def _resync(member: Member, session: aiohttp.ClientSession, count: int, *, seconds: float) -> float:
    """Seconds an operator is busy with the next resync, which lists the ledger and looks at every proposal again."""
    port = served_port(member.operator.log) or 0
    loop = asyncio.get_running_loop()
    calm = await fetch_work(session, port)
    busy_since: float | None = None

    async def over() -> bool:
        nonlocal busy_since
        work = await fetch_work(session, port)
        if work.waiting and busy_since is None:
            busy_since = loop.time()
        elif not work.waiting and work.done < calm.done + count:
            busy_since = None
        return not work.waiting and work.done >= calm.done + count

    await _until(over, f"{member.name} has looked at every proposal again", seconds)
    return loop.time() - (busy_since or loop.time())


async def _idle(consortium: Consortium, seconds: float) -> tuple[float, dict[str, int]]:
    """Watch nothing happen: the busiest operator's share of a core, and requests to all API servers."""
    servers = {str(member.cluster.admin_kubeconfig): member for member in consortium.members}
    spent = [member.operator.processor_seconds for member in consortium.members]
    before = [await count_calls(member) for member in servers.values()]
    await asyncio.sleep(seconds)
    after = [await count_calls(member) for member in servers.values()]
    used = [member.operator.processor_seconds - start for member, start in zip(consortium.members, spent, strict=True)]
    calls: dict[str, int] = {}
    for early, late in zip(before, after, strict=True):
        for name, number in (late - early).items():
            calls[name] = calls.get(name, 0) + number
    return (max(used) / seconds if seconds else 0.0), dict(sorted(calls.items()))


async def _until(holds: Callable[[], Awaitable[bool]], what: str, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            while not await holds():  # noqa: ASYNC110 - programs that are measured tell nobody
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError as exc:
        raise ConditionTimeoutError(f"after {seconds:.0f} s it is still not so that {what}") from exc

"""Measuring changes of channels: from kubectl apply to the config block verified in every organization, by phase."""

from __future__ import annotations

import asyncio
import os
import statistics
from contextlib import AsyncExitStack, ExitStack
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_operator.api.refs import ProposalRef
from opssc_tools.bench.chain import follow
from opssc_tools.bench.shown import ACCEPTED, READY, note
from opssc_tools.demo.progress import object_name
from opssc_tools.environment import manifests
from opssc_tools.environment.founding import build_creation
from opssc_tools.environment.manifests import build_change, build_channel_proposal
from opssc_tools.environment.spec import APPLICATION_CHANNEL
from opssc_tools.errors import ConditionTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opssc_tools.bench.chain import BlockLog
    from opssc_tools.environment import Consortium, Member
    from opssc_tools.environment.manifests import Manifest

CHANGE: Final = ("kubectl", "propose", "votes", "signatures", "submission", "everywhere")
CREATION: Final = ("kubectl", "propose", "votes", "first", "everywhere")
READY_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class ChannelFigures:
    """One consortium: seconds of each phase of each proposal, and what else the machine did."""

    organizations: int
    backend: str
    proposals: tuple[Mapping[str, float], ...]
    load_average: float

    @property
    def phases(self) -> dict[str, float]:
        """Medians of each phase, in their order."""
        return {name: statistics.median(each[name] for each in self.proposals) for name in self.proposals[0]}

    @property
    def total(self) -> float:
        """Median seconds from the start of kubectl to the end of the last phase."""
        return statistics.median(sum(each.values()) for each in self.proposals)

    def to_json(self) -> dict[str, Any]:
        """All of it, with the medians people read first."""
        return {**asdict(self), "phases": self.phases, "totalSeconds": self.total}


async def measure_changes(consortium: Consortium, runs: int, announce: Callable[[str], None]) -> ChannelFigures:
    """Change the application channel a few times; the first change warms up and is not counted.

    A majority agrees, each by a Vote that kubectl applies as soon as the proposal is verified there. Raises ToolsError.
    """
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(follow(consortium.member(1)))
        found = []
        for number in range(runs + 1):
            path = f"/Channel/Application/Bench{number}"
            change = build_change("setPolicy", path=path, rule="ANY Admins")
            manifest = build_channel_proposal(f"change-{number}", APPLICATION_CHANNEL, changes=[change])
            voters = consortium.members[1 : len(consortium.members) // 2 + 1]
            seen = await _carry_out(consortium, manifest, voters, log)
            found.append(seen.split(CHANGE, seen.change_moments(log)))
            announce(f"change {number} of {runs}: {sum(found[-1].values()):.2f} s until verified everywhere")
    return _figures(consortium, found[1:])


async def measure_creations(consortium: Consortium, runs: int, announce: Callable[[str], None]) -> ChannelFigures:
    """Create channels of all organizations, which all agree; raises ToolsError."""
    organizations = [member.organization for member in consortium.members]
    orderers = [each for each in organizations if each.orderers]
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(follow(consortium.member(1)))
        found = []
        for number in range(1, runs + 1):
            manifest = build_channel_proposal(
                f"create-{number}", f"bench-{number}", **build_creation(organizations, orderers)
            )
            seen = await _carry_out(consortium, manifest, consortium.members[1:], log)
            found.append(seen.split(CREATION, seen.creation_moments(log)))
            announce(f"channel {number} of {runs}: {sum(found[-1].values()):.2f} s until every organization has it")
    return _figures(consortium, found)


@dataclass(frozen=True, slots=True)
class _Seen:
    """When things were first seen of one proposal, in the event loop's time; `shown` is by organization."""

    ref: ProposalRef
    applied: float
    shown: Sequence[Mapping[str, float]]
    config_block: int

    def split(self, names: Sequence[str], moments: Sequence[float]) -> dict[str, float]:
        return dict(zip(names, (later - earlier for earlier, later in pairwise(moments)), strict=True))

    def change_moments(self, log: BlockLog) -> tuple[float, ...]:
        """Each phase ends with the block that decides it at the creator's peer, the last with the last Ready."""
        facts = log.facts(self.ref, "")
        block = next(
            (each for each in log.blocks.get(APPLICATION_CHANNEL, ()) if each.number == self.config_block), None
        )
        if block is None:
            raise ConditionTimeoutError(f"{self.ref} is Ready, and its config block {self.config_block} was not seen")
        signed = max(at for fact, at in facts.items() if fact.endswith(" Signed") and at <= block.at)
        return (*self._decided(facts), signed, block.at, max(each[READY] for each in self.shown))

    def creation_moments(self, log: BlockLog) -> tuple[float, ...]:
        """A channel is there when the status of an organization says so."""
        ready = [each[READY] for each in self.shown]
        return (*self._decided(log.facts(self.ref, "")), min(ready), max(ready))

    def _decided(self, facts: Mapping[str, float]) -> tuple[float, ...]:
        last_vote = max(at for fact, at in facts.items() if fact.startswith("vote "))
        return self.applied, self.shown[0][ACCEPTED], facts["proposal"], last_vote


async def _carry_out(consortium: Consortium, manifest: Manifest, voters: Sequence[Member], log: BlockLog) -> _Seen:
    """Apply a proposal and the votes on it, and wait until every organization shows it Ready."""
    creator, loop = consortium.member(1), asyncio.get_running_loop()
    ref = ProposalRef(creator.msp_id, manifest["metadata"]["name"])
    with ExitStack() as noting:
        shown = [noting.enter_context(note(member, Kind.CHANNEL_PROPOSAL, ref)) for member in consortium.members]
        log.forget()
        applied = loop.time()
        await asyncio.gather(
            creator.apply(manifest),
            *(_vote(member, ref) for member in voters),
            *(_until(member, ref, ConditionType.READY) for member in consortium.members),
        )
        body = creator.objects.get(Kind.CHANNEL_PROPOSAL, object_name(ref, creator)) or {}
        number = int(body["status"].get("submission", {}).get("block", 0))
        return _Seen(ref, applied, shown, number)


async def _vote(member: Member, ref: ProposalRef) -> None:
    body = await _until(member, ref, ConditionType.VERIFIED)
    await member.apply(manifests.build_vote(ref.creator, ref.id, content_hash=body["status"]["contentHash"]))


async def _until(member: Member, ref: ProposalRef, condition: ConditionType) -> dict[str, Any]:
    name = object_name(ref, member)
    return await member.until_true(Kind.CHANNEL_PROPOSAL, name, condition, seconds=READY_SECONDS)


def _figures(consortium: Consortium, found: Sequence[Mapping[str, float]]) -> ChannelFigures:
    spec = consortium.spec
    return ChannelFigures(spec.organizations, str(spec.backend), tuple(found), os.getloadavg()[0])

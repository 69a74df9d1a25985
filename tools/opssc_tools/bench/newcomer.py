"""Measuring how an organization joins a running consortium, from its manifest to its first deploy cycle."""

from __future__ import annotations

import asyncio
import math
import os
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_operator.api.refs import ProposalRef, mirror_name
from opssc_tools.bench.measure import vote_automatically
from opssc_tools.demo.progress import object_name
from opssc_tools.environment import manifests
from opssc_tools.environment.consortium import ASSET_MODULE
from opssc_tools.environment.founding import member_of
from opssc_tools.environment.manifests import ServicePackage, made_up_digest
from opssc_tools.environment.objects import condition, is_true
from opssc_tools.environment.spec import APPLICATION_CHANNEL, GOVERNANCE_CHANNEL

if TYPE_CHECKING:
    from collections.abc import Callable

    from opssc_tools.environment import Consortium, Member
    from opssc_tools.environment.objects import Body

PHASE_SECONDS: Final = 180.0
PORT: Final = 9999
BEFORE, AFTER = "bench-before", "bench-after"


@dataclass(frozen=True, slots=True)
class NewcomerPhases:
    """Seconds of each step, from the end of the one before.

    `told` ends when the FabricOrganization says NotAMember; `admitted` and `let_in` when the ChannelProposal for the
    governance channel, and for the other one, is Ready in every member; `governed` when the newcomer's
    FabricOrganization is Ready; `joined` when its peer shows the other channel; `caught_up` when it has what was
    deployed there before; `deployed` when a new proposal is Ready everywhere.
    """

    told: float
    admitted: float
    governed: float
    let_in: float
    joined: float
    caught_up: float
    deployed: float

    @property
    def total(self) -> float:
        """Seconds from the applied manifest to the first deploy cycle."""
        return math.fsum(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True, slots=True)
class NewcomerFigures:
    """One newcomer of a consortium of this many members."""

    organizations: int
    backend: str
    phases: NewcomerPhases
    load_average: float

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "organizations": self.organizations,
            "backend": self.backend,
            "phases": asdict(self.phases),
            "totalSeconds": self.phases.total,
            "loadAverage": self.load_average,
        }


async def measure_newcomer(consortium: Consortium, announce: Callable[[str], None]) -> NewcomerFigures:
    """Have the last organization of a consortium join, and measure it; the others are its members.

    Raises:
        ToolsError: when a step does not come to its end in time, or kubectl is refused.
    """
    founders, newcomer = consortium.founders, consortium.members[-1]
    await asyncio.gather(*(vote_automatically(member) for member in founders))
    for member in consortium.members:
        member.serve(ASSET_MODULE, _package(BEFORE))
    await _deploy(founders, BEFORE)
    announce(f"{len(founders)} organizations have deployed a chaincode")
    moments = [_now()]

    def done(what: str) -> None:
        moments.append(_now())
        announce(f"{what}: {moments[-1] - moments[-2]:.2f} s")

    automatic = {
        **manifests.build_joining(*consortium.network.orderers),
        "voting": {"mode": "Rules", "rules": [{"kinds": ["Chaincode"]}]},
    }
    await consortium.introduce(newcomer, automatic)
    await newcomer.until(
        Kind.FABRIC_ORGANIZATION, newcomer.name, _is_outside, "told what is missing", seconds=PHASE_SECONDS
    )
    done("the newcomer is told what is missing")
    await _let_in(founders, newcomer, GOVERNANCE_CHANNEL)
    done("let into the governance channel")
    await _ready(newcomer, Kind.FABRIC_ORGANIZATION, newcomer.name)
    done("its peer has joined and runs the contract")
    admission = await _let_in(founders, newcomer, APPLICATION_CHANNEL)
    done("let into the other channel")
    await _ready(newcomer, Kind.CHANNEL_PROPOSAL, mirror_name(admission))
    done("its peer has joined")
    await _ready(newcomer, Kind.CHAINCODE_PROPOSAL, mirror_name(ProposalRef(founders[0].msp_id, BEFORE)))
    done("caught up")
    await _deploy(consortium.members, AFTER)
    done("deployed with it")
    phases = NewcomerPhases(*(later - earlier for earlier, later in pairwise(moments)))
    return NewcomerFigures(len(founders), str(consortium.spec.backend), phases, os.getloadavg()[0])


async def _let_in(founders: tuple[Member, ...], newcomer: Member, channel: str) -> ProposalRef:
    """Propose to add the newcomer, and have every other member vote for it as soon as it may."""
    creator = founders[0]
    change = manifests.build_change("addOrganization", **member_of(newcomer.organization))
    ref = ProposalRef(creator.msp_id, f"{newcomer.name}-into-{channel}")
    await creator.apply(manifests.build_channel_proposal(ref.id, channel, changes=[change]))
    await asyncio.gather(*(_agree(member, ref) for member in founders[1 : len(founders) // 2 + 1]))
    await asyncio.gather(*(_ready(member, Kind.CHANNEL_PROPOSAL, object_name(ref, member)) for member in founders))
    return ref


async def _agree(member: Member, ref: ProposalRef) -> None:
    def is_verified(body: Body | None) -> bool:
        return is_true(body, ConditionType.VERIFIED)

    name = mirror_name(ref)
    shown = await member.until(Kind.CHANNEL_PROPOSAL, name, is_verified, "verified", seconds=PHASE_SECONDS)
    await member.apply(manifests.build_vote(ref.creator, ref.id, content_hash=shown["status"]["contentHash"]))


async def _deploy(members: tuple[Member, ...], name: str) -> None:
    """Have the first of the members propose a chaincode, which all vote for by themselves."""
    creator = members[0]
    ref = ProposalRef(creator.msp_id, name)
    await creator.apply(manifests.build_proposal(name, _package(name), chaincode=name))
    await asyncio.gather(*(_ready(member, Kind.CHAINCODE_PROPOSAL, object_name(ref, member)) for member in members))


async def _ready(member: Member, kind: Kind, name: str) -> None:
    await member.until_true(kind, name, ConditionType.READY, seconds=PHASE_SECONDS)


def _is_outside(body: Body | None) -> bool:
    return condition(body, ConditionType.GOVERNANCE_READY).get("reason") == "NotAMember"


def _package(name: str) -> ServicePackage:
    return ServicePackage(name, made_up_digest(name), PORT)


def _now() -> float:
    return asyncio.get_running_loop().time()

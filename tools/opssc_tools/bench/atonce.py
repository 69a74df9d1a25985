"""Several proposals at once, made by the organizations in turn."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_operator.api.refs import ProposalRef
from opssc_tools.demo.progress import object_name
from opssc_tools.environment import manifests
from opssc_tools.environment.manifests import ServicePackage, made_up_digest

if TYPE_CHECKING:
    from opssc_tools.environment import Consortium, Member

PORT: Final = 9997
READY_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class AtOnceFigures:
    """Seconds from the start of kubectl until each proposal is Ready in every organization, ascending."""

    seconds: tuple[float, ...]

    @property
    def last(self) -> float:
        """Seconds until all of them are."""
        return self.seconds[-1]


async def measure_at_once(consortium: Consortium, count: int) -> AtOnceFigures:
    """Apply so many proposals at the same moment; raises ToolsError when one does not become Ready."""
    loop = asyncio.get_running_loop()
    proposals: dict[int, list[str]] = {}
    for number in range(count):
        proposals.setdefault(number % len(consortium.members), []).append(f"at-once-{number}")
    started = loop.time()

    async def follow(ref: ProposalRef) -> float:
        await asyncio.gather(*(_until_ready(member, ref) for member in consortium.members))
        return loop.time() - started

    following = [
        follow(ProposalRef(consortium.members[index].msp_id, name))
        for index, names in proposals.items()
        for name in names
    ]
    applying = [
        consortium.members[index].apply(*(_manifest(name) for name in names)) for index, names in proposals.items()
    ]
    seconds, _ = await asyncio.gather(asyncio.gather(*following), asyncio.gather(*applying))
    return AtOnceFigures(tuple(sorted(seconds)))


def _manifest(name: str) -> manifests.Manifest:
    return manifests.build_proposal(name, ServicePackage(name, made_up_digest(name), PORT), chaincode=name)


async def _until_ready(member: Member, ref: ProposalRef) -> None:
    name = object_name(ref, member)
    await member.until_true(Kind.CHAINCODE_PROPOSAL, name, ConditionType.READY, seconds=READY_SECONDS)

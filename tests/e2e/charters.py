"""A charter's story in a consortium: proposed by one organization, voted on by the others, in force or not."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import API_VERSION, Kind
from opssc_operator.api.refs import ProposalRef, mirror_name
from opssc_tools.environment import manifests
from opssc_tools.environment.objects import Body, condition

if TYPE_CHECKING:
    from opssc_tools.environment import Consortium, Member

WITHIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class CharterStory:
    """A proposal of the organization `creator` for the next charter of them all."""

    consortium: Consortium
    creator: Member
    id: str

    @property
    def ref(self) -> ProposalRef:
        return ProposalRef(self.creator.msp_id, self.id)

    @property
    def others(self) -> tuple[Member, ...]:
        return tuple(member for member in self.consortium.members if member is not self.creator)

    def object_name(self, member: Member) -> str:
        return self.id if member is self.creator else mirror_name(self.ref)

    def seen_by(self, member: Member) -> Body:
        return member.objects.get(Kind.CHARTER_PROPOSAL, self.object_name(member)) or {}

    async def propose(self, **terms: Any) -> None:
        """Apply the manifest, and wait until every organization has verified the proposal."""
        manifest = {"apiVersion": API_VERSION, "kind": "CharterProposal", "metadata": {"name": self.id}}
        await self.creator.apply({**manifest, "spec": {"charter": terms}})
        await self.until(ConditionType.VERIFIED, "True", "Verified")

    async def agree(self, *members: Member) -> None:
        """Vote on exactly the content each member was shown, and wait until the votes count."""
        await asyncio.gather(*(self._agree(member) for member in members))

    async def _agree(self, member: Member) -> None:
        shown = self.seen_by(member)["status"]["contentHash"]
        await member.apply(manifests.build_vote(self.ref.creator, self.id, content_hash=shown))
        await member.until_true(Kind.VOTE, self.id, ConditionType.COUNTED, seconds=WITHIN_SECONDS)

    async def adopt(self, **terms: Any) -> None:
        """The whole cycle: proposed, agreed to by as many as are needed, in force everywhere."""
        await self.propose(**terms)
        await self.agree(*self.others[: len(self.consortium.members) // 2])
        await self.until(ConditionType.IN_FORCE, "True", "InForce")

    async def until(self, name: ConditionType, status: str, reason: str) -> None:
        """Wait until a condition stands so in every organization."""

        def holds(body: Body | None) -> bool:
            found = condition(body, name)
            return (found.get("status"), found.get("reason")) == (status, reason)

        await asyncio.gather(
            *(
                member.until(
                    Kind.CHARTER_PROPOSAL,
                    self.object_name(member),
                    holds,
                    f"{name} {status} {reason}",
                    seconds=WITHIN_SECONDS,
                )
                for member in self.consortium.members
            )
        )

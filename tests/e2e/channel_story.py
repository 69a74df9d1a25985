"""One change of a channel, from manifests to the config block: what people apply, and what orderers say in the end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fabric_admin.blocks import last_config_index
from fabric_admin.channelconfig import ChannelConfig
from fabric_admin.orderer import Orderer
from fabric_admin.transport import Connection
from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_operator.api.refs import ProposalRef, mirror_name
from opssc_tools.environment import manifests
from opssc_tools.environment.objects import condition

if TYPE_CHECKING:
    from fabric_admin.participation import ChannelInfo
    from fabric_devnet.network import Orderer as OrdererNode
    from opssc_tools.environment import Consortium, Member
    from opssc_tools.environment.manifests import Manifest
    from opssc_tools.environment.objects import Body

WITHIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ChannelStory:
    """A ChannelProposal of the first of `members`."""

    consortium: Consortium
    members: tuple[Member, ...]
    channel: str
    proposal_id: str
    spec: dict[str, Any]

    @property
    def creator(self) -> Member:
        return self.members[0]

    @property
    def ref(self) -> ProposalRef:
        return ProposalRef(self.creator.msp_id, self.proposal_id)

    def manifest(self, **more: Any) -> Manifest:
        return manifests.build_channel_proposal(self.proposal_id, self.channel, **{**self.spec, **more})

    def object_name(self, member: Member) -> str:
        return self.proposal_id if member is self.creator else mirror_name(self.ref)

    def seen_by(self, member: Member) -> Body | None:
        return member.objects.get(Kind.CHANNEL_PROPOSAL, self.object_name(member))

    async def propose(self, *seeing: Member) -> None:
        """Apply the proposal, and wait until it is verified where votes will come from (everywhere by default)."""
        await self.creator.apply(self.manifest())
        await self.until_true(ConditionType.VERIFIED, *(seeing or self.members))

    async def vote(self, member: Member, decision: str = "Agree") -> None:
        """Apply a Vote on exactly the content the member was shown, and wait until it counts."""
        shown = self.seen_by(member)
        assert shown is not None, f"{member.name} does not see {self.ref}"
        content_hash = shown["status"]["contentHash"]
        vote = manifests.build_vote(self.ref.creator, self.ref.id, decision=decision, content_hash=content_hash)
        await member.apply(vote)
        await member.until_true(Kind.VOTE, vote["metadata"]["name"], ConditionType.COUNTED, seconds=WITHIN_SECONDS)

    async def carry_out(self, *voters: Member) -> None:
        """The whole cycle: proposed, agreed to by these, Ready in every member organization."""
        await self.propose()
        for voter in voters:
            await self.vote(voter)
        await self.until_true(ConditionType.READY)

    async def until_true(self, name: ConditionType, *members: Member) -> None:
        """Wait until a condition is True in every given organization."""
        await self._each(members, lambda body: condition(body, name).get("status") == "True", name)

    async def until(self, name: ConditionType, status: str, reason: str, *members: Member) -> None:
        """Wait until a condition stands so in every given organization."""

        def holds(body: Body | None) -> bool:
            found = condition(body, name)
            return (found.get("status"), found.get("reason")) == (status, reason)

        await self._each(members, holds, f"{name} {status} {reason}")

    async def _each(self, members: tuple[Member, ...], holds: Any, what: str) -> None:
        await asyncio.gather(
            *(
                member.until(Kind.CHANNEL_PROPOSAL, self.object_name(member), holds, what, seconds=WITHIN_SECONDS)
                for member in members or self.members
            )
        )


async def read_config(consortium: Consortium, channel: str) -> ChannelConfig:
    """The configuration in force, from an orderer and not from anything an operator touched."""
    network = consortium.network
    async with Connection(network.orderers[0].endpoint) as connection:
        orderer = Orderer(connection, network.orderer_admin)
        newest = await orderer.fetch(channel, "newest")
        return ChannelConfig.from_block(await orderer.fetch(channel, last_config_index(newest)))


async def read_part(orderer: OrdererNode, channel: str) -> ChannelInfo:
    """What the orderer itself says of its part in the channel."""
    async with orderer.participation() as participation:
        return await participation.info(channel)

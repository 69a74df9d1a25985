"""One chaincode's story in a consortium: what people apply, what they wait for, and what peers say in the end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_operator.api.refs import ProposalRef, mirror_name
from opssc_tools.environment import manifests
from opssc_tools.environment.consortium import ASSET_MODULE
from opssc_tools.environment.manifests import Manifest, ServicePackage, made_up_digest
from opssc_tools.environment.objects import Body, condition

if TYPE_CHECKING:
    from opssc_tools.environment import Consortium, Member

FIRST_PORT = 10000
WITHIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """A proposal of organization 1 for a chaincode of its own; `members` are those of its channel."""

    consortium: Consortium
    chaincode: str
    channel: str
    package: ServicePackage
    ref: ProposalRef
    organizations: tuple[str, ...] = ()
    """MSP IDs of the channel's members, when the channel was made after the consortium."""

    @classmethod
    def fresh(cls, consortium: Consortium, number: int, channel: str) -> Self:
        name = f"asset{number}"
        package = ServicePackage(name, made_up_digest(name), FIRST_PORT + number)
        return cls(consortium, name, channel, package, ProposalRef("Org1MSP", f"{name}-1"))

    @property
    def members(self) -> tuple[Member, ...]:
        if self.organizations:
            return tuple(member for member in self.consortium.members if member.msp_id in self.organizations)
        spec = self.consortium.network.spec
        channel = next(found for found in spec.channels if found.name == self.channel)
        return tuple(member for member in self.consortium.members if member.msp_id in spec.members(channel))

    @property
    def creator(self) -> Member:
        return self.members[0]

    def manifest(self, **spec: Any) -> Manifest:
        """The proposal; keywords replace parts of its spec."""
        built = manifests.build_proposal(self.ref.id, self.package, chaincode=self.chaincode, channel=self.channel)
        built["spec"].update(spec)
        return built

    def following(self, sequence: int, package: ServicePackage | None = None) -> Scenario:
        """The next proposal for the same chaincode, with the same package unless another one is given."""
        ref = ProposalRef(self.ref.creator, f"{self.chaincode}-{sequence}")
        return replace(self, ref=ref, package=package or self.package)

    def object_name(self, member: Member) -> str:
        return self.ref.id if member.msp_id == self.ref.creator else mirror_name(self.ref)

    def seen_by(self, member: Member) -> Body | None:
        return member.objects.get(Kind.CHAINCODE_PROPOSAL, self.object_name(member))

    def serve(self) -> None:
        """Run the chaincode's servers in every organization of the channel."""
        for member in self.members:
            member.serve(ASSET_MODULE, self.package)

    async def stop_servers(self) -> None:
        for member in self.members:
            server = member.servers.pop(self.package.package_id, None)
            if server is not None:
                await server.stop()

    async def propose(self, *seeing: Member, **spec: Any) -> None:
        """Apply the proposal, and wait until it is verified where votes will come from (everywhere by default)."""
        await self.creator.apply(self.manifest(**spec))
        await self.until_true(ConditionType.VERIFIED, *(seeing or self.members))

    async def vote(self, member: Member, decision: str = "Agree", *, name: str = "") -> None:
        """Apply a Vote on exactly the content the member was shown, and wait until it counts."""
        shown = self.seen_by(member)
        assert shown is not None, f"{member.name} does not see {self.ref}"
        vote = manifests.build_vote(
            self.ref.creator,
            self.ref.id,
            decision=decision,
            content_hash=shown["status"]["contentHash"],
            reason="" if decision == "Agree" else "not like this",
            name=name,
        )
        await member.apply(vote)
        await member.until_true(Kind.VOTE, vote["metadata"]["name"], ConditionType.COUNTED, seconds=WITHIN_SECONDS)

    async def deploy(self) -> None:
        """The whole cycle: proposed, agreed to by as many as needed, Ready in every member organization."""
        self.serve()
        await self.propose()
        await self.agree()
        await self.until_true(ConditionType.READY)

    async def agree(self) -> None:
        """Votes of the next organizations, as many as a majority needs beside the proposer's."""
        for member in self.members[1 : len(self.members) // 2 + 1]:
            await self.vote(member)

    async def until(
        self, name: ConditionType, status: str, reason: str, *members: Member, seconds: float = WITHIN_SECONDS
    ) -> None:
        """Wait until a condition stands so in every given organization (all of the channel by default)."""

        def holds(body: Body | None) -> bool:
            found = condition(body, name)
            return (found.get("status"), found.get("reason")) == (status, reason)

        await self._each(members, holds, f"{name} {status} {reason}", seconds)

    async def until_true(self, name: ConditionType, *members: Member, seconds: float = WITHIN_SECONDS) -> None:
        """Wait until a condition is True in every given organization."""
        await self._each(members, lambda body: condition(body, name).get("status") == "True", name, seconds)

    async def until_phase(self, phase: str, *members: Member, seconds: float = WITHIN_SECONDS) -> None:
        """Wait until status shows this phase in every given organization."""
        await self._each(
            members, lambda body: (body or {}).get("status", {}).get("phase") == phase, f"phase {phase}", seconds
        )

    async def _each(self, members: tuple[Member, ...], holds: Any, what: str, seconds: float) -> None:
        await asyncio.gather(
            *(
                member.until(Kind.CHAINCODE_PROPOSAL, self.object_name(member), holds, what, seconds=seconds)
                for member in members or self.members
            )
        )

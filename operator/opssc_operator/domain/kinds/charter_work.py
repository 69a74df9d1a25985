"""What became of an accepted charter proposal: nothing is to be done on any node, it is or is not in force. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from opssc_chaincode.model import Charter, CharterInForce, Proposal
from opssc_chaincode.succession import Succession
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.proposal import Phase
from opssc_operator.domain.channel import ChannelView
from opssc_operator.domain.observation import ProposalObserved
from opssc_operator.domain.stage import Conditions, Stage
from opssc_operator.domain.verdict import Verdict, no, yes


@dataclass(frozen=True, slots=True)
class CharterWork:
    """Whether the charter ever came in force, and which one took its place, or replaced it since."""

    version: int
    came_in_force: bool
    taken_by: CharterInForce | None

    @classmethod
    def of(cls, proposal: Proposal, charter: Charter, succession: Succession) -> CharterWork:
        """What the succession of charters says of a proposal."""
        came = succession.came_in_force(proposal.name)
        return cls(charter.version, came, succession.successor_of(proposal.name if came else charter.previous))

    def decide(self, observed: ProposalObserved, conditions: Conditions) -> Stage:
        """Ready once it came in force, for good; otherwise a person has to propose anew."""
        del observed
        in_force, ready, phase = self._judge()
        return Stage(
            {**conditions, ConditionType.IN_FORCE: in_force}, phase, stalled=not ready.holds, ready=ready, waiting=False
        )

    def _judge(self) -> tuple[Verdict, Verdict, Phase]:
        if self.came_in_force and self.taken_by is None:
            verdict = yes(Reason.IN_FORCE, f"the charter in force is version {self.version}, this one")
            return verdict, yes(Reason.READY, verdict.message), Phase.IN_FORCE
        if self.came_in_force and self.taken_by is not None:
            message = f"was in force; {self.taken_by.proposal} has replaced it since"
            return no(Reason.SUPERSEDED, message), yes(Reason.SUPERSEDED, message), Phase.SUPERSEDED
        if self.taken_by is not None:
            verdict = superseded(self.taken_by)
            return verdict, verdict, Phase.SUPERSEDED
        verdict = no(Reason.STALE, "the members of the ops channel changed before the decision; propose anew")
        return verdict, verdict, Phase.STALE


def superseded(other: CharterInForce) -> Verdict:
    """The verdict on a charter that another one came before."""
    return no(Reason.SUPERSEDED, f"{other.proposal} was decided first; propose anew, to replace that one")


def judge_open(charter: Charter, proposal: Proposal, succession: Succession, current: ChannelView) -> Verdict | None:
    """Why a charter that is being voted on comes to nothing."""
    other = succession.successor_of(charter.previous)
    if other is not None:
        return superseded(other)
    if proposal.snapshot.members != current.members:
        return no(Reason.STALE, "the members of the ops channel changed since; propose anew under another id")
    return None

"""Which charter is in force, and which was: derived from accepted proposals of kind Charter by everyone alike. Pure.

There is no charter on the ledger to look up. Whoever derives it must have verified before what only a peer can tell
of each proposal: that its snapshot is true, and that its members were the ops channel's up to the deciding vote.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from opssc_chaincode.model.charter import DEFAULT_CHARTER, Charter, CharterInForce
from opssc_chaincode.model.fields import ProposalName
from opssc_chaincode.model.proposal import Proposal
from opssc_chaincode.ranking import LedgerPosition


@dataclass(frozen=True, slots=True)
class Decided:
    """An accepted proposal, where it was proposed, and where its deciding vote stands."""

    proposal: Proposal
    proposed: LedgerPosition
    decided: LedgerPosition


@dataclass(frozen=True, slots=True)
class Reign:
    """A charter, and the position after which it is in force; None for the built-in default."""

    charter: CharterInForce
    since: LedgerPosition | None = None

    def precedes(self, position: LedgerPosition) -> bool:
        """Whether it had come in force before what stands at `position`."""
        return self.since is None or self.since < position


@dataclass(frozen=True, slots=True)
class Succession:
    """All charters that ever were in force, in their order, beginning with the built-in default."""

    reigns: tuple[Reign, ...] = (Reign(DEFAULT_CHARTER),)

    @property
    def current(self) -> CharterInForce:
        """The charter in force after everything known."""
        return self.reigns[-1].charter

    def at(self, position: LedgerPosition) -> CharterInForce:
        """The charter a transaction at `position` had to go by."""
        return next(reign.charter for reign in reversed(self.reigns) if reign.precedes(position))

    def successor_of(self, previous: ProposalName | None) -> CharterInForce | None:
        """The charter that replaced the one `previous` brought (None: the default); None while nothing did."""
        return next((reign.charter for reign in self.reigns[1:] if reign.charter.previous == previous), None)

    def came_in_force(self, name: ProposalName) -> bool:
        """Whether this proposal's charter is, or once was, in force."""
        return any(reign.charter.proposal == name for reign in self.reigns)


def succeed(candidates: Iterable[Decided]) -> Succession:
    """Follow the charters from the default on; of several successors of one, the first decided is in force."""
    waiting = tuple(candidates)
    reigns = [Reign(DEFAULT_CHARTER)]
    while True:
        heirs = [candidate for candidate in waiting if _follows(candidate, reigns[-1])]
        if not heirs:
            return Succession(tuple(reigns))
        heir = min(heirs, key=lambda candidate: (candidate.decided, candidate.proposal.name))
        reigns.append(Reign(_brought_by(heir.proposal), heir.decided))


def _follows(candidate: Decided, reign: Reign) -> bool:
    """Whether a proposal was made under this very charter, while it was in force, to replace it."""
    content, pinned = candidate.proposal.content, candidate.proposal.snapshot.charter
    return (
        isinstance(content, Charter)
        and pinned == reign.charter
        and (content.version, content.previous) == (reign.charter.version + 1, reign.charter.proposal)
        and reign.precedes(candidate.proposed)
    )


def _brought_by(proposal: Proposal) -> CharterInForce:
    return CharterInForce.model_validate({**proposal.content.model_dump(), "proposal": proposal.name})

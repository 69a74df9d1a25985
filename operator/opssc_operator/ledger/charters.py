"""The charter in force, as the own peer's ledger shows it: now, and when any proposal was made.

Owns what was found out about every accepted proposal of kind Charter. What the own peer shows is final, so it is found
out once. What no own peer keeps and no orderer proves is asked for again, and must not let one organization, which can
claim anything of a time that nobody shows here, hold everything up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from opssc_chaincode.model import DEFAULT_CHARTER, Charter, CharterInForce, Facts, Kind, Proposal
from opssc_chaincode.ranking import LedgerPosition
from opssc_chaincode.succession import Decided, Succession, succeed
from opssc_chaincode.tally import derive
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.charter import covers, may_rule, pins_truth, stayed
from opssc_operator.errors import NotProved, TransientError
from opssc_operator.ledger.channels import ChannelReader
from opssc_operator.ledger.view import LedgerView

LOAD_SECONDS: Final = 15.0
"""How long to wait for the first listing of the ledger, without which a charter might be missed."""
ASIDE_SECONDS: Final = 60.0
"""How long a proposal that was left out is not judged again."""


@dataclass(frozen=True, slots=True)
class _Aside:
    """An accepted proposal that cannot be judged here, and until when it is left alone (loop time)."""

    proposal: Proposal
    until: float


class Charters:
    """Derives the succession of charters on the governance channel."""

    def __init__(
        self,
        channel: str,
        view: LedgerView,
        reader: ChannelReader,
        locate: Callable[[Iterable[str]], Awaitable[None]],
    ) -> None:
        self._channel = channel
        self._view = view
        self._reader = reader
        self._locate = locate
        self._judged: dict[ProposalRef, Decided | None] = {}
        """Accepted proposals; None for those that do not count."""
        self._aside: dict[ProposalRef, _Aside] = {}
        self._lock = asyncio.Lock()
        self._known = Succession()

    @property
    def known(self) -> Succession:
        """What was derived last, at first the default alone; asks nobody."""
        return self._known

    @property
    def left_out(self) -> tuple[str, ...]:
        """The names of accepted proposals that cannot be judged and that too few of the members stand behind."""
        return tuple(aside.proposal.name for _, aside in sorted(self._aside.items()))

    async def succession(self) -> Succession:
        """All charters that ever were in force; raises TransientError while one that may be cannot be judged."""
        if not await self._view.wait_loaded(LOAD_SECONDS):
            raise TransientError("the proposals on the governance channel could not be listed in time")
        accepted = {
            outline.ref for outline in self._view.outlines() if outline.kind is Kind.CHARTER and outline.accepted
        }
        # What a block has just changed may be an accepted charter by now.
        asked = (accepted | self._view.marked(Kind.CHARTER)) - self._judged.keys()
        now = asyncio.get_running_loop().time()
        due = {ref for ref in asked if ref not in self._aside or self._aside[ref].until <= now}
        if due:
            async with self._lock:
                unproved = [each for ref in sorted(due) if (each := await self._judge(ref)) is not None]
                self._known = succeed(decided for decided in self._judged.values() if decided is not None)
                await self._set_aside(unproved)
        return self._known

    async def _set_aside(self, unproved: list[tuple[ProposalRef, Proposal, NotProved]]) -> None:
        """Leave out what cannot be judged here, unless enough of the members stand behind it; raises NotProved then."""
        if not unproved:
            return
        members = await self._reader.members(self._channel)
        until = asyncio.get_running_loop().time() + ASIDE_SECONDS
        for ref, proposal, problem in unproved:
            pinned = proposal.snapshot.charter
            if covers(proposal.snapshot, members) and any(pinned == reign.charter for reign in self._known.reigns):
                self._aside.pop(ref, None)
                raise problem
            self._aside[ref] = _Aside(proposal, until)

    async def at(self, proposal: Proposal) -> CharterInForce:
        """The charter that was in force when a proposal was made; raises TransientError.

        Raises NotProved for a proposal that would be refuted for its charter, while that may be one that was left out.
        """
        succession = await self.succession()
        one = len(succession.reigns) == 1
        charter = DEFAULT_CHARTER if one else succession.at(await self._position(proposal))
        if self._aside and proposal.snapshot.charter != charter:
            raise NotProved(
                f"{proposal.name} goes by another charter, and {self.left_out[0]} cannot be judged here; "
                f"list a peer that has all blocks of channel {self._channel}"
            )
        return charter

    async def _judge(self, ref: ProposalRef) -> tuple[ProposalRef, Proposal, NotProved] | None:
        """Find out about one proposal; what is returned could not be judged."""
        facts = await self._view.get(ref)
        if ref in self._judged or facts is None or not derive(facts, datetime.now(UTC)).accepted:
            return None
        try:
            self._judged[ref] = await self._decided(facts)
        except NotProved as exc:
            return ref, facts.proposal, exc
        self._aside.pop(ref, None)
        return None

    async def _decided(self, facts: Facts) -> Decided | None:
        """Where a proposal was decided; None when what it pins is not what the own peer shows."""
        proposal = facts.proposal
        snapshot = proposal.snapshot
        if not isinstance(proposal.content, Charter) or not may_rule(proposal, self._channel):
            return None
        # First, because an orderer can prove a block that is false, but not where a transaction stands.
        held = pins_truth(proposal, await self._reader.at(self._channel, snapshot.config_block))
        if held is False:
            return None
        proposed = await self._position(proposal)
        if snapshot.config_block >= proposed.block:
            return None
        decided = await self._deciding(facts)
        changes = await self._reader.changes(self._channel, after=snapshot.config_block, until=decided.block)
        if not stayed(snapshot, changes):
            return None
        if held is None:
            raise NotProved(f"{proposal.name}: block {snapshot.config_block} of channel {self._channel} cannot be read")
        return Decided(proposal, proposed, decided)

    async def _deciding(self, facts: Facts) -> LedgerPosition:
        await self._locate(vote.tx_id for vote in facts.votes)
        deciding = derive(facts, datetime.now(UTC), self._view.positions).deciding
        if deciding is None:
            raise TransientError(f"the votes on {facts.proposal.name} cannot be found on the ledger")
        return deciding.position

    async def _position(self, proposal: Proposal) -> LedgerPosition:
        await self._locate((proposal.tx_id,))
        position = self._view.positions.get(proposal.tx_id)
        if position is None:
            raise TransientError(f"the transaction of {proposal.name} cannot be found on the ledger")
        return position

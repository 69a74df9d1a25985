"""The charter in force, as the own peer's ledger shows it: now, and when any proposal was made.

Owns what was found out about every accepted proposal of kind Charter. All of it is final, so it is found out once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Final

from opssc_chaincode.model import DEFAULT_CHARTER, Charter, CharterInForce, Facts, Kind, Proposal
from opssc_chaincode.ranking import LedgerPosition
from opssc_chaincode.succession import Decided, Succession, succeed
from opssc_chaincode.tally import derive
from opssc_operator.api.conditions import Reason
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.charter import may_rule, pins_truth, stayed
from opssc_operator.errors import TransientError
from opssc_operator.ledger.channels import ChannelReader
from opssc_operator.ledger.view import LedgerView

LOAD_SECONDS: Final = 15.0
"""How long to wait for the first listing of the ledger, without which a charter might be missed."""


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
        self._lock = asyncio.Lock()
        self._known = Succession()

    @property
    def known(self) -> Succession:
        """What was derived last, at first the default alone; asks nobody."""
        return self._known

    async def succession(self) -> Succession:
        """All charters that ever were in force; raises TransientError while one cannot be judged."""
        if not await self._view.wait_loaded(LOAD_SECONDS):
            raise TransientError("the proposals on the governance channel could not be listed in time")
        accepted = {
            outline.ref for outline in self._view.outlines() if outline.kind is Kind.CHARTER and outline.accepted
        }
        # What a block has just changed may be an accepted charter by now.
        asked = (accepted | self._view.marked(Kind.CHARTER)) - self._judged.keys()
        if asked:
            async with self._lock:
                for ref in sorted(asked):
                    await self._judge(ref)
                self._known = succeed(decided for decided in self._judged.values() if decided is not None)
        return self._known

    async def at(self, proposal: Proposal) -> CharterInForce:
        """The charter that was in force when a proposal was made; raises TransientError."""
        succession = await self.succession()
        if len(succession.reigns) == 1:
            return DEFAULT_CHARTER
        return succession.at(await self._position(proposal))

    async def _judge(self, ref: ProposalRef) -> None:
        facts = await self._view.get(ref)
        if ref in self._judged or facts is None or not derive(facts, datetime.now(UTC)).accepted:
            return
        self._judged[ref] = await self._decided(facts)

    async def _decided(self, facts: Facts) -> Decided | None:
        """Where a proposal was decided; None when what it pins is not what the own peer shows."""
        proposal = facts.proposal
        snapshot = proposal.snapshot
        if not isinstance(proposal.content, Charter) or not may_rule(proposal, self._channel):
            return None
        proposed = await self._position(proposal)
        if snapshot.config_block >= proposed.block:
            return None
        pinned = await self._reader.at(self._channel, snapshot.config_block)
        held = pins_truth(proposal, pinned)
        if held is None:
            message = f"{proposal.name}: block {snapshot.config_block} of channel {self._channel} cannot be read"
            raise TransientError(message, reason=Reason.AWAITING_VERIFICATION)
        if not held:
            return None
        decided = await self._deciding(facts)
        changes = await self._reader.changes(self._channel, after=snapshot.config_block, until=decided.block)
        return Decided(proposal, proposed, decided) if stayed(snapshot, changes) else None

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

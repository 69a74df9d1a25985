"""What the own peer shows of every proposal on the governance channel, kept current by its blocks.

Owns a cache: losing it costs one paged listing. Blocks only mark proposals as changed; the facts are read again from
the own peer when they are next asked for.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from fabric_protos.common import common_pb2

from fabric_admin import blocks
from opssc_chaincode.model import Facts, Kind, Snapshot
from opssc_chaincode.ranking import LedgerPosition
from opssc_chaincode.state import proposal_of
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.newest import Newest
from opssc_operator.domain.outline import Outline, outline_of, weigh
from opssc_operator.ledger.contract import OpsContract

KEPT_POSITIONS: Final = 20_000
KEPT_BYTES: Final = 48 * 1024 * 1024
"""How much of the facts is kept; what was not asked for the longest time is read again when it is asked for."""
KEPT_SNAPSHOTS: Final = 100
"""Channels whose last snapshot is shared by the proposals that have the same one."""


@dataclass(frozen=True, slots=True)
class BlockNews:
    """What one block of the governance channel changed."""

    number: int
    changed: frozenset[ProposalRef]
    is_config: bool


def changed_refs(keys: Iterable[str]) -> Iterator[ProposalRef]:
    """Proposals that the keys of a write set are about."""
    for key in keys:
        name = proposal_of(key)
        if name is not None:
            yield ProposalRef(name.creator, name.id)


@dataclass(slots=True)
class LedgerView:
    """Every proposal in outline, by name, and the facts of those last asked for; complete once ``load`` has run.

    Anybody who may propose can fill the ledger, so what is kept of all proposals is small, whatever they hold.

    Readings overlap: a listing goes on while single proposals are read. Each is numbered when it is asked for, and one
    that was asked for later is never replaced by an earlier one.
    """

    contract: OpsContract
    own_msp_id: str = ""
    kept_bytes: int = KEPT_BYTES
    _loaded: asyncio.Event = field(default_factory=asyncio.Event)
    _outlines: dict[ProposalRef, Outline | None] = field(default_factory=dict)
    _facts: OrderedDict[ProposalRef, tuple[Facts, int]] = field(default_factory=OrderedDict)
    _facts_bytes: int = 0
    _changed: set[ProposalRef] = field(default_factory=set)
    _readings: int = 0
    _read: dict[ProposalRef, int] = field(default_factory=dict)
    _positions: Newest[str, LedgerPosition] = field(default_factory=lambda: Newest(KEPT_POSITIONS))
    _snapshots: dict[str, Snapshot] = field(default_factory=dict)

    async def load(self) -> frozenset[ProposalRef]:
        """List everything anew; returns the names whose facts are new or differ from what was known.

        What is marked as changed stays marked: a block may have come while the list was on its way.
        """
        news: set[ProposalRef] = set()
        reading = self._next_reading()
        async for facts in self.contract.list_all():
            ref = ProposalRef(facts.proposal.creator.msp_id, facts.proposal.id)
            if self._keep(ref, facts, reading):
                news.add(ref)
        self._loaded.set()
        return frozenset(news)

    @property
    def loaded(self) -> bool:
        """Whether everything was listed once."""
        return self._loaded.is_set()

    async def wait_loaded(self, timeout_seconds: float) -> bool:
        """Wait until everything was listed once; whether it was in time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._loaded.wait()
        except TimeoutError:
            return False
        return True

    def _next_reading(self) -> int:
        self._readings += 1
        return self._readings

    def _keep(self, ref: ProposalRef, facts: Facts | None, reading: int) -> bool:
        """Take over what was read unless something later is known; returns whether it is news."""
        if reading < self._read.get(ref, 0):
            return False
        outline = None if facts is None else outline_of(facts, self.own_msp_id)
        is_news = self._outlines.get(ref) != outline
        self._outlines[ref] = outline
        self._read[ref] = reading
        self._facts_bytes -= self._facts.pop(ref, (None, 0))[1]
        if facts is not None:
            self._facts[ref] = self._share_snapshot(facts)
            self._facts_bytes += self._facts[ref][1]
        while self._facts_bytes > self.kept_bytes and len(self._facts) > 1:
            _, (_, freed) = self._facts.popitem(last=False)
            self._facts_bytes -= freed
        return is_news

    def _share_snapshot(self, facts: Facts) -> tuple[Facts, int]:
        """The facts and what they weigh, with the snapshot of the last proposal for that channel while it is equal."""
        proposal = facts.proposal
        last = self._snapshots.get(proposal.snapshot.channel)
        if last is None or last != proposal.snapshot:
            if len(self._snapshots) >= KEPT_SNAPSHOTS:
                self._snapshots.clear()
            self._snapshots[proposal.snapshot.channel] = proposal.snapshot
            return facts, weigh(facts)
        shared = proposal.model_copy(update={"snapshot": last})
        return facts.model_copy(update={"proposal": shared}), weigh(facts) - weigh(last)

    def refs(self) -> frozenset[ProposalRef]:
        """Names of all proposals known to be on the ledger."""
        return frozenset(outline.ref for outline in self.outlines())

    def outlines(self) -> Iterator[Outline]:
        """All proposals on the ledger as last read."""
        return (outline for outline in self._outlines.values() if outline is not None)

    def is_marked(self, ref: ProposalRef) -> bool:
        """Whether a block has changed the proposal since it was read."""
        return ref in self._changed

    def marked(self, kind: Kind) -> frozenset[ProposalRef]:
        """Proposals that a block has changed since they were read, and that may be of this kind."""
        outlines = ((ref, self._outlines.get(ref)) for ref in self._changed)
        return frozenset(ref for ref, outline in outlines if outline is None or outline.kind is kind)

    def mark(self, ref: ProposalRef) -> None:
        """Read this proposal again when it is next asked for."""
        self._changed.add(ref)

    async def get(self, ref: ProposalRef) -> Facts | None:
        """Facts of one proposal, read from the own peer when new, changed or not kept; raises TransientError."""
        is_absent = ref in self._outlines and self._outlines[ref] is None
        if ref in self._changed or not (is_absent or ref in self._facts):
            self._changed.discard(ref)
            reading = self._next_reading()
            try:
                facts = await self.contract.fetch(ref)
            except BaseException:
                self._changed.add(ref)
                raise
            self._keep(ref, facts, reading)
            if ref not in self._facts:
                return facts
        if ref not in self._facts:
            return None
        self._facts.move_to_end(ref)
        return self._facts[ref][0]

    @property
    def positions(self) -> Mapping[str, LedgerPosition]:
        """Where contract transactions stand on the ledger, as far as their blocks were seen."""
        return self._positions

    def take(self, block: common_pb2.Block) -> BlockNews:
        """Note what a block of the governance channel changed."""
        changed: set[ProposalRef] = set()
        is_config = False
        for index, transaction in enumerate(blocks.transactions(block)):
            is_config = is_config or transaction.type == "CONFIG"
            if transaction.validation_code != "VALID":
                continue
            keys = [write.key for write in transaction.writes if write.namespace == self.contract.name]
            found = set(changed_refs(keys))
            if found:
                self._positions[transaction.tx_id] = LedgerPosition(block.header.number, index)
            changed |= found
        self._changed |= changed
        return BlockNews(block.header.number, frozenset(changed), is_config)

    def learn_positions(self, block: common_pb2.Block) -> None:
        """Note where the valid transactions of an older block stand."""
        for index, transaction in enumerate(blocks.transactions(block)):
            if transaction.validation_code == "VALID":
                self._positions[transaction.tx_id] = LedgerPosition(block.header.number, index)

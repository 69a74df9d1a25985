"""Several proposals for one sequence: which one is carried out, and who is told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from unit.chaincode import strategies as ledger
from unit.operator_domain.proposals import observed
from unit.operator_domain.test_content import CHANNEL, planned, spec
from unit.operator_runtime.charters import DefaultCharter
from unit.operator_runtime.fetching import no_packages

from opssc_chaincode.model import ChaincodeContent, Facts, ProposalDocument
from opssc_chaincode.ranking import LedgerPosition
from opssc_operator.api.group import Kind
from opssc_operator.api.refs import ProposalRef
from opssc_operator.ledger.view import LedgerView
from opssc_operator.reconcile.keys import proposal_key
from opssc_operator.reconcile.kinds.chaincode_rivals import find_winner
from opssc_operator.reconcile.kinds.workers import build_workers
from opssc_operator.reconcile.proposal import ProposalReconciler
from opssc_operator.reconcile.queue import WorkQueue
from opssc_operator.reconcile.reports import ReportBook
from opssc_operator.reconcile.serverbook import ServerBook
from opssc_operator.reconcile.servershelf import Shelves
from opssc_operator.reconcile.store import ObjectStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from opssc_operator.domain.observation import ProposalObserved
    from opssc_operator.ledger.contract import OpsContract
    from opssc_operator.ledger.session import OrganizationSession

    from .conftest import Manifests

DOCUMENT = ProposalDocument.parse(planned(spec()).document)
FIRST, SECOND = ledger.proposal(DOCUMENT), ledger.proposal(DOCUMENT, creator="Org2MSP")
FIRST_REF, SECOND_REF = ProposalRef("Org1MSP", DOCUMENT.id), ProposalRef("Org2MSP", DOCUMENT.id)
CONTENT = cast("ChaincodeContent", DOCUMENT.content)
VOTES = {
    proposal.name: tuple(ledger.vote(proposal, msp_id) for msp_id in ("Org1MSP", "Org2MSP"))
    for proposal in (FIRST, SECOND)
}
OPEN, ACCEPTED = Facts(proposal=SECOND), Facts(proposal=SECOND, votes=VOTES[SECOND.name])


class Contract:
    """The contract with both proposals: the first accepted, the second as the test says."""

    name = "opssc"

    def __init__(self) -> None:
        self.second = OPEN

    def facts(self) -> Iterable[Facts]:
        return Facts(proposal=FIRST, votes=VOTES[FIRST.name]), self.second

    async def fetch(self, ref: ProposalRef) -> Facts | None:
        return next(facts for facts in self.facts() if facts.proposal.creator.msp_id == ref.creator)

    async def list_all(self) -> AsyncIterator[Facts]:
        for facts in self.facts():
            yield facts


class View(LedgerView):
    """A view that knows where all votes stand: those on the second proposal came last."""

    @property
    def positions(self) -> dict[str, LedgerPosition]:
        said = [vote.tx_id for proposal in (FIRST, SECOND) for vote in VOTES[proposal.name]]
        return {transaction_id: LedgerPosition(9, index) for index, transaction_id in enumerate(said)}


class Session:
    def __init__(self, contract: Contract) -> None:
        self.view = View(cast("OpsContract", contract))
        self.reader = self
        self.charters = DefaultCharter()
        self.settings = SimpleNamespace(governance_channel="ops-channel")

    async def at(self, channel: str, number: int) -> Any:
        del channel, number
        return CHANNEL

    async def locate(self, transaction_ids: object) -> None:
        """All positions are known."""


async def test_a_rival_that_a_block_has_just_changed_is_read_again_before_anything_is_carried_out() -> None:
    # Given
    contract = Contract()
    session = Session(contract)
    opened = cast("OrganizationSession", session)
    await session.view.load()
    before = await find_winner(FIRST_REF, CONTENT, opened)

    # When
    contract.second = ACCEPTED
    session.view.mark(SECOND_REF)

    # Then
    assert before == FIRST_REF
    assert await find_winner(FIRST_REF, CONTENT, opened) == SECOND_REF


class Gatherer:
    """Sees the second proposal, accepted."""

    async def gather(self, *_: object) -> ProposalObserved:
        return observed(ACCEPTED, ref=SECOND_REF, manifest=None)


class Teller:
    async def tell_invalid(self, *_: object) -> None:
        """Every object can be read."""

    async def tell(self, *_: object) -> None:
        """What is said is not looked at here."""


async def test_acceptance_wakes_every_other_proposal_for_the_same_sequence_once(manifests: Manifests) -> None:
    # Given
    store, queue, session = ObjectStore(), WorkQueue(), Session(Contract())
    await session.view.load()
    store.put(Kind.FABRIC_ORGANIZATION, manifests.organization())
    sessions = SimpleNamespace(ready=lambda _: session, watch_channel=lambda *_: None)
    servers = ServerBook(queue, store, Shelves())
    workers = build_workers(servers, no_packages(store), cast("Any", None))
    parts: tuple[Any, ...] = (None, store, Teller(), sessions, queue, ReportBook(), Gatherer(), workers, servers)
    reconciler = ProposalReconciler(*cast("Any", parts))

    # When
    await reconciler.reconcile(proposal_key("org1", str(SECOND_REF)))
    woken = [await queue.get() for _ in range(queue.ready)]
    for key in woken:
        queue.done(key)
    await reconciler.reconcile(proposal_key("org1", str(SECOND_REF)))

    # Then
    assert woken == [proposal_key("org1", str(FIRST_REF))]
    assert queue.ready == 0

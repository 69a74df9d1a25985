"""One run of a proposal's reconcile: what is told while something fails again and again, and what never overlaps."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, cast

import pytest
from unit.operator_domain.proposals import PLAN, REF, observed
from unit.operator_runtime.fetching import no_packages

from opssc_operator.api.group import Kind
from opssc_operator.errors import OperatorError, TerminalError, TransientError
from opssc_operator.ledger.contract import ContractRefused
from opssc_operator.reconcile.keys import proposal_key
from opssc_operator.reconcile.kinds.workers import build_workers
from opssc_operator.reconcile.proposal import ProposalReconciler, finish_all
from opssc_operator.reconcile.queue import WorkQueue
from opssc_operator.reconcile.reports import ReportBook
from opssc_operator.reconcile.serverbook import ServerBook
from opssc_operator.reconcile.servershelf import Shelves
from opssc_operator.reconcile.store import ObjectStore

if TYPE_CHECKING:
    from .conftest import Manifests

KEY = proposal_key("org1", str(REF))


class Ledger:
    """A session whose contract fails proposals with `failure` while there is one."""

    def __init__(self, failure: OperatorError) -> None:
        self.failure: OperatorError | None = failure
        self.contract = self
        self.view = self

    async def propose(self, document: bytes) -> None:
        del document
        if self.failure is not None:
            raise self.failure

    def mark(self, ref: object) -> None:
        del ref


class Sessions:
    def __init__(self, session: Ledger) -> None:
        self._session = session

    def ready(self, namespace: str) -> Ledger:
        del namespace
        return self._session

    def watch_channel(self, key: object, channel: str | None) -> None:
        """Nothing is watched here."""


class Gatherer:
    async def gather(self, *_: object) -> object:
        return observed(None, plan=PLAN)


class Teller:
    """Remembers with which failure the proposal was told about each time."""

    def __init__(self) -> None:
        self.failures: list[OperatorError | None] = []

    async def tell_invalid(self, *_: object) -> None:
        """Every object can be read."""

    async def tell(self, *arguments: Any) -> None:
        self.failures.append(arguments[3])


def build(session: Ledger, manifests: Manifests) -> tuple[ProposalReconciler, Teller]:
    store, teller = ObjectStore(), Teller()
    store.put(Kind.FABRIC_ORGANIZATION, manifests.organization())
    queue, book = WorkQueue(), ReportBook()
    servers = ServerBook(queue, store, Shelves())
    workers = build_workers(servers, no_packages(store), cast("Any", None))
    parts: tuple[Any, ...] = (None, store, teller, Sessions(session), queue, book, Gatherer(), workers, servers)
    return ProposalReconciler(*cast("Any", parts)), teller


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(TransientError("no orderer answers"), id="transient"),
        pytest.param(ContractRefused("FORBIDDEN", "the certificate needs OU admin"), id="refused"),
    ],
)
async def test_what_fails_again_is_told_once_and_not_taken_back_at_every_try(
    failure: TransientError | TerminalError, manifests: Manifests
) -> None:
    # Given
    reconciler, teller = build(Ledger(failure), manifests)

    # When
    for _ in range(3):
        with contextlib.suppress(TransientError):
            await reconciler.reconcile(KEY)

    # Then
    first = teller.failures.index(failure)
    assert all(told is failure for told in teller.failures[first:])
    assert all(told is None for told in teller.failures[:first])


async def test_a_failure_is_forgotten_when_a_try_succeeds(manifests: Manifests) -> None:
    # Given
    ledger = Ledger(TransientError("no orderer answers"))
    reconciler, teller = build(ledger, manifests)
    with pytest.raises(TransientError):
        await reconciler.reconcile(KEY)

    # When
    ledger.failure = None
    await reconciler.reconcile(KEY)

    # Then
    assert teller.failures[-1] is None


async def test_a_failure_waits_for_what_goes_on_beside_it() -> None:
    # Given
    done = asyncio.Event()

    async def fails() -> None:
        raise TransientError("the API server cannot be reached")

    async def goes_on() -> None:
        await asyncio.sleep(0.01)
        done.set()

    # When
    with pytest.raises(TransientError):
        await finish_all(fails(), goes_on())

    # Then
    assert done.is_set()

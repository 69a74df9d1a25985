"""Sending reports: what becomes of them when the ledger cannot be reached."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from opssc_chaincode.model import Outcome, Step
from opssc_operator.domain.report import ReportWish
from opssc_operator.errors import TransientError
from opssc_operator.reconcile.keys import proposal_key, report_key
from opssc_operator.reconcile.reports import ReportBook, ReportReconciler

if TYPE_CHECKING:
    from opssc_operator.reconcile.sessions import Sessions

KEY = proposal_key("org1", "Org1MSP/basic-1")
FAILED = ReportWish(Step.INSTALLED, Outcome.FAILED, None, "InstallFailed: no disk space")
DONE = ReportWish(Step.INSTALLED, Outcome.DONE, None, "")


class Unreachable:
    """A session whose ledger cannot be reached; meanwhile a reconcile notes `newer`."""

    def __init__(self, book: ReportBook, newer: ReportWish | None) -> None:
        self._book, self._newer = book, newer
        self.contract = self
        self.view = SimpleNamespace(mark=str, get=self.fetch)

    def ready(self, namespace: str) -> Unreachable:
        del namespace
        return self

    async def fetch(self, ref: object) -> None:
        """Nothing is known of the proposal."""

    async def report(self, *_: Any, **__: Any) -> None:
        if self._newer is not None:
            self._book.note(KEY, [self._newer])
        raise TransientError("no orderer answers")


@pytest.mark.parametrize(
    ("newer", "kept"),
    [
        pytest.param(None, FAILED, id="nothing-newer"),
        pytest.param(DONE, DONE, id="newer"),
    ],
)
async def test_what_could_not_be_sent_is_kept_unless_something_newer_is_true(
    newer: ReportWish | None, kept: ReportWish
) -> None:
    # Given
    book = ReportBook()
    book.note(KEY, [FAILED])
    reconciler = ReportReconciler(cast("Sessions", Unreachable(book, newer)), book)

    # When
    with pytest.raises(TransientError):
        await reconciler.reconcile(report_key(KEY.namespace, KEY.name))

    # Then
    assert book.take(KEY) == (kept,)

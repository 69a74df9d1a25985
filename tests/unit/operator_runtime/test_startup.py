"""Waiting at start until the API server serves our kinds."""

from __future__ import annotations

import pytest

from opssc_operator.api.group import Kind
from opssc_operator.errors import AccessDenied, ConfigError, OperatorError, TransientError
from opssc_operator.kube.client import Listing
from opssc_operator.kube.startup import wait_until_served

EMPTY = Listing("1", {})


class Answers:
    """An API server that gives these answers for votes, the last one for ever, and serves the other kinds."""

    def __init__(self, *answers: Listing | OperatorError | None) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def list_uids(self, kind: Kind, _namespace: str) -> Listing | None:
        if kind is not Kind.VOTE:
            return EMPTY
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, OperatorError):
            raise answer
        return answer


async def test_the_start_goes_on_as_soon_as_everything_is_served() -> None:
    answers = Answers(TransientError("refused"), None, EMPTY)

    await wait_until_served(answers, "org1", timeout_seconds=5)

    assert answers.asked == 3


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param(None, r"the CRD votes\.opssc\.dev is not installed; run: kubectl apply", id="no CRD"),
        pytest.param(AccessDenied("add verb 'list'"), "add verb 'list'", id="no right"),
        pytest.param(TransientError("cannot be reached"), "cannot be reached", id="no API server"),
    ],
)
async def test_what_is_missing_for_good_is_named(answer: OperatorError | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        await wait_until_served(Answers(answer), "org1", timeout_seconds=0.01)

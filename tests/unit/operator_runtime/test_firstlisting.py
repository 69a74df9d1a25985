"""Waiting at start until the watches have shown everything."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from opssc_operator.api.group import Kind
from opssc_operator.errors import OperatorError, TransientError
from opssc_operator.kube.client import Listing
from opssc_operator.reconcile.firstlisting import wait_until_listed
from opssc_operator.reconcile.store import ObjectStore

EMPTY = Listing("1", {})
ONE = Listing("2", {"v1": "u1"})


class Answers:
    """An API server that gives these answers for votes, the last one for ever, and has nothing else."""

    def __init__(self, *answers: Listing | OperatorError) -> None:
        self._answers = list(answers)
        self.asked = asyncio.Event()
        self.count = 0

    async def list_uids(self, kind: Kind, _namespace: str) -> Listing | None:
        if kind is not Kind.VOTE:
            return EMPTY
        self.count += 1
        self.asked.set()
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, OperatorError):
            raise answer
        return answer


def build_vote(name: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "org1", "uid": "u1", "resourceVersion": "1", "generation": 1},
        "spec": {"proposal": {"creator": "Org1MSP", "id": "p1"}, "decision": "Accept"},
    }


async def test_an_empty_namespace_is_listed_at_once() -> None:
    answers = Answers(EMPTY)

    await asyncio.wait_for(wait_until_listed(answers, ObjectStore(), "org1", again_seconds=30), 5)

    assert answers.count == 1


async def test_nothing_begins_before_the_watch_has_shown_what_there_is() -> None:
    store, answers = ObjectStore(), Answers(ONE)
    waiting = asyncio.create_task(wait_until_listed(answers, store, "org1", again_seconds=30))
    await asyncio.wait_for(answers.asked.wait(), 5)
    store.put(Kind.VOTE, build_vote("another"))
    await asyncio.sleep(0)
    began_early = waiting.done()

    store.put(Kind.VOTE, build_vote("v1"))
    await asyncio.wait_for(waiting, 5)

    assert (began_early, answers.count) == (False, 1)


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(ONE, id="deleted before the watch began"),
        pytest.param(TransientError("cannot be reached"), id="API server away for a moment"),
    ],
)
async def test_what_cannot_be_waited_for_is_listed_again(first: Listing | OperatorError) -> None:
    answers = Answers(first, EMPTY)

    await asyncio.wait_for(wait_until_listed(answers, ObjectStore(), "org1", again_seconds=0.01), 5)

    assert answers.count == 2

"""A step that Fabric refuses: under which reason that is told, and when it was no failure at all."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from fabric_admin.definition import Definition
from fabric_admin.errors import ChaincodeError, CommitFailed, FabricError, GatewayError, InvalidInput, TransportError
from opssc_chaincode.model.chaincode import Init
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.deployment import Approve, Commit, DeploymentAction, Target
from opssc_operator.domain.initialization import InitObserved
from opssc_operator.errors import TerminalError, TransientError
from opssc_operator.ledger.deployments import Deployments, StepDone
from opssc_operator.ledger.initializations import (
    CALL_AGAIN_SECONDS,
    DONE_BEFORE,
    LONG_SECONDS,
    MADE_ELSEWHERE_SECONDS,
    Initializations,
)

if TYPE_CHECKING:
    from opssc_operator.ledger.peers import OwnPeers

DEFINITION = Definition(name="basic", version="1.0", sequence=1)
TARGET = Target("mychannel", DEFINITION, "basic:" + "00" * 32, b"seed")
INIT = Init(function="Init", args=("blue",))
STEPS: dict[Reason, DeploymentAction] = {Reason.APPROVAL_FAILED: Approve(), Reason.COMMIT_FAILED: Commit(("Org1MSP",))}


class Peers:
    """One own peer that refuses everything alike."""

    def __init__(self, failure: FabricError) -> None:
        self._failure = failure
        self.lifecycle = SimpleNamespace(approve=self._refuse, commit=self._refuse)
        self.patient_gateway = SimpleNamespace(submit=self._refuse)

    async def on(self, channel: str) -> Peers:
        del channel
        return self

    def get(self, name: str) -> Peers:
        del name
        return self

    async def _refuse(self, *_: Any, **__: Any) -> None:
        raise self._failure


async def perform(failure: FabricError, step: DeploymentAction) -> StepDone:
    return await Deployments("Org1MSP", cast("OwnPeers", Peers(failure))).perform(step, TARGET, None)


async def initialize(failure: FabricError) -> StepDone:
    calls = Initializations("Org1MSP", cast("OwnPeers", Peers(failure)))
    return await calls.call("mychannel", DEFINITION, INIT, "peer0")


@pytest.mark.parametrize("reason", STEPS)
async def test_a_refused_step_is_tried_again_under_its_reason_with_what_the_peer_said(reason: Reason) -> None:
    with pytest.raises(TransientError) as caught:
        await perform(ChaincodeError(500, "no space left on device"), STEPS[reason])

    assert caught.value.reason == reason
    assert "no space left on device" in caught.value.message


@pytest.mark.parametrize("reason", STEPS)
async def test_a_step_that_cannot_be_put_into_words_is_not_tried_again(reason: Reason) -> None:
    with pytest.raises(TerminalError) as caught:
        await perform(InvalidInput("no such policy"), STEPS[reason])

    assert caught.value.reason == reason


@pytest.mark.parametrize("step", STEPS.values(), ids=["approve", "commit"])
async def test_a_step_that_was_done_before_is_done(step: DeploymentAction) -> None:
    refusal = ChaincodeError(500, "attempted to redefine the current committed sequence (1)")

    assert await perform(refusal, step) == StepDone()


async def test_a_chaincode_that_refuses_its_init_call_says_why_and_is_called_again() -> None:
    with pytest.raises(TransientError) as caught:
        await initialize(ChaincodeError(500, "blue is no colour of ours"))

    assert caught.value.reason == Reason.INIT_FAILED
    assert "blue is no colour of ours" in caught.value.message


async def test_an_init_call_that_another_organization_made_is_done() -> None:
    assert await initialize(ChaincodeError(500, f"chaincode 'basic' {DONE_BEFORE}")) == StepDone()


@pytest.mark.parametrize(
    ("failure", "seconds", "pause"),
    [
        pytest.param(GatewayError("ABORTED", "timed out"), LONG_SECONDS, CALL_AGAIN_SECONDS, id="peers-may-be-waiting"),
        pytest.param(ChaincodeError(500, "blue is no colour"), 0.0, 0.0, id="the-chaincode-refuses"),
        pytest.param(ChaincodeError(500, DONE_BEFORE), 0.0, MADE_ELSEWHERE_SECONDS, id="made-before"),
        pytest.param(CommitFailed("ab", "MVCC_READ_CONFLICT", 3), 0.0, MADE_ELSEWHERE_SECONDS, id="in-the-same-block"),
    ],
)
async def test_a_call_that_failed_is_not_made_again_while_that_is_of_no_use(
    monkeypatch: pytest.MonkeyPatch, failure: FabricError, seconds: float, pause: float
) -> None:
    # Given
    moment = [1000.0]
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: moment[0])

    class Slow(Peers):
        async def _refuse(self, *_: Any, **__: Any) -> None:
            moment[0] += seconds
            raise failure

    calls = Initializations("Org1MSP", cast("OwnPeers", Slow(failure)))

    # When
    with contextlib.suppress(TransientError):
        await calls.call("mychannel", DEFINITION, INIT, "peer0")

    # Then
    due = calls.tell("mychannel", DEFINITION, InitObserved(initialized=False))
    assert due.wait_seconds == pytest.approx(pause)
    assert not await calls.prove("mychannel", DEFINITION, ())


async def test_what_own_peers_showed_once_stands() -> None:
    calls = Initializations("Org1MSP", cast("OwnPeers", Peers(TransportError("peer0:7051", "refused"))))

    calls.tell("mychannel", DEFINITION, InitObserved(initialized=True))

    assert await calls.prove("mychannel", DEFINITION, ())
    assert calls.tell("mychannel", DEFINITION, InitObserved(None)).initialized


@pytest.mark.parametrize("reason", STEPS)
async def test_a_peer_that_is_gone_is_said_to_be_gone(reason: Reason) -> None:
    with pytest.raises(TransientError) as caught:
        await perform(TransportError("peer0:7051", "refused"), STEPS[reason])

    assert caught.value.reason == Reason.PEER_UNREACHABLE

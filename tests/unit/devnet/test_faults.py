"""Which fault meets which call."""

from __future__ import annotations

import pytest

from fabric_devnet.faults import Fault, FaultKind, FaultTable

SUBMIT = "/gateway.Gateway/Submit"


@pytest.mark.parametrize(
    ("method", "endpoint", "meant"),
    [
        pytest.param("*", "*", True, id="everything"),
        pytest.param(SUBMIT, "peer0.*", True, id="node-pattern"),
        pytest.param("/gateway.Gateway/*", "*", True, id="service-pattern"),
        pytest.param("/gateway.Gateway/Endorse", "*", False, id="another-method"),
        pytest.param(SUBMIT, "orderer*", False, id="another-node"),
    ],
)
def test_patterns_choose_the_calls(method: str, endpoint: str, *, meant: bool) -> None:
    fault = Fault(kind=FaultKind.DROP, method=method, endpoint=endpoint)

    assert fault.matches(SUBMIT, "peer0.org1.example.com") is meant


def test_a_fault_is_used_up_after_its_times_and_the_next_one_takes_over() -> None:
    table = FaultTable()
    table.add(Fault(kind=FaultKind.REFUSE, times=2))
    table.add(Fault(kind=FaultKind.DELAY, delay_seconds=0.1, times=None))

    taken = [table.take(SUBMIT, "peer0") for _ in range(4)]

    assert [fault.kind for fault in taken if fault] == ["refuse", "refuse", "delay", "delay"]


def test_cleared_faults_meet_nobody() -> None:
    table = FaultTable()
    table.add(Fault(kind=FaultKind.DROP, times=None))

    table.clear()

    assert table.take(SUBMIT, "peer0") is None

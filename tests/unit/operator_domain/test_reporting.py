"""What is reported of carrying out a proposal, and what was told already."""

from __future__ import annotations

from dataclasses import replace

import pytest
from unit.chaincode import strategies as ledger
from unit.operator_domain.proposals import ACCEPTED, PROPOSAL, TARGET, UNDONE

from opssc_chaincode.model import Facts, Outcome, Step
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.deployment import decide_deployment
from opssc_operator.domain.installation import PeerState
from opssc_operator.domain.report import ReportWish
from opssc_operator.domain.reporting import missing_reports


def wishes(facts: Facts, problem: str, reason: Reason = Reason.INSTALL_FAILED) -> tuple[ReportWish, ...]:
    peers = (PeerState("peer0", reachable=True, on_channel=True, problem=problem, problem_reason=reason),)
    decision = decide_deployment(TARGET, replace(UNDONE, peers=peers))
    return missing_reports(facts, "Org1MSP", decision, peers, aside=None)


@pytest.mark.parametrize(
    ("problem", "reason", "is_news"),
    [
        pytest.param("container 7f3a exited", Reason.INSTALL_FAILED, False, id="same-words"),
        pytest.param("container 99c1 exited", Reason.INSTALL_FAILED, False, id="other-words-for-the-same"),
        pytest.param("no builder takes it", Reason.EXTERNAL_BUILDER_MISSING, True, id="another-reason"),
    ],
)
def test_a_failure_is_reported_again_when_its_reason_changes_and_not_its_words(
    problem: str, reason: Reason, is_news: bool
) -> None:
    # Given
    (first,) = wishes(ACCEPTED, "container 7f3a exited")
    told = ledger.report(PROPOSAL, "Org1MSP", Step.INSTALLED, Outcome.FAILED).model_copy(
        update={"message": first.message}
    )

    # When
    missing = wishes(ACCEPTED.model_copy(update={"reports": (told,)}), problem, reason)

    # Then
    assert first.message == "InstallFailed: peer peer0: container 7f3a exited"
    assert bool(missing) is is_news

"""Who is waited for once an update is accepted, and what the others are told of an orderer's refusal."""

from __future__ import annotations

from unit.operator_channels.changes import ORG1, ORG2, ORG3
from unit.operator_channels.proposals import agreed, observed, proposed, work_of

from opssc_chaincode.model import Outcome, Report, Step
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.proposal import Phase
from opssc_operator.domain.kinds.channel_work import Attempts, SubmitUpdate
from opssc_operator.domain.verdict import Verdict

REFUSED = Attempts(0.0, 1, "BAD_REQUEST: 2 out of 3 nodes are alive, configuration will result in quorum loss")


def applied(stage_conditions: object) -> Verdict:
    verdict = stage_conditions[ConditionType.APPLIED]  # type: ignore[index]
    assert isinstance(verdict, Verdict)
    return verdict


def test_only_who_agreed_is_waited_for() -> None:
    facts = agreed(proposed(), ORG1, ORG2, signed=(ORG1,))

    verdict = applied(work_of(facts).decide(observed(facts), {}).conditions)

    assert (verdict.reason, verdict.message) == (Reason.AWAITING_SIGNATURES, f"waiting for the signature of {ORG2}")


def test_who_is_silent_keeps_nobody_when_the_policies_are_satisfied_without() -> None:
    facts = agreed(proposed(), ORG1, ORG2, ORG3, signed=(ORG1, ORG3))
    work = work_of(facts, ready_seconds=60.0)

    stages = [work.decide(observed(facts, own), {}) for own in (ORG1, ORG3)]

    assert all(stage.actions == (SubmitUpdate(),) for stage in stages)
    assert applied(stages[0].conditions).reason is Reason.AWAITING_SUBMISSION


def test_signatures_that_are_not_enough_although_all_signed_ask_for_another_proposal() -> None:
    facts = agreed(proposed(), ORG1, signed=(ORG1,))

    verdict = applied(work_of(facts).decide(observed(facts), {}).conditions)

    assert verdict.reason is Reason.AWAITING_SIGNATURES
    assert verdict.message.startswith(f"all that agreed have signed, and the policies still lack {ORG2}, {ORG3}")


def test_an_orderers_refusal_is_failed_told_to_the_others_once_and_nothing_is_applied() -> None:
    facts = agreed(proposed(), ORG1, ORG2, signed=(ORG1, ORG2))
    work = work_of(facts, attempts=REFUSED)

    stage = work.decide(observed(facts), {})

    assert stage.phase is Phase.FAILED
    assert "will result in quorum loss" in applied(stage.conditions).message
    (told,) = stage.reports
    assert (told.step, told.outcome, told.evidence) == (Step.APPLIED, Outcome.FAILED, None)
    assert told.message == f"SubmissionRefused: {REFUSED.refused}"

    # And: the same refusal again is no news
    report = Report(
        msp_id=ORG1,
        step=Step.APPLIED,
        outcome=Outcome.FAILED,
        evidence=None,
        message="SubmissionRefused: in other words",
        time=facts.proposal.created_time,
        tx_id="ab" * 32,
        attempt=1,
    )
    known = facts.model_copy(update={"reports": (*facts.reports, report)})
    assert work.decide(observed(known), {}).reports == ()

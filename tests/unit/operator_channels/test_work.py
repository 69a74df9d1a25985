"""An accepted update: signed by who agreed, submitted once, applied, or stale."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.fabric import channel
from unit.fabric.channel import NOW, person
from unit.operator_channels.changes import ORG1, ORG2, ORG3, config, stated
from unit.operator_channels.proposals import (
    ACL,
    agreed,
    observed,
    plan,
    plan_update,
    proposed,
    reported,
    sign_for,
    view_of,
    work_of,
)

from opssc_chaincode.model import DEFAULT_CHARTER, Decision, Evidence, ProposalDocument, Step
from opssc_chaincode.ranking import proposal_seed, rank_by
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.proposal import Origin, Phase
from opssc_operator.domain.actions import Close, Propose
from opssc_operator.domain.channels.application import ChangeRefused
from opssc_operator.domain.channels.history import AppliedIn
from opssc_operator.domain.channels.judgement import judge
from opssc_operator.domain.channels.planning import plan_successor
from opssc_operator.domain.channels.verification import judge_standing
from opssc_operator.domain.kinds.channel_status import channel_status
from opssc_operator.domain.kinds.channel_work import Attempts, SignUpdate, SubmitUpdate
from opssc_operator.domain.observation import ManifestState, ProposalObserved
from opssc_operator.domain.proposal import decide_proposal
from opssc_operator.domain.verdict import no, yes
from opssc_operator.domain.voting import CastVote, VoteWish


def test_an_organization_signs_only_what_it_agreed_to() -> None:
    of = proposed()
    facts = agreed(of, ORG1, ORG2, disagreeing=(ORG3,))

    assert work_of(facts).decide(observed(facts, ORG1), {}).actions == (SignUpdate(),)
    assert work_of(facts).decide(observed(facts, ORG3), {}).actions == ()
    silent = agreed(of, ORG1, ORG2)
    assert work_of(silent).decide(observed(silent, ORG3), {}).actions == ()


def test_what_lacks_signatures_names_whose() -> None:
    facts = agreed(proposed(), ORG1, ORG2, signed=(ORG1,))

    stage = work_of(facts).decide(observed(facts, ORG1), {})

    assert stage.conditions[ConditionType.APPLIED].reason is Reason.AWAITING_SIGNATURES
    assert "Org2MSP" in stage.conditions[ConditionType.APPLIED].message
    assert stage.actions == ()


def test_one_signer_submits_and_the_next_takes_over_after_a_pause() -> None:
    facts = agreed(proposed(), ORG1, ORG2, signed=(ORG1, ORG2))
    first, second = rank_by(proposal_seed(ORG1, "change"), (ORG1, ORG2))

    now = work_of(facts)
    later = work_of(facts, ready_seconds=5.0)

    assert now.decide(observed(facts, first), {}).actions == (SubmitUpdate(),)
    assert now.decide(observed(facts, second), {}).actions == ()
    assert now.decide(observed(facts, second), {}).requeue_seconds == 5.0
    assert later.decide(observed(facts, second), {}).actions == (SubmitUpdate(),)
    assert later.decide(observed(facts, ORG3), {}).actions == ()


@pytest.mark.parametrize(
    "mend",
    [
        pytest.param(lambda of: reported(ORG2, sign_for(of, ORG3)), id="another organization's"),
        pytest.param(lambda of: reported(ORG2, sign_for(of, ORG2, b"other")), id="over another update"),
        pytest.param(lambda of: reported(ORG2, sign_for(of, ORG2)[:-8] + "AAAAAAA="), id="damaged"),
        pytest.param(lambda _: reported(ORG2, "####"), id="no base64"),
        pytest.param(lambda of: reported(ORG2, sign_for(of, "Org9MSP")), id="of nobody in the channel"),
    ],
)
def test_signatures_that_are_not_what_they_seem_do_not_count(mend: Any) -> None:
    of = proposed()
    facts = agreed(of, ORG1, ORG2, signed=(ORG1,))
    facts = facts.model_copy(update={"reports": (*facts.reports, mend(of))})

    work = work_of(facts)

    assert [(each.msp_id, each.valid) for each in work.change.signed] == [(ORG1, True), (ORG2, False)]
    assert work.decide(observed(facts, ORG1), {}).conditions[ConditionType.APPLIED].reason is Reason.AWAITING_SIGNATURES


@pytest.mark.parametrize(
    ("minutes", "unheard", "again"),
    [
        pytest.param(0, False, 5.0, id="blocks wake it"),
        pytest.param(0, True, 2.0, id="just said"),
        pytest.param(5, True, 5.0, id="its turn comes before"),
    ],
)
def test_what_no_block_tells_is_looked_for(minutes: int, unheard: bool, again: float) -> None:
    facts = agreed(proposed(), ORG1, ORG2, signed=(ORG1, ORG2))
    second = rank_by(proposal_seed(ORG1, "change"), (ORG1, ORG2))[1]
    seen = replace(observed(facts, second), now=NOW + timedelta(minutes=minutes))

    assert work_of(facts, unheard=unheard).decide(seen, {}).requeue_seconds == again
    waiting = work_of(facts, unheard=unheard, attempts=Attempts(9.0)).decide(replace(seen, own_msp_id=ORG3), {})
    assert waiting.requeue_seconds == (None if not unheard else 2.0 if minutes == 0 else 60.0)


@pytest.mark.parametrize(
    ("attempts", "submits", "wait"),
    [
        pytest.param(Attempts(), True, None, id="none yet"),
        pytest.param(Attempts(0.0), False, 10.0, id="just sent"),
        pytest.param(Attempts(11.0), True, None, id="sent, and nothing came of it"),
        pytest.param(Attempts(11.0, 1, "BAD_REQUEST: no"), False, 9.0, id="refused once"),
        pytest.param(Attempts(21.0, 1, "BAD_REQUEST: no"), True, None, id="refused, and waited"),
        pytest.param(Attempts(250.0, 60, "BAD_REQUEST: no"), False, 50.0, id="refused for ever"),
    ],
)
def test_submissions_are_paced(attempts: Attempts, submits: bool, wait: float | None) -> None:
    facts = agreed(proposed(), ORG1, ORG2, signed=(ORG1, ORG2))
    first = rank_by(proposal_seed(ORG1, "change"), (ORG1, ORG2))[0]

    stage = work_of(facts, attempts=attempts).decide(observed(facts, first), {})

    assert (SubmitUpdate() in stage.actions, stage.requeue_seconds) == (submits, wait)
    if attempts.refused:
        assert (stage.phase, stage.stalled) == (Phase.FAILED, False)
        assert "BAD_REQUEST: no" in stage.ready.message


def test_whose_administrator_the_channel_does_not_know_signs_nothing_and_says_so() -> None:
    facts = agreed(proposed(), ORG1, ORG2)
    stranger = person("Org9MSP").creator

    judged = judge(facts, config(), None, stranger, governance=False, now=NOW)
    known = judge(facts, config(), None, person(ORG1).creator, governance=False, now=NOW)
    stage = work_of(facts, own_problem=judged.own_problem).decide(observed(facts), {})

    assert "not valid on channel" in judged.own_problem
    assert known.own_problem == ""
    assert stage.actions == ()
    assert stage.ready.reason is Reason.IDENTITY_INVALID


def test_applied_is_what_the_chain_shows_and_is_reported() -> None:
    facts = agreed(proposed(), ORG1, ORG2, signed=(ORG1, ORG2))
    work = replace(work_of(facts), applied=AppliedIn(9, "ef" * 32, ORG2))

    stage = work.decide(observed(facts), {})

    assert (stage.phase, stage.actions) == (Phase.APPLIED, ())
    assert stage.ready.holds
    assert [(wish.step, wish.evidence) for wish in stage.reports] == [
        (Step.APPLIED, Evidence(config_block=9, config_hash="ef" * 32))
    ]
    shown = channel_status(replace(observed(facts), work=work), {})
    assert (shown["submission"].by, shown["submission"].block) == (ORG2, 9)


@pytest.mark.parametrize(
    ("standing", "by"),
    [
        pytest.param({}, None, id="nothing was said"),
        pytest.param({"submission": {"by": ORG2, "block": 9}}, ORG2, id="it was said"),
        pytest.param({"submission": {"by": ORG2, "block": 8}}, None, id="it was said of another block"),
        pytest.param({"submission": {"block": 9}}, None, id="nobody was named"),
    ],
)
def test_who_submitted_stands_when_only_the_own_report_is_read(standing: dict[str, Any], by: str | None) -> None:
    facts = agreed(proposed(), ORG1, ORG2, signed=(ORG1, ORG2))
    work = replace(work_of(facts), applied=AppliedIn(9, "ef" * 32, ""))

    shown = channel_status(replace(observed(facts), work=work), standing)

    assert (shown["submission"].by, shown["submission"].block) == (by, 9)


def test_an_update_whose_ground_moved_is_stale_and_proposed_anew_by_its_creator() -> None:
    of = proposed()
    moved = channel.load(config().updated_by(plan_update({"changes": [stated("setPolicy")]})))
    same_element = channel.load(config().updated_by(of.content.update_bytes))  # type: ignore[union-attr]
    facts = agreed(of, ORG1, ORG2)

    assert not isinstance(judge_standing(of, moved, governance=False), ChangeRefused)
    misfit = judge_standing(of, same_element, governance=False)
    assert isinstance(misfit, ChangeRefused)
    moment: dict[str, Any] = {"charter": DEFAULT_CHARTER, "governance": False, "now": NOW}
    assert plan_successor(of, "change-r2", view_of(same_element), same_element, **moment) is None
    other = channel.load(config().updated_by(plan_update({"changes": [other_acl()]})))
    assert isinstance(judge_standing(of, other, governance=False), ChangeRefused)
    successor = plan_successor(of, "change-r2", view_of(other), other, **moment)
    assert successor is not None
    assert ProposalDocument.parse(successor.document).id == "change-r2"

    creator = with_manifest(observed(facts))
    stage = work_of(facts, misfit="moved", successor=successor).decide(creator, {})
    known = work_of(facts, misfit="moved", succeeded_by="Org1MSP/change-r2").decide(creator, {})
    hopeless = work_of(facts, misfit="moved").decide(creator, {})

    assert (stage.actions, stage.stalled) == ((Propose(successor),), False)
    assert (known.actions, known.stalled, known.waiting) == ((), False, False)
    assert "Org1MSP/change-r2" in known.ready.message
    assert (hopeless.actions, hopeless.stalled, hopeless.phase) == ((), True, Phase.STALE)


@pytest.mark.parametrize("said", ["withdraw", "deleting", "suspend"])
def test_nobody_proposes_anew_what_its_author_gave_up(said: str) -> None:
    of = proposed()
    facts = agreed(of, ORG1, ORG2)
    given_up = with_manifest(observed(facts), **{said: True})
    open_facts = agreed(of, ORG1)
    undecided = replace(
        with_manifest(observed(open_facts), **{said: True}), stale=no(Reason.STALE), successor=plan(ACL)
    )

    stage = work_of(facts, misfit="moved", successor=plan(ACL)).decide(given_up, {})

    assert stage.actions == ()
    assert not any(isinstance(action, Propose) for action in decide_proposal(undecided).ledger_actions)


def test_a_stale_proposal_can_still_be_withdrawn() -> None:
    facts = agreed(proposed(), ORG1)
    given_up = replace(with_manifest(observed(facts), withdraw=True), stale=no(Reason.STALE), successor=plan(ACL))

    assert decide_proposal(given_up).ledger_actions == (Close("Withdrawn", "withdrawn by its creator"),)


def with_manifest(given: ProposalObserved, **more: Any) -> ProposalObserved:
    return replace(given, manifest=ManifestState("change", Origin.LOCAL, NOW, **more))


def test_an_observer_that_leaves_a_definition_open_shows_nothing_to_a_voter() -> None:
    facts = agreed(proposed(), ORG1)
    early = VoteWish("mine", NOW, Decision.AGREE, "", None)
    state = ManifestState("theirs", Origin.OBSERVED, NOW - timedelta(hours=1))
    sight = replace(observed(facts, ORG2), wishes=(early,), verified=yes(Reason.VERIFIED), manifest=state)
    blind = replace(sight, manifest=replace(state, binds=False))

    assert isinstance(decide_proposal(sight).ledger_actions[0], CastVote)
    assert decide_proposal(blind).ledger_actions == ()
    assert decide_proposal(blind).vote_outcomes["mine"].reason is Reason.CONTENT_HASH_REQUIRED


def other_acl() -> dict[str, Any]:
    return {"type": "setACL", "setACL": {"resource": "cscc/GetChannelConfig", "policy": "/Channel/Application/Writers"}}


@given(st.sets(st.sampled_from(channel.MEMBERS)), st.sets(st.sampled_from(channel.MEMBERS)))
def test_nobody_submits_before_an_orderer_would_take_it(signing: set[str], asking: set[str]) -> None:
    facts = agreed(proposed(), ORG1, ORG2, ORG3, signed=tuple(sorted(signing)))
    work = work_of(facts, ready_seconds=timedelta(minutes=1).total_seconds())

    for own in asking:
        stage = work.decide(observed(facts, own), {})
        submits = SubmitUpdate() in stage.actions
        assert submits == (own in signing and len(signing) >= 2)
        assert (SignUpdate() in stage.actions) == (own not in signing)

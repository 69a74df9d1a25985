"""From a manifest to a config block: planned, verified by computing it anew, signed, submitted once, or stale."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from fabric_protos.common import configtx_pb2
from hypothesis import given
from hypothesis import strategies as st
from unit.fabric import channel
from unit.fabric.channel import person
from unit.operator_channels.test_content import IN_A_CONFIG_MAP, RECIPE, spec, stated
from unit.operator_channels.test_delta import config, definition

from fabric_admin import channelconfig
from fabric_admin.channelconfig import ChannelConfig
from opssc_chaincode.model import (
    DEFAULT_CHARTER,
    Creator,
    Decision,
    Evidence,
    Facts,
    OrganizationDefinition,
    Outcome,
    Proposal,
    ProposalDocument,
    Report,
    Step,
    Vote,
)
from opssc_chaincode.ranking import proposal_seed, rank_by
from opssc_chaincode.tally import derive
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.organization import ExecutionMode, VotingMode
from opssc_operator.api.proposal import Origin, Phase
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.actions import Close, Propose
from opssc_operator.domain.channel import ChannelView
from opssc_operator.domain.channels.application import ChangeRefused
from opssc_operator.domain.channels.content import references
from opssc_operator.domain.channels.delta import same_update
from opssc_operator.domain.channels.history import AppliedIn
from opssc_operator.domain.channels.judgement import judge
from opssc_operator.domain.channels.planning import ChannelPlanning, next_revision, plan_channel, plan_successor
from opssc_operator.domain.channels.signatures import encode_signature, read_signatures, valid_signatures
from opssc_operator.domain.channels.verification import UpdateRules, delta_of, judge_standing
from opssc_operator.domain.kinds.channel_status import channel_status
from opssc_operator.domain.kinds.channel_work import Attempts, ChannelChange, SignUpdate, SubmitUpdate, UpdateWork
from opssc_operator.domain.observation import ManifestState, ProposalObserved
from opssc_operator.domain.planning import Plan, Preview
from opssc_operator.domain.proposal import decide_proposal
from opssc_operator.domain.verdict import Verdict, no, yes
from opssc_operator.domain.verification import Grounds, verify_proposal
from opssc_operator.domain.voting import CastVote, VoteWish, VotingRules

ORG1, ORG2, ORG3 = channel.MEMBERS
NOW = datetime(2026, 6, 1, tzinfo=UTC)
ACL = {"changes": [stated("setACL")]}


def view_of(given: ChannelConfig) -> ChannelView:
    return ChannelView(
        channel=given.channel_id,
        config_block=3,
        config_sequence=given.sequence,
        config_hash="ab" * 32,
        members=given.members,
        rule=given.organization_rule(),
    )


def planned(fields: dict[str, Any], **more: Any) -> Plan | Preview | Verdict:
    start = more.pop("on", None) or config()
    planning = ChannelPlanning(
        own_msp_id=more.pop("own", ORG1),
        proposal_id="change",
        spec=spec(**fields),
        view=view_of(start),
        config=start,
        definitions=more.pop("definitions", {}),
        governance=False,
        charter=DEFAULT_CHARTER,
        now=NOW,
    )
    return plan_channel(planning)


def plan(fields: dict[str, Any], **more: Any) -> Plan:
    found = planned(fields, **more)
    assert isinstance(found, Plan), found
    return found


def proposed(fields: dict[str, Any] = ACL, **more: Any) -> Proposal:
    document = ProposalDocument.parse(plan(fields, **more).document)
    fields_of = {name: getattr(document, name) for name in ProposalDocument.model_fields}
    return Proposal(
        **fields_of,
        creator=Creator(msp_id=ORG1, subject="CN=admin"),
        created_time=NOW,
        tx_id="cd" * 32,
        hash=document.content_hash,
    )


def agreed(of: Proposal, *msp_ids: str, disagreeing: tuple[str, ...] = (), signed: tuple[str, ...] = ()) -> Facts:
    votes = [(msp_id, Decision.AGREE) for msp_id in msp_ids]
    votes += [(msp_id, Decision.DISAGREE) for msp_id in disagreeing]
    return Facts(
        proposal=of,
        votes=tuple(
            Vote(msp_id=msp_id, decision=decision, content_hash=of.hash, time=NOW, tx_id=tx(msp_id), subject="")
            for msp_id, decision in votes
        ),
        reports=tuple(reported(msp_id, sign_for(of, msp_id)) for msp_id in signed),
    )


def reported(msp_id: str, signature: str) -> Report:
    evidence = Evidence(config_signature=signature)
    return Report(
        msp_id=msp_id, step=Step.SIGNED, outcome=Outcome.DONE, evidence=evidence, time=NOW, tx_id=tx(msp_id), attempt=1
    )


def tx(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def observed(facts: Facts, own: str = ORG1) -> ProposalObserved:
    return ProposalObserved(
        now=NOW,
        ref=ProposalRef(ORG1, facts.proposal.id),
        own_msp_id=own,
        execution=ExecutionMode.FOLLOW_DECISION,
        suspended=False,
        rules=VotingRules(VotingMode.MANUAL),
        manifest=None,
        mirror=None,
        mirror_wanted=False,
        wishes=(),
        facts=facts,
        tally=derive(facts, NOW),
    )


def work_of(facts: Facts, **more: Any) -> UpdateWork:
    """What an operator sees of accepted facts, by the real evaluation."""
    start = config()
    update = facts.proposal.content.update_bytes  # type: ignore[union-attr]
    signed = read_signatures(facts, start, update)
    forecast = start.forecast(update, valid_signatures(signed), now=NOW)
    refusal = "" if forecast.refusal is None else forecast.refusal.explanation
    change = ChannelChange(channel.CHANNEL, ("~ something",), forecast.verdicts, signed)
    return UpdateWork(change, None, **{"refusal": refusal, **more})


# --- planning -------------------------------------------------------------------------------------------------------


def test_a_plan_pins_all_organizations_and_the_rule_of_its_delta() -> None:
    document = ProposalDocument.parse(plan(ACL).document)

    assert document.snapshot.members == tuple(sorted((*channel.MEMBERS, "OrdererMSP")))
    assert document.snapshot.rule == delta_of(document.content, config(), governance=False, at=NOW).rule  # type: ignore[arg-type, union-attr]


def test_a_dry_run_shows_and_proposes_nothing() -> None:
    found = planned({**ACL, "dryRun": True})

    assert isinstance(found, Preview)
    assert "nothing is on the ledger" in found.message
    assert isinstance(found.review, ChannelChange)
    assert any("qscc/GetChainInfo" in line for line in found.review.lines)


@pytest.mark.parametrize(
    ("fields", "more", "reason"),
    [
        pytest.param(ACL, {"own": "Org9MSP"}, Reason.NOT_A_MEMBER, id="no member"),
        pytest.param({"configUpdate": "AAAA"}, {}, Reason.INVALID_SPEC, id="no update"),
        pytest.param({"changes": [stated("setBatch"), stated("setBatch")]}, {}, None, id="twice the same is once"),
        pytest.param({**ACL, "votingPeriod": "999999h"}, {}, Reason.INVALID_SPEC, id="longer than the charter allows"),
        pytest.param({"action": "Create", "create": RECIPE}, {"own": ORG2}, Reason.NOT_A_MEMBER, id="not for itself"),
    ],
)
def test_what_can_and_cannot_be_planned(fields: dict[str, Any], more: dict[str, Any], reason: Reason | None) -> None:
    found = planned(fields, **more)

    assert isinstance(found, Plan) if reason is None else isinstance(found, Verdict) and found.reason is reason


def test_a_definition_read_from_elsewhere_is_in_the_plan() -> None:
    change = stated("addOrganization")
    change["addOrganization"]["definitionFrom"] = IN_A_CONFIG_MAP
    (source,) = references(spec(changes=[change]))
    known = OrganizationDefinition.model_validate_json(json.dumps(definition("Org4MSP")))

    assert (
        plan({"changes": [change]}, definitions={source: known}).content
        == plan({"changes": [stated("addOrganization")]}).content
    )


# --- verification ---------------------------------------------------------------------------------------------------


def verdict_on(of: Proposal, start: ChannelConfig) -> Verdict:
    content = of.content
    rules = UpdateRules(content, delta_of(content, start, governance=False, at=of.created_time))  # type: ignore[arg-type]
    pinned = replace(view_of(start), members=start.all_members)
    return verify_proposal(rules, of, Grounds(pinned, DEFAULT_CHARTER))


def test_what_was_planned_verifies() -> None:
    assert verdict_on(proposed(), config()).holds


def test_a_delta_other_than_its_changes_is_a_mismatch() -> None:
    honest, other = proposed(), proposed({"changes": [stated("removeOrganization")]})
    content = honest.content.model_copy(update={"config_update": other.content.config_update})  # type: ignore[union-attr]
    forged = honest.model_copy(update={"content": content})
    forged = forged.model_copy(update={"hash": forged.content_hash})

    verdict = verdict_on(forged, config())

    assert (verdict.status, verdict.reason) == ("False", Reason.DELTA_MISMATCH)


def test_a_false_rule_or_member_list_is_a_mismatch() -> None:
    honest = proposed()
    snapshot = honest.snapshot.model_copy(update={"members": channel.MEMBERS})
    forged = honest.model_copy(update={"snapshot": snapshot})

    verdict = verdict_on(forged.model_copy(update={"hash": forged.content_hash}), config())

    assert verdict.reason is Reason.SNAPSHOT_MISMATCH
    assert "members" in verdict.message


def test_a_hazard_in_a_raw_update_is_named() -> None:
    start = config(channel.OLD_PROFILE)
    edited = channelconfig.edits.tree.copy(start.config)
    capabilities = edited.channel_group.groups["Application"].values["Capabilities"]
    capabilities.value = capabilities.value.replace(b"V2_0", b"V9_9")
    update = channelconfig.compute_update(channel.CHANNEL, start.config, edited).SerializeToString()

    refused = judge_raw(start, update)

    assert "V9_9" in str(refused)


def judge_raw(start: ChannelConfig, update: bytes) -> object:
    of = proposed()
    text = base64.b64encode(update).decode()
    raw = of.content.model_copy(update={"changes": (), "config_update": text})
    return delta_of(raw, start, governance=False, at=NOW)  # type: ignore[arg-type]


# --- signing and submitting -----------------------------------------------------------------------------------------


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


def sign_for(of: Proposal, msp_id: str, update: bytes = b"") -> str:
    content = of.content
    return encode_signature(channelconfig.sign(person(msp_id), update or content.update_bytes))  # type: ignore[union-attr]


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


def test_a_policy_of_peers_is_no_matter_of_administrators() -> None:
    rule = "OR('Org1MSP.peer', 'Org2MSP.admin')"
    start = config()
    peers = plan_update({"changes": [policy("Odd", rule)]})
    odd = channel.load(start.updated_by(peers))
    pointed = channel.load(odd.updated_by(plan_update_on(odd, mod_policy("/Channel/Application/Odd"))))

    delta = delta_of(proposed(ACL, on=pointed).content, pointed, governance=False, at=NOW)  # type: ignore[arg-type]

    assert not isinstance(delta, ChangeRefused)
    assert set(delta.rule.leaves()) == {ORG2}


def policy(name: str, rule: str) -> dict[str, Any]:
    return {"type": "setPolicy", "setPolicy": {"path": f"/Channel/Application/{name}", "rule": rule}}


def mod_policy(path: str) -> dict[str, Any]:
    return {"type": "setModPolicy", "setModPolicy": {"path": "/Channel/Application/ACLs", "modPolicy": path}}


def plan_update_on(start: ChannelConfig, change: dict[str, Any]) -> bytes:
    return plan({"changes": [change]}, on=start).content.update_bytes  # type: ignore[union-attr]


def test_a_flood_of_elements_is_refused_before_anything_is_computed() -> None:
    update = configtx_pb2.ConfigUpdate(channel_id=channel.CHANNEL)
    for number in range(5000):
        update.write_set.groups[f"g{number}"].version = 0

    refused = judge_raw(config(), update.SerializeToString())

    assert "more than 4000 elements" in str(refused)


def test_words_said_twice_are_no_agreement() -> None:
    update = plan_update(ACL)

    assert same_update(update, update)
    assert not same_update(update, update + update[: update.index(channel.CHANNEL.encode()) + len(channel.CHANNEL)])


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


def plan_update(fields: dict[str, Any]) -> bytes:
    content = plan(fields).content
    return content.update_bytes  # type: ignore[union-attr]


def test_other_members_make_it_another_question() -> None:
    of = proposed()
    pinned = of.snapshot.model_copy(update={"members": channel.MEMBERS})

    misfit = judge_standing(of.model_copy(update={"snapshot": pinned}), config(), governance=False)

    assert isinstance(misfit, ChangeRefused)
    assert "organizations" in str(misfit)


@pytest.mark.parametrize(
    ("name", "following"),
    [
        pytest.param("change", "change-r2", id="first"),
        pytest.param("change-r2", "change-r3", id="second"),
        pytest.param("r2", "r2-r2", id="a name that only looks like one"),
        pytest.param("x" * 58, None, id="no room"),
    ],
)
def test_revisions_are_numbered(name: str, following: str | None) -> None:
    assert next_revision(name) == following


@given(st.sets(st.sampled_from(channel.MEMBERS)), st.sets(st.sampled_from(channel.MEMBERS)))
def test_nobody_submits_before_an_orderer_would_take_it(signing: set[str], asking: set[str]) -> None:
    facts = agreed(proposed(), ORG1, ORG2, ORG3, signed=tuple(sorted(signing)))
    work = work_of(facts, ready_seconds=timedelta(minutes=1).total_seconds())

    for own in asking:
        stage = work.decide(observed(facts, own), {})
        submits = SubmitUpdate() in stage.actions
        assert submits == (own in signing and len(signing) >= 2)
        assert (SignUpdate() in stage.actions) == (own not in signing)

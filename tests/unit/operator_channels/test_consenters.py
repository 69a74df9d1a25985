"""Own orderers of a change: they follow the channel before anybody signs, and take part before it is done."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.fabric import channel
from unit.fabric.channel import NOW
from unit.operator_channels.changes import ORG1, ORG2, consenter
from unit.operator_channels.proposals import agreed, observed, proposed, tx, work_of

from opssc_chaincode.model import ChannelContent, Evidence, Outcome, Report, Step
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.proposal import Phase
from opssc_operator.domain.channels.consenter_tasks import ConsenterTask, Task, find_tasks, still_asked
from opssc_operator.domain.channels.history import AppliedIn
from opssc_operator.domain.kinds.channel_work import SignUpdate, UpdateWork
from opssc_operator.domain.kinds.consenter_work import (
    ConsenterNode,
    JoinConsenter,
    joined_report,
    joins,
    lacks_after,
    lacks_before,
)
from opssc_operator.domain.stage import Stage

ADDRESS = "orderer4:7050"
ADDED = ConsenterNode(ConsenterTask(Task.ADD, ADDRESS))
FOLLOWING = replace(ADDED, relation="follower", status="active")
ONBOARDING = replace(ADDED, relation="follower", status="onboarding")
ACTIVE = replace(ADDED, relation="consenter", status="active")
REPLACED = replace(ACTIVE, task=ConsenterTask(Task.REPLACE, ADDRESS, "PEM"))
REMOVED = ConsenterNode(ConsenterTask(Task.REMOVE, ADDRESS))
SILENT = replace(ADDED, problem="no answer")
UNLISTED = replace(ADDED, listed=False)
ANOTHER = replace(ACTIVE, task=ConsenterTask(Task.ADD, "orderer5:7050"))
LEFT_ALONE = (
    f"this operator leaves orderer {ADDRESS} alone, which spec.orderers of the FabricOrganization does not list"
)
APPLIED = AppliedIn(7, "ab" * 32, ORG2)


def content(*changes: dict[str, Any]) -> ChannelContent:
    found = proposed({"changes": [{"type": next(iter(each)), **each} for each in changes]}).content
    assert isinstance(found, ChannelContent)
    return found


def accepted(
    *nodes: ConsenterNode, own: str = ORG1, signed: tuple[str, ...] = (), later: timedelta = timedelta()
) -> Stage:
    facts = agreed(proposed(), ORG1, ORG2, signed=signed)
    return replace(work_of(facts), nodes=nodes).decide(replace(observed(facts, own), now=NOW + later), {})


def applied(*nodes: ConsenterNode, told: bool = False, later: timedelta = timedelta()) -> Stage:
    """An update in force; `told` is that the ledger says so already."""
    facts = agreed(proposed(), ORG1, ORG2, signed=(ORG1, ORG2))
    work = UpdateWork(work_of(facts).change, APPLIED, nodes=nodes)
    if told:
        evidence = Evidence(config_block=APPLIED.block, config_hash=APPLIED.block_hash)
        word = Report(
            msp_id=ORG1,
            step=Step.APPLIED,
            outcome=Outcome.DONE,
            evidence=evidence,
            time=NOW,
            tx_id=tx("applied"),
            attempt=1,
        )
        facts = facts.model_copy(update={"reports": (*facts.reports, word)})
    return work.decide(replace(observed(facts), now=NOW + later), {})


@pytest.mark.parametrize(
    ("nodes", "actions", "waits"),
    [
        pytest.param((), (SignUpdate(),), "", id="none"),
        pytest.param((ADDED,), (JoinConsenter(ADDRESS),), "has not joined", id="not-joined"),
        pytest.param((ONBOARDING,), (), "is follower, onboarding; waiting for active", id="onboarding"),
        pytest.param((FOLLOWING,), (SignUpdate(),), "", id="following"),
        pytest.param((SILENT,), (), "no answer", id="silent"),
        pytest.param((replace(FOLLOWING, presents=False),), (), "another TLS certificate", id="other-certificate"),
        pytest.param((UNLISTED,), (SignUpdate(),), "", id="unlisted-is-a-person-s-business"),
        pytest.param((REPLACED, REMOVED), (SignUpdate(),), "", id="replaced-and-removed"),
        pytest.param((ADDED, REMOVED), (JoinConsenter(ADDRESS),), "has not joined", id="one-of-several"),
    ],
)
def test_a_new_consenter_follows_the_channel_before_its_organization_signs(
    nodes: tuple[ConsenterNode, ...], actions: tuple[object, ...], waits: str
) -> None:
    stage = accepted(*nodes)

    assert stage.actions == actions
    verdict = stage.conditions[ConditionType.APPLIED]
    assert (verdict.reason is Reason.AWAITING_ORDERER) is bool(waits)
    assert waits in verdict.message
    assert (stage.requeue_seconds is not None) is bool(waits)


def test_who_signed_already_waits_for_the_others_alone() -> None:
    stage = accepted(ADDED, signed=(ORG1,))

    assert stage.actions == ()
    assert stage.conditions[ConditionType.APPLIED].reason is Reason.AWAITING_SIGNATURES


@pytest.mark.parametrize(
    ("node", "actions", "waits"),
    [
        pytest.param(ADDED, (JoinConsenter(ADDRESS),), "has not joined", id="not-joined"),
        pytest.param(FOLLOWING, (), "is follower, active; waiting for consenter, active", id="still-a-follower"),
        pytest.param(replace(ACTIVE, status="onboarding"), (), "is consenter, onboarding", id="onboarding"),
        pytest.param(SILENT, (), f"orderer {ADDRESS}: no answer", id="silent"),
        pytest.param(replace(REPLACED, presents=False), (), "another TLS certificate", id="old-certificate"),
        pytest.param(ConsenterNode(REPLACED.task), (), "has not joined", id="replaced-elsewhere"),
    ],
)
def test_an_applied_change_is_done_when_own_orderers_take_part(
    node: ConsenterNode, actions: tuple[object, ...], waits: str
) -> None:
    stage = applied(node)

    assert (stage.phase, stage.actions) == (Phase.APPLIED, actions)
    assert stage.conditions[ConditionType.APPLIED].holds
    assert stage.ready.reason is Reason.AWAITING_ORDERER
    assert waits in stage.ready.message
    assert stage.waiting
    assert [wish.step for wish in stage.reports] == [Step.APPLIED]


@pytest.mark.parametrize(
    ("listed", "told"),
    [((), False), ((), True), ((ANOTHER,), False)],
    ids=["alone", "applied-earlier", "beside-a-listed"],
)
def test_an_orderer_that_anybody_may_say_is_ours_is_noted_and_not_waited_for(
    listed: tuple[ConsenterNode, ...], told: bool
) -> None:
    stage = applied(UNLISTED, *listed, told=told)

    assert stage.ready.holds
    assert LEFT_ALONE in stage.ready.message
    assert (stage.actions, stage.waiting, stage.requeue_seconds) == ((), False, None)
    steps = [*((Step.APPLIED,) * (not told)), *((Step.JOINED,) * len(listed))]
    assert [wish.step for wish in stage.reports] == steps
    joined = [wish.evidence.peers for wish in stage.reports if wish.step is Step.JOINED and wish.evidence]
    assert joined == [(node.task.address,) for node in listed]


def test_an_orderer_that_is_not_listed_is_noted_before_the_change_is_in_force() -> None:
    stage = accepted(UNLISTED)

    assert LEFT_ALONE in stage.ready.message
    assert LEFT_ALONE not in stage.conditions[ConditionType.APPLIED].message
    assert (stage.actions, stage.requeue_seconds) == ((SignUpdate(),), None)


@pytest.mark.parametrize(
    ("later", "seconds"),
    [
        pytest.param(timedelta(seconds=59), 2.0, id="fresh"),
        pytest.param(timedelta(seconds=61), 60.0, id="a-person-is-waited-for"),
        pytest.param(timedelta(seconds=-30), 2.0, id="another-clock"),
        pytest.param(timedelta(days=-1), 60.0, id="a-clock-far-ahead"),
    ],
)
def test_what_is_waited_for_is_looked_at_often_at_first_and_seldom_later(later: timedelta, seconds: float) -> None:
    assert accepted(ADDED, later=later).requeue_seconds == seconds
    assert applied(SILENT, told=True, later=later).requeue_seconds == seconds
    assert applied(SILENT, later=later).requeue_seconds == 2.0


@pytest.mark.parametrize("node", [ACTIVE, REPLACED], ids=["added", "replaced"])
def test_the_others_are_told_which_orderer_takes_part(node: ConsenterNode) -> None:
    stage = applied(node, REMOVED)

    assert stage.ready.holds
    (told,) = (wish for wish in stage.reports if wish.step is Step.JOINED)
    assert told.outcome is Outcome.DONE
    assert told.evidence is not None
    assert told.evidence.peers == (ADDRESS,)


def test_an_orderer_that_left_keeps_its_ledger_which_a_person_is_told() -> None:
    stage = applied(REMOVED)

    assert stage.ready.holds
    assert stage.ready.message.endswith(
        f"own orderer {ADDRESS} keeps its ledger of the channel until a person removes it"
    )
    assert [wish.step for wish in stage.reports] == [Step.APPLIED]


def test_the_last_word_on_an_orderer_is_its_task() -> None:
    added = {"addConsenter": consenter(4)}
    tls = consenter(5)["serverTlsCert"]
    replaced = {"replaceConsenterCertificates": {"host": "orderer4", "port": 7050, "serverTlsCert": tls}}
    removed = {"removeConsenter": {"host": "orderer3", "port": 7050}}

    assert find_tasks(content(added)) == (
        ConsenterTask(Task.ADD, ADDRESS, consenter(4)["serverTlsCert"], channel.ORDERERS[0]),
    )
    assert find_tasks(content(removed, added, replaced)) == (
        ConsenterTask(Task.REMOVE, "orderer3:7050"),
        ConsenterTask(Task.REPLACE, ADDRESS, tls),
    )
    assert find_tasks(content({"setBatch": {"timeout": "1s"}})) == ()


def test_a_later_configuration_has_the_last_word_on_what_is_asked() -> None:
    config = channel.load(channel.build())
    gone = ConsenterTask(Task.ADD, ADDRESS, "PEM")
    renewed = ConsenterTask(Task.REPLACE, "orderer1:7050", "PEM")
    silent = ConsenterTask(Task.REPLACE, "orderer2:7050")

    in_force = channel.consenter(1).server_tls_cert.decode()
    assert still_asked((gone, renewed, silent), config) == (replace(renewed, certificate=in_force), silent)


NODES = st.builds(
    ConsenterNode,
    task=st.builds(ConsenterTask, st.sampled_from(Task), st.just(ADDRESS)),
    listed=st.booleans(),
    relation=st.sampled_from(["", "consenter", "follower", "other"]),
    status=st.sampled_from(["active", "onboarding", "inactive", "failed"]),
    presents=st.booleans(),
    problem=st.sampled_from(["", "no answer"]),
)


@given(st.lists(NODES, max_size=4))
def test_nothing_joins_that_lacks_nothing_and_nothing_is_told_for_it(nodes: list[ConsenterNode]) -> None:
    assert not joins(nodes) or (lacks_before(nodes) and lacks_after(nodes))
    if lacks_after(nodes):
        assert joined_report(nodes, APPLIED) is not None
    for node in nodes:
        if not lacks_after([node]) and joined_report([node], APPLIED) is not None:
            assert (node.relation, node.status, node.presents, node.problem) == ("consenter", "active", True, "")
        if not node.listed:
            assert (lacks_before([node]), lacks_after([node]), joined_report([node], APPLIED)) == ((), (), None)
